"""How much memory the process itself takes: the decoder's is not Python's, so the system is asked."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from clips import make_clip

pytest.importorskip("resource", reason="only Unix tells the peak")

_PREPARED = """
import resource, sys
from mediaref import MediaRef, batch_decode, iter_decode
from mediaref.video_decoder import VideoIndex

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

threads = int(sys.argv[2])
refs = [MediaRef(uri=sys.argv[1], pts_ns=int(time)) for time in VideoIndex.open(sys.argv[1]).pts_ns]
"""
_BATCH = """
batch_decode(refs[:16], threads=threads)
before = peak()
result = batch_decode(refs, threads=threads)
print(peak() - before, sum(pixels.nbytes for pixels in result))
"""
_STREAM = """
for number, _ in enumerate(iter_decode(refs, threads=threads)):
    if number == 100:
        before = peak()
print(peak() - before, number + 1)
"""
_KEPT = """
kept = [pixels for number, pixels in enumerate(iter_decode(refs[:40], threads=threads)) if number % 20 == 0]
before = peak()
for _ in range(8):
    kept += [pixels for number, pixels in enumerate(batch_decode(refs, threads=threads)[:40]) if number == 20]
    kept += [pixels for number, pixels in enumerate(iter_decode(refs[:200], threads=threads)) if number % 100 == 50]
print(peak() - before, sum(pixels.nbytes for pixels in kept))
"""
_AGAIN = """
def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for _ in range(3):
    batch_decode(refs[:64], threads=threads)
before = pages()
for _ in range(4):
    result = sum(pixels.nbytes for pixels in batch_decode(refs[:64], threads=threads))
print((pages() - before) * resource.getpagesize(), 4 * result)
"""
_STREAM_AGAIN = """
def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

passed = sum(pixels.nbytes for pixels in iter_decode(refs, threads=threads))
before = pages()
passed = sum(pixels.nbytes for pixels in iter_decode(refs, threads=threads))
print((pages() - before) * resource.getpagesize(), passed)
"""
FRAME = 480 * 272 * 3


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {"preset": "ultrafast", "x264-params": "keyint=40:bframes=2"}
    return make_clip(tmp_path_factory.mktemp("memory") / "240.mp4", frames=240, size=(480, 272), options=options)


def _measured(program: str, video: Path, threads: int) -> tuple[int, int]:
    command = [sys.executable, "-c", _PREPARED + program, str(video), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    more, told = map(int, done.stdout.split())
    return more, told


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_takes_little_more_than_its_result(video: Path, threads: int) -> None:
    more, result = _measured(_BATCH, video, threads)
    assert result == 240 * FRAME
    assert more < 1.1 * result


@pytest.mark.parametrize("threads", [1, 2])
def test_ten_thousand_frames_in_a_row_take_no_more_than_a_hundred(
    clip: Callable[[str], Path], tmp_path: Path, threads: int
) -> None:
    path = _over_and_over(clip("long"), 42, tmp_path / "long.mp4")
    more, frames = _measured(_STREAM, path, threads)
    assert frames == 42 * 240
    assert more < 5 << 20  # of 230 MB that have passed


def test_a_frame_that_is_kept_does_not_keep_the_rest(video: Path) -> None:
    more, kept = _measured(_KEPT, video, 1)
    assert kept == 26 * FRAME
    assert more < 240 * FRAME + 2 * kept  # one batch, while it is there


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have ways of their own")
def test_frames_that_were_let_go_are_the_memory_of_the_next(video: Path) -> None:
    new, frames = _measured(_AGAIN, video, 1)
    assert frames == 4 * 64 * FRAME
    assert new < frames // 3  # the system may take some of it back meanwhile


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have ways of their own")
def test_frames_that_pass_by_are_the_memory_of_the_next(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "x264-params": "keyint=40:bframes=2"}
    video = make_clip(tmp_path / "large.mp4", frames=64, size=(1280, 720), options=options)
    new, frames = _measured(_STREAM_AGAIN, video, 1)
    assert frames == 64 * 1280 * 720 * 3
    assert new < frames // 10


def _over_and_over(source: Path, times: int, target: Path) -> Path:
    """The packets of an MP4 file, again and again."""
    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        packets = [packet for packet in given.demux(video=0) if packet.size]
        length = given.streams.video[0].duration or 0
        for number in range(times):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.pts, again.dts = (packet.pts or 0) + number * length, (packet.dts or 0) + number * length
                again.time_base, again.is_keyframe, again.stream = packet.time_base, packet.is_keyframe, stream
                output.mux(again)
    return target
