"""Damaged videos, and what the public API must make of them: results or errors of ours, in bounded time and memory.

The tests try a few; `python tests/damaged_videos.py 100000` tries as many as you like, in processes of their own, so
that a crash is seen and not suffered. A file's number tells all about it: `--only NUMBER` looks at one again.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from clips import make_clip
from web_server import WebServer

from mediaref import MediaRef, batch_decode, cleanup_cache
from mediaref.bitcost import read_bit_costs
from mediaref.errors import MediaRefError
from mediaref.video_decoder import VideoIndex

SLOW_SECONDS = 2.0
MOST_MEMORY_MIB = 512
HANGS_SECONDS = 120
FILES_A_PROCESS = 400

# --- sound files -----------------------------------------------------------------------------------------------------

_X264 = {"preset": "veryfast", "threads": "1", "x264-params": "keyint=6:bframes=2"}
_X265 = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=6:pools=1:frame-threads=1"}
_VP9 = {"deadline": "realtime", "cpu-used": "8", "g": "6", "threads": "1"}

#: Suffix, codec, encoder options, container options.
_SOUND: tuple[tuple[str, str, dict[str, str], dict[str, str]], ...] = (
    (".mp4", "libx264", _X264, {}),
    (".mp4", "libx264", _X264, {"movflags": "frag_keyframe+empty_moov"}),
    (".mp4", "libx264", {**_X264, "x264-params": "cabac=0:tff=1:keyint=6"}, {}),
    (".mkv", "libx264", _X264, {}),
    (".ts", "libx264", _X264, {}),
    (".avi", "libx264", _X264, {}),
    (".flv", "libx264", _X264, {}),
    (".h264", "libx264", _X264, {}),
    (".mp4", "libx265", _X265, {}),
    (".ts", "libx265", _X265, {}),
    (".hevc", "libx265", _X265, {}),
    (".webm", "libvpx-vp9", _VP9, {}),
    (".mp4", "libvpx-vp9", _VP9, {}),
    (".ivf", "libvpx-vp9", _VP9, {}),
    (".mkv", "libsvtav1", {"preset": "12", "svtav1-params": "lp=1"}, {}),
    (".mp4", "mpeg4", {"bf": "2"}, {}),
)


def sound_files(folder: Path) -> list[Path]:
    """Small videos of every kind, made in `folder`."""
    return [
        make_clip(
            folder / f"{number:02}{suffix}",
            codec=codec,
            frames=8,
            size=(144, 112),
            options=options,
            container_options=container_options,
        )
        for number, (suffix, codec, options, container_options) in enumerate(_SOUND)
    ]


# --- damage ----------------------------------------------------------------------------------------------------------

_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_CONTAINER_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"mvex", b"moof", b"traf", b"udta"}


def damaged(content: bytes, suffix: str, rng: random.Random) -> bytes:
    """`content` changed in one to four places, half of them chosen by how the container is built."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if suffix == ".mp4" and rng.random() < 0.5:
            _damage_box(data, rng)
        elif suffix == ".ts" and rng.random() < 0.3:
            _shuffle_blocks(data, 188, rng)
        else:
            rng.choice(_ANYWHERE)(data, rng)
    return bytes(data)


def boxes(data: bytes | bytearray, begin: int = 0, end: int | None = None) -> Iterator[tuple[int, int, bytes]]:
    """Begin, end and type of all boxes of an MP4 file, those inside others included."""
    end = len(data) if end is None else end
    while begin + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, begin)
        stop = begin + size
        if size < 8 or stop > end:
            return
        yield begin, stop, kind
        if kind in _CONTAINER_BOXES:
            yield from boxes(data, begin + 8, stop)
        begin = stop


def _damage_box(data: bytearray, rng: random.Random) -> None:
    found = [box for box in boxes(data) if box[2] != b"mdat"]
    if not found:
        return
    begin, end, _ = rng.choice(found)
    action = rng.randrange(6)
    if action == 0:
        del data[begin:end]
    elif action == 1:
        data[begin:begin] = data[begin:end]
    elif action == 2:
        struct.pack_into(">I", data, begin, rng.choice((*_NUMBERS, end - begin - 1, end - begin + 4)))
    elif end - begin >= 12:
        at = rng.randrange(begin + 8, end - 3)
        struct.pack_into(">I", data, at, rng.choice((*_NUMBERS, rng.getrandbits(32))))


