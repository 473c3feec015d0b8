"""Which frames are sampled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec_video_prep.sampling import (
    KEYFRAME_REACH,
    avoid_keyframes,
    nearest_frames,
    sample_by_rate,
    sample_packet_peaks,
    sample_uniformly,
)


def keys(total: int, *places: int) -> np.ndarray:
    is_key = np.zeros(total, np.bool_)
    is_key[list(places)] = True
    return is_key


def test_uniform_samples_begin_with_the_first_frame_and_end_with_the_last() -> None:
    assert sample_uniformly(100, 4).tolist() == [0, 33, 66, 99]


def test_uniform_samples_repeat_where_the_video_is_short() -> None:
    assert sample_uniformly(3, 7).tolist() == [0, 0, 0, 1, 1, 1, 2]


def test_by_rate_takes_the_nearest_frame_and_of_two_the_even_one() -> None:
    # At 30 frames a second every second sample of 4 a second falls half-way between two frames.
    starts = np.floor(np.arange(60) / 30 * 1e9) / 1e9
    assert sample_by_rate(starts, 2.0, 4.0).tolist() == [0, 8, 15, 22, 30, 38, 45, 52]


def test_by_rate_follows_the_clock_of_a_video_with_a_variable_rate() -> None:
    starts = np.array([0.0, 0.1, 0.2, 1.0, 1.9, 2.0])
    assert sample_by_rate(starts, 2.1, 1.0).tolist() == [0, 3, 5]


@given(st.integers(1, 200), st.sampled_from([24.0, 25.0, 30000 / 1001, 30.0, 60.0]), st.floats(0.1, 70))
def test_by_rate_is_the_rounded_product_at_a_constant_rate(total: int, fps: float, rate: float) -> None:
    samples = sample_by_rate(np.arange(total) / fps, total / fps, rate)
    places = np.round(np.arange(len(samples)) / rate * fps, 6)
    assert samples.tolist() == np.minimum(np.rint(places), total - 1).tolist()
    assert len(samples) == max(1, int(np.ceil(round(total / fps * rate, 6))))


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30), st.lists(st.floats(-1, 11), max_size=20))
def test_nearest_frame_is_nearest(starts: list[float], times: list[float]) -> None:
    ascending = np.unique(np.round(starts, 3))
    for time, frame in zip(times, nearest_frames(ascending, np.array(times)), strict=True):
        assert abs(ascending[frame] - time) <= np.abs(ascending - time).min() + 1e-4


def test_packet_peaks_find_the_half_seconds_with_the_largest_packets() -> None:
    starts = np.arange(250) / 25
    sizes = np.full(250, 100)
    sizes[88:125] = 60_000  # from 3.5 s to 5 s: with its neighbours, the half second from 4.0 s on is the highest
    is_key = keys(250, *range(0, 250, 50))
    sizes[is_key] = 10**9  # a keyframe's size must not count
    assert sample_packet_peaks(starts, 1.0, sizes, is_key).tolist() == [106]
    assert len(sample_packet_peaks(starts, 10.0, sizes, is_key)) == 10


def test_packet_peaks_of_a_video_of_keyframes_are_none() -> None:
    assert len(sample_packet_peaks(np.arange(9) / 3, 3.0, np.full(9, 7), np.ones(9, np.bool_))) == 0


@pytest.mark.parametrize("total", [1, 2, 13, 40])
def test_packet_peaks_of_short_videos_are_frames_of_it(total: int) -> None:
    peaks = sample_packet_peaks(np.arange(total) / 25, total / 25, np.arange(total) + 1, keys(total))
    assert len(peaks) >= 1
    assert peaks.min() >= 0
    assert peaks.max() < total


def test_a_sample_on_a_keyframe_moves_later_first() -> None:
    assert avoid_keyframes(np.array([0, 10, 20]), keys(30, 0, 10, 20, 21)).tolist() == [1, 11, 19]


def test_a_sample_stays_where_there_are_only_keyframes() -> None:
    assert avoid_keyframes(np.array([0, 5, 9]), np.ones(10, np.bool_)).tolist() == [0, 5, 9]


def test_samples_that_fall_together_are_replaced_by_the_nearest_unused_frame() -> None:
    # 0 moves to 1, where a sample is already; of the frames next to a sample, 4 is nearest to the middle.
    assert avoid_keyframes(np.array([0, 1, 3]), keys(10, 0)).tolist() == [1, 3, 4]


def test_keyframes_fill_up_only_at_the_end() -> None:
    assert avoid_keyframes(np.arange(4), keys(6, 0, 3)).tolist() == [1, 2, 4, 5]
    assert avoid_keyframes(np.arange(5), keys(6, 0, 3)).tolist() == [1, 2, 3, 4, 5]
    assert avoid_keyframes(np.array([0, 0, 1, 1, 2, 2, 3]), keys(4, 0)).tolist() == [0, 1, 2, 3]


@given(st.data())
def test_avoiding_keyframes_keeps_the_count_and_moves_nothing_far(data: st.DataObject) -> None:
    is_key = np.array(data.draw(st.lists(st.booleans(), min_size=1, max_size=40)))
    total = len(is_key)
    asked = np.sort(data.draw(st.lists(st.integers(0, total - 1), min_size=1, max_size=60)))
    kept = avoid_keyframes(asked, is_key)
    assert len(kept) == min(len(asked), total)
    assert len(np.unique(kept)) == len(kept)
    assert (np.diff(kept) > 0).all()
    others = int((~is_key).sum())
    if len(kept) < others and all((~is_key[max(0, f - KEYFRAME_REACH) : f + KEYFRAME_REACH + 1]).any() for f in asked):
        assert not is_key[kept].any()
    for frame in asked:
        if not is_key[frame]:
            assert frame in kept
