"""Random requests for a long time, and what of memory, files and threads is left after it.

`python tests/soak.py SECONDS [FOLDER ...]` goes over all files of some folders, or over clips made on the spot.
"""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from clips import CLIPS
from PIL import Image

from mediaref import DataURI, MediaRef, batch_decode, cleanup_cache
from mediaref.bitcost import read_bit_costs
from mediaref.errors import MediaRefError
from mediaref.video_decoder import VideoIndex

FRAMES_AT_ONCE = 6
#: How often the state is looked at.
SAMPLES = 10


def request(paths: Sequence[Path], rng: random.Random) -> str:
    """One random request; tells what it was and how it ended."""
    what, run = rng.choice(_REQUESTS)
    try:
        run(rng.choice(paths), rng)
    except MediaRefError as error:
        return f"{what}: {type(error).__name__}"
    return f"{what}: result"


def _pixels(path: Path, rng: random.Random) -> None:
    span = VideoIndex.open(path).span_ns()
    refs = [MediaRef(uri=str(path), pts_ns=rng.randrange(*span)) for _ in range(rng.randint(1, FRAMES_AT_ONCE))]
    batch_decode(refs, threads=rng.choice((1, 2)), on_error=rng.choice(("raise", "skip")))


def _bits(path: Path, rng: random.Random) -> None:
    index = VideoIndex.open(path)
    frames = [rng.randrange(len(index)) for _ in range(rng.randint(1, FRAMES_AT_ONCE))]
    read_bit_costs(index, frames, hidden=rng.random() < 0.3, threads=rng.choice((1, 2)))


def _image(path: Path, rng: random.Random) -> None:
    image = Image.new("RGB", (rng.randint(1, 300), rng.randint(1, 300)), "teal")
    MediaRef(uri=DataURI.from_image(image, format="png").uri).to_ndarray()


def _forget(path: Path, rng: random.Random) -> None:
    cleanup_cache()


_REQUESTS: tuple[tuple[str, Callable[[Path, random.Random], None]], ...] = (
    ("pixels", _pixels),
    ("bits", _bits),
    ("image", _image),
    ("forget", _forget),
)


class _MallocInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()  # noqa: SIM905
    )


def _in_use() -> int:
    """KiB that are allocated and not freed, of all of this process's C code; 0 where the C library does not tell.

    The process may hold more: what was freed between blocks that are in use.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        return 0
    library.mallinfo2.restype = _MallocInfo
    info = library.mallinfo2()
    return int(info.uordblks + info.hblkhd) >> 10


def state() -> dict[str, int]:
    """Memory in KiB, open files and threads of this process, when nothing is kept between calls."""
    cleanup_cache()
    gc.collect()
    return {
        "in_use": _in_use(),
        "memory": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 10,
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
    }


def soak(paths: Sequence[Path], seconds: float, most: int | None = None) -> dict[str, object]:
    """Requests for some seconds, or `most` of them: the state after each tenth of the time."""
    rng, outcomes = random.Random(1), Counter[str]()
    begin, states, count = time.monotonic(), list[dict[str, int]](), 0
    while time.monotonic() - begin < seconds and (most is None or count < most):
        outcomes[request(paths, rng)] += 1
        count += 1
        share = max((time.monotonic() - begin) / seconds, count / most if most else 0.0)
        if share >= (len(states) + 1) / SAMPLES:
            states.append(state())
    return {"requests": count, "outcomes": outcomes, "states": states}


def main(seconds: str, *folders: str) -> None:
    logging.getLogger("mediaref").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as made:
        names = ("plain", "cavlc", "mbaff", "hevc", "vp9_gops", "vp9_hidden", "transport", "raw", "mpeg4")
        paths = [path for folder in folders for path in sorted(Path(folder).rglob("*")) if path.is_file()]
        paths = paths or [CLIPS[name].build(Path(made), name) for name in names]
        print(json.dumps(soak(paths, float(seconds)), indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
