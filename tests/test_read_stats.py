"""`ReadStats` counts what is read where its blocks are open: each thing once, whoever made what reads it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from mediaref import MediaRef, ReadStats, iter_decode, read_stats
from mediaref.bitcost import iter_bit_costs
from mediaref.video_decoder import VideoIndex, decode_frames

Clip = Callable[[str], Path]

pytestmark = pytest.mark.timeout(60)


def counted(path: Path, threads: int = 1) -> ReadStats:
    VideoIndex.open(path).with_headers()
    with ReadStats() as stats:
        list(decode_frames(path, range(3, 9), threads=threads))
    assert stats.packets_fed > 0
    assert stats.frames_returned == 6
    return stats


def test_a_block_within_itself_counts_everything_once(clip: Clip) -> None:
    expected = counted(clip("plain"))
    with ReadStats() as stats, stats:
        list(decode_frames(clip("plain"), range(3, 9), threads=1))
    assert stats == expected
    with stats, ReadStats() as inner, stats:
        list(decode_frames(clip("plain"), range(3, 9), threads=1))
    assert inner == expected
    assert astuple(stats) == tuple(2 * number for number in astuple(expected))
    list(decode_frames(clip("plain"), range(3, 9), threads=1))
    assert inner == expected


def test_threads_may_count_together(clip: Clip) -> None:
    expected = counted(clip("plain"))
    stats, begun = ReadStats(), threading.Barrier(4)

    def decode(_: int) -> None:
        with stats:
            begun.wait()  # until all are in the block
            list(decode_frames(clip("plain"), range(3, 9), threads=1))
            begun.wait()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(decode, range(4)))
    assert astuple(stats) == tuple(4 * number for number in astuple(expected))


def _frames(path: Path, threads: int) -> Iterator[Any]:
    return decode_frames(path, range(24), threads=threads)


def _costs(path: Path, threads: int) -> Iterator[Any]:
    return iter_bit_costs(path, range(24), threads=threads)


def _stream(path: Path, threads: int) -> Iterator[Any]:
    times = VideoIndex.open(path).pts_ns
    assert times is not None
    refs = [MediaRef(uri=str(path), pts_ns=time) for time in times.tolist()]
    return iter_decode([*refs, *refs], threads=threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("make", [_frames, _costs, _stream])
def test_an_iterator_counts_where_it_is_asked(
    clip: Clip, make: Callable[[Path, int], Iterator[Any]], threads: int
) -> None:
    path = clip("vp9_gops")
    VideoIndex.open(path).with_headers()
    with ReadStats() as whole:
        list(make(path, threads))
    with ReadStats() as making:
        items = make(path, threads)
    assert not any(astuple(making))
    with ReadStats() as asking:
        list(items)
    assert asking == whole
    assert asking.bytes_read
    assert make is _costs or asking.packets_fed
    assert not any(astuple(making))


def test_what_was_fed_for_an_item_is_counted_with_it(clip: Clip) -> None:
    """Not only when the iterator goes on, or when the garbage collector closes it in somebody else's block."""
    frames = decode_frames(clip("plain"), range(24), threads=1)
    with ReadStats() as first:
        next(frames)
    with ReadStats() as closing:
        frames.close()
    assert first.packets_fed >= 1
    assert not any(astuple(closing))


def test_blocks_of_generators_may_end_in_any_order() -> None:
    def block(stats: ReadStats) -> Iterator[None]:
        with stats:
            yield

    ended, open_still = ReadStats(), ReadStats()
    first, second = block(ended), block(open_still)
    next(first), next(second)
    list(first)
    read_stats.count(requests=1)
    list(second)
    read_stats.count(requests=1)
    assert (ended.requests, open_still.requests) == (0, 1)


def test_counting_that_interrupts_counting_does_not_wait_for_it() -> None:
    """The garbage collector may close a decoder at any moment."""
    with read_stats._adding, ReadStats() as stats:
        read_stats.count(requests=1)
    assert stats.requests == 1
