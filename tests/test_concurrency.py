"""Threads, processes and interruptions around real files: nothing hangs, nothing stays behind, no frame is wrong."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codec_video_prep
import mediaref
from mediaref import MediaRef, ReadStats, batch_decode, cleanup_cache, read_stats
from mediaref.bitcost import iter_bit_costs, read_bit_costs
from mediaref.errors import CorruptMediaError
from mediaref.video_decoder import VideoIndex, decode_frames, pyav
from mediaref.video_decoder.plan import Span
from mediaref.video_decoder.span_decoder import SpanDecoder

Clip = Callable[[str], Path]

#: `MEDIAREF_PROCESSES=200` in the environment opens one file from so many at once.
PROCESSES = int(os.environ.get("MEDIAREF_PROCESSES", "8"))

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _spoil(path: Path, frame: int, to: Path) -> Path:
    """A copy of a video with the second half of one frame's packet overwritten."""
    index = VideoIndex.open(path)
    row = int(index.packet_of[frame])
    content = bytearray(path.read_bytes())
    begin, size = int(index.packets.position[row]), int(index.packets.size[row])
    content[begin + size // 2 : begin + size] = bytes([0x55]) * (size - size // 2)
    to.write_bytes(content)
    return to


@pytest.mark.usefixtures("_no_collection")
@pytest.mark.parametrize("name", ["vp9_gops", "plain"])
def test_an_error_leaves_no_thread_and_no_open_file(clip: Clip, tmp_path: Path, name: str) -> None:
    spoiled = _spoil(clip(name), 7, tmp_path / clip(name).name)
    index = VideoIndex.open(spoiled)
    files, running = _open_files(), set(threading.enumerate())  # other tests' servers, for instance
    with pytest.raises(CorruptMediaError) as raised:
        read_bit_costs(index, threads=2)
    assert set(threading.enumerate()) <= running
    assert _open_files() == files
    del raised


def _open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def _answers(path: Path, threads: int = 1) -> str:
    """A digest of some frames' pixels and of all bit costs."""
    digest = hashlib.sha256()
    pts = [0, 250_000_000, 500_000_000, 33_400_000]
    for pixels in batch_decode([MediaRef(uri=str(path), pts_ns=time) for time in pts], threads=threads):
        digest.update(pixels.tobytes())
    for cost in read_bit_costs(path, threads=threads):
        digest.update(cost.bits.tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("name", ["plain", "hevc", "vp9_gops"])
def test_threads_share_files_and_their_indexes_with_the_same_answers(clip: Clip, name: str) -> None:
    expected = _answers(clip(name))
    cleanup_cache()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _answers(clip(name), threads=2), range(24)))
    assert set(answers) == {expected}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_open_the_same_file_with_the_same_answers(clip: Clip, method: str) -> None:
    """The parent has used the file, so that forked children begin with its caches."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"needs {method}")
    expected = _answers(clip("plain"), threads=2)
    processes = PROCESSES if method == "fork" else 2
    with multiprocessing.get_context(method).Pool(processes) as pool:
        answers = pool.map_async(_answers, [clip("plain")] * (2 * processes), chunksize=1).get(100)
    assert set(answers) == {expected}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_cache_is_usable_in_a_child_that_was_forked_while_a_thread_used_it(clip: Clip) -> None:
    path, stop = clip("plain"), threading.Event()

    def use() -> None:
        while not stop.is_set():
            cleanup_cache()
            VideoIndex.open(path)

    busy = threading.Thread(target=use)
    busy.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(20)
                os._exit(0 if len(VideoIndex.open(path)) == 24 else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        busy.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_was_forked_while_a_thread_counted_what_it_read_can_count(clip: Clip) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with read_stats._adding:
            held.set()
            done.wait()

    counting = threading.Thread(target=hold)
    counting.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        with ReadStats():
            read_bit_costs(clip("plain"), [3])
        os._exit(0)
    done.set()
    counting.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_no_property_is_cached_under_a_lock_that_a_fork_may_leave_held() -> None:
    """`cached_property` has one for all instances before Python 3.12."""
    paths = [path for package in (mediaref, codec_video_prep) for path in Path(package.__file__).parent.rglob("*.py")]
    assert [path for path in paths if "import cached_property" in path.read_text(encoding="utf-8")] == []


def _half_of_the_bit_costs(path: Path) -> Iterator[Any]:
    return iter_bit_costs(path, range(24), threads=2)


def _half_of_the_frames(path: Path) -> Iterator[Any]:
    return decode_frames(path, range(24), threads=2)


@pytest.mark.usefixtures("_no_collection")
@pytest.mark.parametrize("begin", [_half_of_the_bit_costs, _half_of_the_frames])
def test_the_garbage_collector_may_close_an_iterator_at_the_worst_moment(
    clip: Clip, begin: Callable[[Path], Iterator[Any]]
) -> None:
    """It once ran while a thread was being started, closed an iterator, and waited for a thread that could not end."""
    frames = begin(clip("vp9_gops"))
    next(frames)
    cycle: list[Any] = [frames]
    cycle.append(cycle)
    del frames, cycle
    worst: AbstractContextManager[Any] = getattr(threading, "_shutdown_locks_lock", None) or nullcontext()
    collector = threading.Thread(target=lambda: _collect_within(worst), daemon=True)
    collector.start()
    collector.join(30)
    assert not collector.is_alive()


def test_a_thread_that_ctrl_c_hid_while_it_started_keeps_its_decoder(
    clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder was once closed under it, and FFmpeg took the process down."""
    at_work, go_on, done = threading.Event(), threading.Event(), threading.Event()
    start, decode, close = threading.Thread.start, SpanDecoder.decode, SpanDecoder.__exit__
    in_use: list[SpanDecoder] = []
    closed: list[SpanDecoder] = []

    def interrupted_start(thread: threading.Thread) -> None:
        start(thread)
        at_work.wait(20)
        raise KeyboardInterrupt

    def slow_decode(decoder: SpanDecoder, *arguments: Any) -> Iterator[Any]:
        in_use.append(decoder)
        at_work.set()
        go_on.wait(20)
        done.set()
        yield from decode(decoder, *arguments)

    def watched_close(decoder: SpanDecoder, *error: object) -> None:
        closed.append(decoder)
        close(decoder, *error)

    monkeypatch.setattr(threading.Thread, "start", interrupted_start)
    monkeypatch.setattr(SpanDecoder, "decode", slow_decode)
    monkeypatch.setattr(SpanDecoder, "__exit__", watched_close)
    with pytest.raises(KeyboardInterrupt):
        list(decode_frames(clip("vp9_gops"), range(24), threads=2))
    closed_in_use = set(in_use) & set(closed)
    go_on.set()
    assert done.wait(20)
    assert not closed_in_use
    assert len(in_use) == len(closed) == 1


