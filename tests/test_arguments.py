"""What asks for nothing that there is: an error of ours at once, before anything is guessed or decoded."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaref import MediaRef, batch_decode, nearby
from mediaref.bitcost import iter_bit_costs, read_bit_costs
from mediaref.errors import FrameIndexError, InvalidReferenceError, InvalidTypeError, LimitExceededError
from mediaref.video_decoder import (
    DecodePlan,
    PyAVVideoDecoder,
    VideoIndex,
    decode_frames,
    nearest_cheap_frames,
    packets_to_feed,
)

Clip = Callable[[str], Path]

#: Every way to ask for frames by their numbers: gives the numbers of what came.
ROADS: dict[str, Callable[[VideoIndex, Any], list[int]]] = {
    "decode_frames": lambda index, frames: [frame for frame, _ in decode_frames(index, frames)],
    "DecodePlan": lambda index, frames: [f for span in DecodePlan.of(index, frames).spans for f in span.frames],
    "read_bit_costs": lambda index, frames: [cost.frame_index for cost in read_bit_costs(index, frames)],
    "iter_bit_costs": lambda index, frames: [cost.frame_index for cost in iter_bit_costs(index, frames)],
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("make", [iter, set, tuple, np.array, np.uint8, dict.fromkeys])
def test_frames_are_any_iterable_of_whole_numbers(clip: Clip, road: str, make: Callable[[list[int]], Any]) -> None:
    assert sorted(ROADS[road](VideoIndex.open(clip("plain")), make([2, 5, 11]))) == [2, 5, 11]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize(
    "wrong", [[1.0], [1.5], ["7"], "7", b"7", [True], [np.True_], [None], [[1]], 5, np.array([1.0]), [float("nan")]]
)
def test_frames_that_are_no_whole_numbers_are_refused(clip: Clip, road: str, wrong: Any) -> None:
    with pytest.raises(InvalidTypeError, match="frame") as raised:
        ROADS[road](VideoIndex.open(clip("plain")), wrong)
    assert isinstance(raised.value, TypeError)
    assert isinstance(raised.value, ValueError)


def test_other_questions_about_frames_are_checked_alike(clip: Clip) -> None:
    index = VideoIndex.open(clip("plain"))
    decoder = PyAVVideoDecoder(clip("plain"))
    asks: list[Callable[[Any], object]] = [
        lambda frame: packets_to_feed(index, [frame]),
        lambda frame: index.packets_of(frame),
        lambda frame: index.with_headers([frame]),
        lambda frame: decoder.get_frames_at([frame]),
        lambda frame: decoder[frame],
    ]
    for ask in asks:
        ask(np.int16(3))
        for wrong in ("7", True, 1.5):
            with pytest.raises(InvalidTypeError, match="frame"):
                ask(wrong)
        with pytest.raises(FrameIndexError, match="no frame 500"):
            ask(500)
    with pytest.raises(FrameIndexError):
        index.packets_of(-1)


@pytest.mark.parametrize("wrong", [1.5, 1e9, "7", True, None, float("nan"), float("inf")])
def test_times_are_whole_nanoseconds(clip: Clip, wrong: Any) -> None:
    index = VideoIndex.open(clip("plain"))
    for ask in (index.frame_at, index.has_frame_at, lambda time: index.frames_at([0, time])):
        with pytest.raises(InvalidTypeError, match="nanoseconds"):
            ask(wrong)
    with pytest.raises(InvalidTypeError, match="nanoseconds"):
        nearest_cheap_frames(index, [wrong], 0)


@pytest.mark.parametrize("make", [int, np.int64])
def test_a_tolerance_may_be_as_long_as_any_time(clip: Clip, make: Callable[[int], Any]) -> None:
    longest = make(2**63 - 1)
    index = VideoIndex.open(clip("plain"))
    assert index.is_key[nearest_cheap_frames(index, [100_000_000], longest)].all()
    (moved,) = nearby([MediaRef(uri=str(clip("plain")), pts_ns=100_000_000)], longest)
    assert index.is_key[index.frame_at(moved.pts_ns or 0)]


@pytest.mark.parametrize("wrong", [-1, 0.5, "1s", None, float("inf")])
def test_a_tolerance_that_is_none_is_refused(clip: Clip, wrong: Any) -> None:
    ref = MediaRef(uri=str(clip("plain")), pts_ns=0)
    asks: list[Callable[[], object]] = [
        lambda: nearby([ref], wrong),
        lambda: nearest_cheap_frames(VideoIndex.open(clip("plain")), [0], wrong),
        lambda: batch_decode([ref], tolerance_ns=wrong),
        lambda: ref.to_ndarray(tolerance_ns=wrong),
    ]
    for ask in asks:
        with pytest.raises(InvalidReferenceError, match="tolerance_ns"):
            ask()


@pytest.mark.parametrize("wrong", [(0, 0), (-5, 10), (10, -5), (88.0, 72.0), ("8", "8"), (8,), (8, 8, 8), 8])
def test_a_size_is_two_whole_numbers_of_pixels(clip: Clip, wrong: Any) -> None:
    with pytest.raises(InvalidReferenceError, match="size"):
        decode_frames(clip("plain"), [1], size=wrong)


def test_a_size_has_the_limit_of_frames(clip: Clip) -> None:
    with pytest.raises(LimitExceededError, match="MAX_FRAME_PIXELS"):
        decode_frames(clip("plain"), [1], size=(100_000, 100_000))
    ((_, pixels),) = decode_frames(clip("plain"), [1], size=(np.int32(8), 6))  # type: ignore[arg-type]
    assert pixels.shape == (6, 8, 3)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", True])
def test_threads_are_a_whole_number(clip: Clip, wrong: Any) -> None:
    with pytest.raises(InvalidReferenceError, match="threads"):
        decode_frames(clip("plain"), [1], threads=wrong)


@pytest.mark.parametrize("wrong", [None, 5, "clip.mp4"])
def test_references_are_an_iterable_of_references(wrong: Any) -> None:
    with pytest.raises(InvalidTypeError, match="refs must be a list"):
        batch_decode(wrong)


@pytest.mark.parametrize("wrong", [None, 5, b"clip.mp4", io.BytesIO(b"mp4"), bytes(10_000)])
def test_a_video_is_a_path_or_a_uri(wrong: Any) -> None:
    with pytest.raises(InvalidTypeError, match=r"^.{1,80} names no file") as raised:
        VideoIndex.open(wrong)
    assert isinstance(raised.value, TypeError)
