"""Install a wheel into empty environments, one for each Python at hand, and let it work there.

    python .ci/check_wheel.py DIST [PYTHON ...]

DIST is a folder with one wheel; without PYTHONs, python3.10 and later are looked for on the PATH. Fails if the wheel is
too large, holds what does not belong there, or does not work.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

MOST_BYTES = 3_000_000
OLDEST, NEWEST_TRIED = 10, 15
PACKAGES = {"mediaref", "codec_video_prep", "compressed_video_preinfer"}


def main(arguments: list[str]) -> int:
    dist, *pythons = arguments
    (wheel,) = Path(dist).resolve().glob("*.whl")
    check_contents(wheel)
    at_hand = [
        python for python in pythons or [f"python3.{n}" for n in range(OLDEST, NEWEST_TRIED + 1)] if runs(python)
    ]
    if not at_hand:
        sys.exit(f"no Python from 3.{OLDEST} on is at hand")
    for python in at_hand:
        check_at_work(wheel, python)
    return 0


def check_contents(wheel: Path) -> None:
    size = wheel.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{wheel.name} has {size:,} bytes; {MOST_BYTES:,} are allowed")
    if f"-cp3{OLDEST}-abi3-" not in wheel.name:
        sys.exit(f"{wheel.name}: not a wheel for every Python from 3.{OLDEST} on")
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
    strangers = {name for name in names if name.split("/")[0] not in PACKAGES and ".dist-info/" not in name}
    native = [name for name in names if name.endswith((".so", ".pyd", ".dylib"))]
    if strangers or len(native) != 1:
        sys.exit(f"{wheel.name} holds {sorted(strangers)} and the native modules {native}")
    print(f"{wheel.name}: {size:,} bytes, {len(names)} files")


def runs(python: str) -> bool:
    """Whether there is such a program and it works; a shim of a version manager may be there and refuse."""
    try:
        return subprocess.run([python, "--version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def check_at_work(wheel: Path, python: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", "env"], cwd=folder, check=True)
        programs = Path(folder) / "env" / ("Scripts" if os.name == "nt" else "bin")
        inside = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}}

        def run(program: str, *words: str) -> None:
            subprocess.run([str(programs / program), *words], cwd=folder, env=inside, check=True)

        print(f"--- {python}", flush=True)
        run("python", "-m", "pip", "install", "--quiet", str(wheel))
        run("python", "-c", "import mediaref; print(mediaref.__version__, mediaref.MediaRef(uri='a.png'))")
        run("python", "-m", "pip", "install", "--quiet", f"{wheel}[video]")
        run("mediaref", "doctor")
        run("codec-video-prep-doctor")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
