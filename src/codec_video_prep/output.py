"""The folder that a run leaves behind: complete or not there at all, and recognised by the next run.

A run writes to a hidden folder beside the one asked for and renames it when everything is in it. Runs for the same
folder wait for each other; the second finds what the first has done.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mediaref.errors import MediaRefError

_log = logging.getLogger("mediaref")

META = "meta.json"
DONE = "_DONE"
POSITIONS = "src_patch_position.npy"
FRAME_IDS = "frame_ids.npy"
REPORT = "report.html"
MASK_SIDE_BY_SIDE = "sampled_masked_sbs.mp4"
MASK_ONLY = "sampled_masked_only.mp4"

JPEG_QUALITY = 95

_OURS = re.compile(
    rf"canvas_\d+\.(jpg|png|npy)|{META}|{DONE}|{POSITIONS}|{FRAME_IDS}|{REPORT}|sampled_masked_(sbs|only)\.mp4"
)


class OutputError(MediaRefError, OSError):
    """The output folder cannot be made, or holds something that must not be replaced."""


class OutputExistsError(OutputError, FileExistsError):
    """The output folder holds something else; the message says what to do."""


def finished_meta(out_dir: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The metadata of a finished run in `out_dir` whose meta.json has all the values of `identity`, if there is one."""
    if not (out_dir / DONE).is_file():
        return None
    try:
        meta = json.loads((out_dir / META).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(meta, dict) or any(meta.get(key) != value for key, value in identity.items()):
        return None
    return meta


def check_out_dir(out_dir: Path, overwrite: bool) -> None:
    """Refuse a place where the output cannot go, before any work is done.

    An empty folder is fine. With `overwrite` so is one with nothing in it but files of an earlier run.
    """
    if out_dir.exists() and not out_dir.is_dir():
        raise OutputExistsError(f"{out_dir}: is not a folder; choose another out_dir")
    names = [entry.name for entry in out_dir.iterdir()] if out_dir.is_dir() else []
    foreign = sorted(name for name in names if not _OURS.fullmatch(name))
    if foreign:
        raise OutputExistsError(f"{out_dir}: holds {foreign[0]!r}, which no run has written; choose another out_dir")
    if names and not overwrite:
        raise OutputExistsError(
            f"{out_dir}: holds another run's output (other options, another video or version, or unfinished); "
            "choose another out_dir, or pass overwrite to replace it"
        )


@contextmanager
def locked(out_dir: Path) -> Iterator[None]:
    """Keep other processes from working on the same `out_dir`; waits for one that does."""
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        file = _lock(out_dir.parent / f".{out_dir.name}.lock")
    except OSError as error:
        raise OutputError(f"{out_dir}: cannot be made: {error.strerror or error}") from error
    try:
        yield
    finally:
        # Removed while still locked: whoever waits for it sees that the name is gone and starts over.
        with suppress(OSError):
            Path(file.name).unlink()
        file.close()


def _lock(path: Path) -> BinaryIO:
    while True:
        file = path.open("ab")
        try:
            _wait_for_lock(file)
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                    return file
        except BaseException:
            file.close()
            raise
        file.close()


def _wait_for_lock(file: BinaryIO) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined,unused-ignore]
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _log.warning("%s: another run works on this folder; waiting for it", file.name)
        fcntl.flock(file, fcntl.LOCK_EX)


@contextmanager
def new_folder(out_dir: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `out_dir` at the end of the block and disappears if the block fails.

    Call it with the lock held. Raises `OutputError` for whatever the file system refuses.
    """
    pattern = f".{out_dir.name}.part-"
    try:
        for leftover in out_dir.parent.glob(f"{_glob_escaped(pattern)}*"):
            shutil.rmtree(leftover, ignore_errors=True)  # of a run that was killed: we hold the lock, nobody else is on
        folder = out_dir.parent / f"{pattern}{secrets.token_hex(8)}"
        folder.mkdir()
    except OSError as error:
        raise OutputError(f"{out_dir}: cannot be made: {error.strerror or error}") from error
    try:
        yield folder
        (folder / DONE).write_bytes(b"")
        _put_in_place(folder, out_dir)
    except MediaRefError:
        raise
    except OSError as error:
        raise OutputError(f"{out_dir}: writing failed: {error.strerror or error}; nothing was left behind") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put_in_place(folder: Path, out_dir: Path) -> None:
    if not out_dir.exists():
        folder.rename(out_dir)
        return
    old = folder.with_name(f"{folder.name}-old")
    out_dir.rename(old)
    try:
        folder.rename(out_dir)
    except OSError:
        old.rename(out_dir)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _glob_escaped(text: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", text)


def write_canvas(path: Path, canvas: NDArray[np.uint8]) -> None:
    """Write one RGB canvas `[height, width, 3]` in the format that the suffix of `path` names."""
    if path.suffix == ".npy":
        np.save(path, canvas)
    elif path.suffix == ".jpg":
        Image.fromarray(canvas).save(path, quality=JPEG_QUALITY)
    else:
        Image.fromarray(canvas).save(path, compress_level=3)


class CanvasWriter:
    """Encodes canvases on a few threads, in the order given, with only a few of them waiting in memory.

    Use it as a context, which no thread outlives.
    """

    def __init__(self, folder: Path, suffix: str, threads: int) -> None:
        self._folder = folder
        self._suffix = suffix
        self._waiting: deque[Future[None]] = deque()
        self._most_waiting = 4 * threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="canvas")
        self.names: list[str] = []

    def add(self, canvas: NDArray[np.uint8]) -> None:
        """Queue the next canvas `[height, width, 3]` RGB."""
        name = f"canvas_{len(self.names):03d}.{self._suffix}"
        self.names.append(name)
        self._waiting.append(self._pool.submit(write_canvas, self._folder / name, canvas))
        while len(self._waiting) > self._most_waiting:
            self._waiting.popleft().result()

    def wait(self) -> None:
        """Come back when all canvases are written; raises what went wrong with any of them."""
        while self._waiting:
            self._waiting.popleft().result()

    def __enter__(self) -> CanvasWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def write_meta(folder: Path, meta: dict[str, Any]) -> None:
    """One entry a line: Python's encoder takes many times as long to indent what lies within them."""
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    lines = ",\n".join(f"  {encode(key)}: {encode(value)}" for key, value in meta.items())
    (folder / META).write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