def _collect_within(worst: AbstractContextManager[Any]) -> None:
    with worst:
        gc.collect()


def test_a_batch_goes_side_by_side_however_large_it_is(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    side_by_side = pyav._side_by_side
    monkeypatch.setattr(pyav, "_HELD_BYTES", 0)
    monkeypatch.setattr(pyav, "_side_by_side", lambda *given: calls.append(given) or side_by_side(*given))
    index = VideoIndex.open(clip("plain"))
    assert index.pts_ns is not None
    refs = [MediaRef(uri=str(clip("plain")), pts_ns=int(time)) for time in index.pts_ns]
    expected = dict(decode_frames(index, range(len(index)), threads=2))  # an iterator may hold so much and no more
    assert not calls
    for frame, pixels in enumerate(batch_decode(refs, threads=2)):
        assert np.array_equal(pixels, expected[frame])
    assert calls


def test_spans_go_side_by_side_only_if_that_keeps_the_threads_busy() -> None:
    def spans(*costs: int) -> list[Span]:
        return [Span(np.arange(cost), np.zeros(1, np.int64)) for cost in costs]

    assert pyav._are_busy(2, spans(40, 40, 40))
    assert pyav._are_busy(4, spans(250, 250, 250, 100))
    assert not pyav._are_busy(2, spans(250, 50))
    assert not pyav._are_busy(4, spans(250, 100, 10, 10))
