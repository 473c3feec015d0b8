"""Pointing torchcodec's libraries at PyAV's, and taking that back."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path

from patch_torchcodec.installation import Installation, patchelf

_log = logging.getLogger("patch_torchcodec")


def status(installation: Installation) -> dict[Path, bool]:
    """Whether each of torchcodec's libraries for PyAV's version of FFmpeg is patched, and its links lead somewhere."""
    complete = all((installation.links / name).exists() for name in installation.lent())
    return {target: complete and _is_patched(installation, target) for target in installation.targets()}


def patch(installation: Installation, *, dry_run: bool = False) -> list[str]:
    """Do it, or with `dry_run` only say what would be done. Returns what there was to do, in words; [] is nothing.

    A library is replaced by a patched copy in one step, so that a file which other environments share by hard links
    stays as it is. Doing it again after PyAV or torchcodec has been upgraded is right. Raises `PatchError`.
    """
    done: list[str] = []
    for library in sorted(installation.av_libraries.glob("*.so*")):
        # Under their own names too: they look for one another beside the path that they were found by.
        for name in {library.name, *(name for name, path in installation.lent().items() if path == library)}:
            if _link(installation.links / name, library, dry_run):
                done.append(f"link {installation.links / name} to {library.name}")
    for target in installation.targets():
        if not _is_patched(installation, target):
            done.append(f"set the RPATH of {target} to {installation.rpath}")
            if not dry_run:
                _patch(installation, target)
    return done


def restore(installation: Installation, *, dry_run: bool = False) -> list[str]:
    """Put the libraries back as they were, byte for byte, and remove the links. Returns what there was to do."""
    done: list[str] = []
    for original in sorted(installation.originals.glob("*.so")):
        target = installation.torchcodec / original.name
        if target.exists() and _is_patched(installation, target):  # else another torchcodec was installed since
            done.append(f"put back {target}")
            if not dry_run:
                original.replace(target)
    if installation.links.exists():
        done.append(f"remove {installation.links}")
        if not dry_run:
            shutil.rmtree(installation.links)
    return done


def _is_patched(installation: Installation, target: Path) -> bool:
    return installation.rpath in patchelf("--print-rpath", target).split(":")


def _link(link: Path, library: Path, dry_run: bool) -> bool:
    """Whether the link had to be made."""
    to = os.path.relpath(library, link.parent)  # relative, so that the environment can be moved
    if link.is_symlink() and os.readlink(link) == to:  # noqa: PTH115 - as it is written, not resolved
        return False
    if not dry_run:
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(to)
    return True


def _patch(installation: Installation, target: Path) -> None:
    installation.originals.mkdir(parents=True, exist_ok=True)
    shutil.copy2(target, installation.originals / target.name)
    paths = [path for path in patchelf("--print-rpath", target).split(":") if path]
    with tempfile.TemporaryDirectory(dir=installation.links) as folder:
        copy = Path(folder) / target.name
        shutil.copy2(target, copy)
        patchelf("--set-rpath", ":".join([installation.rpath, *paths]), copy)
        copy.replace(target)
    _log.info("patched %s", target)