def _shuffle_blocks(data: bytearray, size: int, rng: random.Random) -> None:
    if len(data) < 2 * size:
        return
    one, other = (rng.randrange(len(data) // size) * size for _ in range(2))
    block = data[one : one + size]
    if rng.random() < 0.5:
        del data[one : one + size]
    data[other:other] = block


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _cut(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    del data[at : at + rng.choice((1, 2, 7, 100, 1000))]


def _insert(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.choice((1, 2, 7, 100)))


def _overwrite(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    length = min(rng.choice((1, 2, 4, 16, 200)), len(data) - at)
    data[at : at + length] = rng.randbytes(length) if rng.random() < 0.7 else bytes([rng.choice((0, 255))]) * length


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 3, 10))):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _flip_head(data: bytearray, rng: random.Random) -> None:
    """Headers are in the first kilobyte of most formats."""
    if data:
        data[rng.randrange(min(len(data), 1024))] ^= 1 << rng.randrange(8)


_ANYWHERE: Sequence[Callable[[bytearray, random.Random], None]] = (
    _truncate,
    _cut,
    _insert,
    _overwrite,
    _flip,
    _flip,
    _flip_head,
    _flip_head,
)

# --- what the API makes of it ----------------------------------------------------------------------------------------


@dataclass
class Report:
    """How the calls on some files ended, and what must not have happened."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def call(self, name: str, what: str, run: Callable[[], object]) -> object:
        """Run one call on one file."""
        start = time.process_time()
        result = None
        try:
            result = run()
            self.outcomes[f"{what}: result"] += 1
        except MediaRefError as error:
            self.outcomes[f"{what}: {type(error).__name__}"] += 1
        except Exception:
            self.faults.append(f"{name}: {what} raised\n{traceback.format_exc()}")
        taken = time.process_time() - start
        self.slowest = max(self.slowest, (taken, f"{name}: {what}"))
        if taken > SLOW_SECONDS:
            self.faults.append(f"{name}: {what} took {taken:.1f} s of processor time")
        return result


def explore(path: Path, report: Report, *, prepare: bool = False) -> None:
    """Call all of the public API on one file."""
    cleanup_cache()
    name, uri = path.name, str(path)
    index = report.call(name, "VideoIndex", lambda: VideoIndex.open(uri))
    if isinstance(index, VideoIndex):
        begins = index.pts_ns
        times = [0] if begins is None else [int(begins[0]), int(begins[len(begins) // 2]), int(begins[-1])]
        refs = [MediaRef(uri=uri, pts_ns=time) for time in times]
        report.call(name, "batch_decode", lambda: batch_decode(refs, on_error="skip", threads=2))
        frames = range(min(len(index), 64))
        report.call(name, "read_bit_costs", lambda: read_bit_costs(index, frames, hidden=True, threads=2))
    else:
        report.call(name, "batch_decode", lambda: batch_decode([MediaRef(uri=uri, pts_ns=0)]))
    if prepare:
        from codec_video_prep import run_preinfer

        out = path.with_name(f"{path.name}.out")
        report.call(
            name,
            "run_preinfer",
            lambda: run_preinfer(uri, str(out), num_sampled_frames=8, max_pixels=12544, canvas_format="npy"),
        )
        if not out.exists() and list(path.parent.glob(f".{out.name}*")):
            report.faults.append(f"{name}: run_preinfer left {list(path.parent.glob(f'.{out.name}*'))} behind")
        shutil.rmtree(out, ignore_errors=True)


def compare_with_remote(path: Path, uri: str, report: Report) -> None:
    """Index a file from the disk and over HTTP: the same table, or an error both times."""
    name = path.name
    here, there = (
        report.call(name, f"VideoIndex {where}", lambda video=video: VideoIndex.open(video))  # type: ignore[misc]
        for where, video in (("from the disk", str(path)), ("over HTTP", uri))
    )
    tables = [index.packets if isinstance(index, VideoIndex) else None for index in (here, there)]
    columns = [[getattr(table, column, None) for table in tables] for column in ("size", "position", "pts", "is_key")]
    if not all(np.array_equal(*both) for both in columns):
        report.faults.append(f"{name}: {here} from the disk, {there} over HTTP")


def compare_many(numbers: Sequence[int], sound: Sequence[Path], folder: Path) -> Report:
    """`compare_with_remote` damaged files."""
    report = Report()
    with WebServer(folder).running() as server:
        for number in numbers:
            path = file_number(number, sound, folder)
            compare_with_remote(path, server.url(f"files/{path.name}"), report)
            path.unlink()
    return report


def file_number(number: int, sound: Sequence[Path], folder: Path) -> Path:
    """Damaged file `number`, written into `folder`."""
    rng = random.Random(number)
    origin = sound[rng.randrange(len(sound))]
    path = folder / f"{number}{origin.suffix}"
    path.write_bytes(damaged(origin.read_bytes(), origin.suffix, rng))
    return path


def explore_many(numbers: Sequence[int], sound: Sequence[Path], folder: Path, *, every_prepared: int = 10) -> Report:
    """`explore` damaged files; open files and threads left behind are faults too."""
    report = Report()
    for number in numbers:
        path = file_number(number, sound, folder)
        before, running = _open_files(), set(threading.enumerate())
        explore(path, report, prepare=number % every_prepared == 0)
        for thread in set(threading.enumerate()) - running:
            thread.join(5)  # one that was told to end by an iterator that was closed half-way may still be at it
        left = _open_files() - before
        threads = set(threading.enumerate()) - running
        if left > 0 or threads:
            report.faults.append(f"{path.name}: {left} files and {len(threads)} threads stay behind")
        path.unlink()
    return report


def _open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


# --- the long run ----------------------------------------------------------------------------------------------------


def _work(sound: Path, first: int, count: int, every_prepared: int) -> None:
    """One process: explore some files and print what was found, for the parent to read."""
    faulthandler.enable()
    faulthandler.dump_traceback_later(HANGS_SECONDS * 5, exit=True)
    logging.getLogger("mediaref").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        report = explore_many(
            range(first, first + count), sorted(sound.iterdir()), Path(folder), every_prepared=every_prepared
        )
        compared = compare_many(range(first, first + count, every_prepared), sorted(sound.iterdir()), Path(folder))
        report.outcomes.update(compared.outcomes)
        report.faults += compared.faults
        if left := [path.name for path in Path(folder).iterdir()]:
            report.faults.append(f"left behind: {left}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    if memory > MOST_MEMORY_MIB:
        report.faults.append(f"files {first} to {first + count}: {memory} MiB of memory")
    found = {"outcomes": report.outcomes, "faults": report.faults, "slowest": report.slowest, "memory": memory}
    print(json.dumps(found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="?", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--every-prepared", type=int, default=10, help="one in so many files goes through run_preinfer")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        sound, first, count = given.worker
        _work(Path(sound), int(first), int(count), given.every_prepared)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        sound_files(Path(folder))
        if given.only is not None:
            _work(Path(folder), given.only, 1, 1)
            return 0
        return _run_all(folder, given.first, given.files, given.every_prepared)


def _run_all(sound: str, first: int, files: int, every_prepared: int) -> int:
    outcomes: Counter[str] = Counter()
    faults, slowest, memory, begin = 0, (0.0, ""), 0, time.monotonic()
    for start in range(first, first + files, FILES_A_PROCESS):
        count = min(FILES_A_PROCESS, first + files - start)
        command = [sys.executable, __file__, "--worker", sound, str(start), str(count)]
        command += ["--every-prepared", str(every_prepared)]
        done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
        if done.returncode:
            faults += 1
            print(f"files {start} to {start + count}: the process ended with {done.returncode}\n{done.stderr[-4000:]}")
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        outcomes.update(found["outcomes"])
        faults += len(found["faults"])
        slowest, memory = max(slowest, tuple(found["slowest"])), max(memory, found["memory"])
        for fault in found["faults"]:
            print(fault, flush=True)
    print(f"{files} damaged files in {time.monotonic() - begin:.0f} s: {faults} faults")
    print(f"slowest call {slowest[0]:.2f} s ({slowest[1]}); most memory of a process {memory} MiB")
    for outcome, times in sorted(outcomes.items()):
        print(f"  {outcome}: {times}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
