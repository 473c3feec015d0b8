"""Decoders that are kept between calls: they change no pixel, and what might spoil one is not kept."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import CLIPS
from reference import digest, plain_decode

from mediaref import cleanup_cache, limits
from mediaref.video_decoder import VideoIndex, decode_frames, pyav
from mediaref.video_decoder.cache import IdlePool, idle_decoders
from mediaref.video_decoder.frame_decoder import FrameDecoder
from mediaref.video_decoder.pyav import frames_or_errors

Clip = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    cleanup_cache()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many threads each decoder has that is made meanwhile."""
    made: list[int] = []
    original = FrameDecoder.__init__

    def counting(self: FrameDecoder, *args: Any, threads: int = 1, **rest: Any) -> None:
        made.append(threads)
        original(self, *args, threads=threads, **rest)

    monkeypatch.setattr(FrameDecoder, "__init__", counting)
    return made


@pytest.mark.parametrize("name", list(CLIPS))
def test_frames_one_by_one_in_any_order_are_those_of_a_full_decode(clip: Clip, name: str, made: list[int]) -> None:
    index = VideoIndex.open(clip(name))
    plain = plain_decode(clip(name), index)
    asked = random.Random(7).choices(range(len(index)), k=8)
    for frame in asked:
        ((_, pixels),) = decode_frames(index, [frame], threads=1)
        assert digest(pixels) == plain.pixels[frame]
    assert len(made) == (1 if index.parser is not None and not index.has_side_data else 8)


def test_a_call_that_is_left_half_way_spoils_nothing(clip: Clip, made: list[int]) -> None:
    index = VideoIndex.open(clip("pyramid"))
    plain = plain_decode(clip("pyramid"), index)
    for frame in (3, 30, 17):
        running = decode_frames(index, range(frame, len(index)), threads=1)
        _, pixels = next(running)
        running.close()
        assert digest(pixels) == plain.pixels[frame]
    assert made == [1]


def test_calls_at_the_same_time_have_decoders_of_their_own(clip: Clip, made: list[int]) -> None:
    index = VideoIndex.open(clip("pyramid"))
    plain = plain_decode(clip("pyramid"), index)
    running = [decode_frames(index, range(len(index)), threads=1) for _ in range(3)]
    for together in zip(*running, strict=True):
        assert {digest(pixels) == plain.pixels[frame] for frame, pixels in together} == {True}
    assert made == [1, 1, 1]
    assert len(idle_decoders) == 3


def test_a_decoder_that_met_damage_is_not_kept(clip: Clip, tmp_path: Path) -> None:
    index = VideoIndex.open(clip("no_b"))
    victim = int(np.flatnonzero(index.is_key)[1])
    damaged = bytearray(clip("no_b").read_bytes())
    row = int(index.packet_of[victim])
    position, size = int(index.packets.position[row]), int(index.packets.size[row])
    damaged[position : position + size] = bytes(size)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(damaged)
    cleanup_cache()
    list(frames_or_errors(VideoIndex.open(path), [victim], threads=1))
    assert len(idle_decoders) == 0
    list(frames_or_errors(VideoIndex.open(path), [0], threads=1))
    assert len(idle_decoders) == 1


def test_a_decoder_with_threads_is_not_kept(clip: Clip, made: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyav, "_PIXELS_A_THREAD", 1)
    index = VideoIndex.open(clip("pyramid"))
    cleanup_cache()
    list(decode_frames(index, [5], threads=2))
    assert made == [1, 2]
    assert len(idle_decoders) == 0


def test_the_decoder_that_looked_at_the_first_picture_is_the_first_to_be_used(clip: Clip, made: list[int]) -> None:
    index = VideoIndex.open(clip("pyramid"))
    assert len(idle_decoders) == 1
    plain = plain_decode(clip("pyramid"), index)
    ((_, pixels),) = decode_frames(index, [5], threads=1)
    assert digest(pixels) == plain.pixels[5]
    assert made == [1]


def test_a_decoder_is_told_the_limit_that_holds_now(
    clip: Clip, made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = VideoIndex.open(clip("plain"))
    list(decode_frames(index, [0], threads=1))
    monkeypatch.setattr(limits, "MAX_FRAME_PIXELS", limits.MAX_FRAME_PIXELS - 1)
    list(decode_frames(index, [0], threads=1))
    assert made == [1, 1]


def test_cleanup_lets_go_of_them(clip: Clip) -> None:
    list(decode_frames(clip("plain"), [0], threads=1))
    assert len(idle_decoders) == 1
    cleanup_cache()
    assert len(idle_decoders) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_parent_and_child_use_a_kept_decoder_each(clip: Clip) -> None:
    index = VideoIndex.open(clip("pyramid"))
    plain = plain_decode(clip("pyramid"), index)
    list(decode_frames(index, [3], threads=1))

    def are_right() -> bool:
        return all(digest(pixels) == plain.pixels[f] for f, pixels in decode_frames(index, [2, 21, 33], threads=1))

    child = os.fork()
    if child == 0:
        os._exit(0 if len(idle_decoders) == 1 and are_right() else 1)
    assert are_right()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_pool_keeps_what_was_used_last_within_its_capacity() -> None:
    pool: IdlePool[str] = IdlePool(10)
    for key, value in (("a", "a1"), ("b", "b1"), ("a", "a2")):
        pool.give(key, value, 4)
    assert len(pool) == 2
    assert pool.take("a") == "a2"
    assert pool.take("a") is None
    assert pool.take("b") == "b1"
    pool.give("c", "larger than all", 11)
    assert len(pool) == 0


def test_nobody_waits_for_the_pool() -> None:
    pool: IdlePool[str] = IdlePool(10)
    pool.give("a", "a1", 1)
    found: list[str | None] = []
    with pool._lock:  # as a thread, a signal or the garbage collector may find it, or a child for ever

        def work() -> None:
            pool.give("a", "a2", 1)
            found.append(pool.take("a"))

        other = threading.Thread(target=work)
        other.start()
        other.join(timeout=10)
        assert not other.is_alive()
    assert found == [None]
    assert pool.take("a") == "a1"
