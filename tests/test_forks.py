"""Iterators that are half read when their process forks: the parent's go on unharmed, a child is told at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import make_clip

from mediaref import MediaRef, iter_decode
from mediaref.bitcost import iter_bit_costs
from mediaref.errors import ForkedIteratorError
from mediaref.video_decoder import VideoIndex, decode_frames, pyav

Clip = Callable[[str], Path]

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.timeout(120),
]


def _frames(path: Path, threads: int) -> Iterator[Any]:
    frames = range(len(VideoIndex.open(path)))
    return (pixels for _, pixels in decode_frames(path, frames, threads=threads))


def _costs(path: Path, threads: int) -> Iterator[Any]:
    frames = [*range(len(VideoIndex.open(path)))] * 2
    return (cost.bits for cost in iter_bit_costs(path, frames, threads=threads))


def _stream(path: Path, threads: int) -> Iterator[Any]:
    times = VideoIndex.open(path).pts_ns
    assert times is not None
    return iter_decode([MediaRef(uri=str(path), pts_ns=time) for time in times.tolist()], threads=threads)


def _child(work: Callable[[], int]) -> int:
    """What `work` gives in a forked child; minus the signal that ended it, SIGALRM if it hangs."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(20)
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("name", "threads"), [("readme", 1), ("readme", 2), ("long", 2), ("vp9_gops", 1), ("vp9_gops", 2)]
)
@pytest.mark.parametrize("make", [_frames, _costs, _stream])
def test_a_child_cannot_carry_on_what_its_parent_has_begun(
    clip: Clip, make: Callable[[Path, int], Iterator[Any]], name: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyav, "_PIXELS_A_THREAD", 1)  # with threads of FFmpeg's where the video is one span
    expected = list(make(clip(name), 1))
    items = make(clip(name), threads)
    found = [next(items)]

    def go_on() -> int:
        try:
            next(items)
        except ForkedIteratorError:
            return 7
        return 0

    def let_go() -> int:
        nonlocal items
        if hasattr(items, "close"):
            items.close()
        items = iter(())  # no collection, in which fsspec's clients of other tests would wait for their parent's thread
        return 8

    assert _child(go_on) == 7
    assert _child(let_go) == 8
    found.append(next(items))
    assert _child(let_go) == 8
    found += items
    assert len(found) == len(expected)
    for each, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(each, other)


@pytest.mark.parametrize("make", [_frames, _costs, _stream])
def test_an_iterator_that_nobody_has_asked_yet_is_each_ones_own(
    clip: Clip, make: Callable[[Path, int], Iterator[Any]]
) -> None:
    items = make(clip("vp9_gops"), 2)
    count = len(list(make(clip("vp9_gops"), 2)))
    assert _child(lambda: len(list(items))) == count
    assert len(list(items)) == count


@pytest.mark.parametrize("lets_go", [True, False])
def test_a_child_ends_as_any_program_does_while_its_parents_threads_decode(tmp_path: Path, lets_go: bool) -> None:
    """FFmpeg waits for its threads when a decoder is freed, in the child for ever: they are its parent's."""
    clip = make_clip(tmp_path / "large.mp4", frames=16, size=(1920, 1080), options={"preset": "ultrafast", "g": "16"})
    script = f"""
import os, signal
from mediaref.video_decoder import decode_frames, pyav
pyav._PIXELS_A_THREAD = 1
frames = decode_frames({str(clip)!r}, range(16), threads=4)
next(frames)
child = os.fork()
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(frames)) == 15
else:
    signal.alarm(20)
    if {lets_go}:
        del frames
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
