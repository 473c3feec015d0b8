"""Selecting the best blocks, and where groups end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from codec_video_prep.config import PreinferConfig
from codec_video_prep.grouping import Group, Grouper, clamp_bits_per_pixel, readiness_threshold
from codec_video_prep.selection import Selection

SHAPE = (2, 3)


def config(**options: object) -> PreinferConfig:
    return PreinferConfig(video="a.mp4", out_dir="out", **options)  # type: ignore[arg-type]


def cut(grouper: Grouper, scores: list[np.ndarray], bad: set[int] = frozenset()) -> list[Group]:  # type: ignore[assignment]
    groups = [grouper.add(frame, place not in bad) for place, frame in enumerate(scores)]
    return [group for group in [*groups, grouper.flush()] if group is not None]


def constant(*levels: float) -> list[np.ndarray]:
    return [np.full(SHAPE, level) for level in levels]


@given(
    st.lists(hnp.arrays(np.float64, SHAPE, elements=st.integers(0, 5).map(float)), min_size=1, max_size=12),
    st.integers(0, 40),
)
def test_selection_is_the_sorted_head_with_ties_to_the_earlier(frames: list[np.ndarray], budget: int) -> None:
    selection = Selection(budget)
    for place, scores in enumerate(frames, start=1):
        selection.offer(place, scores)
    every = [(-score, place, block) for place, f in enumerate(frames, start=1) for block, score in enumerate(f.ravel())]
    best = sorted(sorted(every)[:budget], key=lambda entry: entry[1:])
    assert selection.frames.tolist() == [place for _, place, _ in best]
    assert selection.blocks.tolist() == [block for _, _, block in best]
    assert selection.total == -sum(score for score, _, _ in best)
    assert selection.offered == len(every)


def test_time_bins_count_equal_parts_without_the_first_frame() -> None:
    selection = Selection(2, frames=np.array([1, 6]), blocks=np.zeros(2, np.int64), scores=np.ones(2))
    assert selection.time_bins(10, 3) == 2  # frames 1-3, 4-6, 7-9
    selection.frames = np.array([1, 3])
    assert selection.time_bins(10, 3) == 1


def test_fixed_groups_follow_one_another_and_a_rest_under_four_is_dropped() -> None:
    made = config(grouping_mode="fixed", group_size=10)
    for total, ends in [(30, [10, 20, 30]), (34, [10, 20, 30, 34]), (33, [10, 20, 30])]:
        groups = cut(Grouper(made, 6, 0.0), constant(*[1.0] * total))
        assert [group.end for group in groups] == ends
        assert {group.stop_reason for group in groups} == {"fixed_group_size"}
        assert [group.start for group in groups] == [0, *ends[:-1]]


def test_a_ready_group_ends_when_a_frame_gains_too_little() -> None:
    # The budget is one frame's blocks: from the third frame on, nothing is gained.
    made = config(min_group_frames=4, readiness_coverage_bins=1)
    groups = cut(Grouper(made, 6, 5.0), constant(*[1.0] * 14))
    assert [(group.end, group.stop_reason) for group in groups] == [
        (5, "readiness_threshold_low_gain"),
        (10, "readiness_threshold_low_gain"),
        (14, "readiness_threshold"),
    ]


def test_a_ready_group_grows_while_it_gains() -> None:
    made = config(min_group_frames=4, readiness_coverage_bins=1, readiness_delta_ratio=0.05)
    levels = [0.0, 1.0, 1.0, 1.0, 1.2, 1.4, 1.45, 1.5]  # gains: 20%, 17%, 3.6%, ...
    groups = cut(Grouper(made, 6, 1.0), constant(*levels))
    assert [(group.end, group.stop_reason) for group in groups] == [(7, "readiness_threshold_low_gain")]


def test_a_group_ends_at_the_longest_length_ready_or_not() -> None:
    made = config(min_group_frames=4, max_group_frames=6)
    never = cut(Grouper(made, 6, 1e9), constant(*[1.0] * 15))
    assert [(group.end, group.stop_reason) for group in never] == [
        (6, "max_group_frames"),
        (12, "max_group_frames"),
    ]
    rising = cut(Grouper(made, 600, 1.0), constant(*[2.0**n for n in range(6)]))
    assert [(group.end, group.stop_reason) for group in rising] == [(6, "readiness_threshold")]


def test_the_end_of_the_video_closes_a_group_that_is_not_ready() -> None:
    groups = cut(Grouper(config(), 6, 1e9), constant(*[1.0] * 9))
    assert [(group.end, group.stop_reason) for group in groups] == [(9, "tail_flush")]
    assert cut(Grouper(config(), 6, 1e9), constant(*[1.0] * 7)) == []


def test_a_group_is_not_ready_before_its_blocks_cover_its_time() -> None:
    made = config(min_group_frames=4, readiness_coverage_bins=3, images_per_group=3)  # two of three parts will do
    early = constant(0, 9, *[1.0] * 20)
    assert cut(Grouper(made, 6, 1.0), early)[0].stop_reason == "tail_flush"  # all blocks come from the first part
    spread = constant(0, 9, 1, 1, 9, *[1.0] * 20)
    assert cut(Grouper(made, 12, 1.0), spread)[0].stop_reason == "readiness_threshold_low_gain"


def test_bad_frames_are_never_selected_and_never_the_anchor() -> None:
    groups = cut(Grouper(config(), 12, 1e9), constant(9, 9, 1, 9, 2, 3, 1, 1), bad={0, 1, 3})
    assert groups[0].anchor == 2
    assert set(groups[0].selection.frames.tolist()) == {4, 5}


def test_a_group_of_bad_frames_keeps_its_first_one_and_selects_nothing() -> None:
    groups = cut(Grouper(config(), 12, 1.0), constant(*[5.0] * 8), bad=set(range(8)))
    assert (groups[0].anchor, len(groups[0].selection.scores)) == (0, 0)


@given(
    st.lists(hnp.arrays(np.float64, SHAPE, elements=st.floats(0, 9)), max_size=60),
    st.sets(st.integers(0, 59)),
    st.integers(1, 12),
    st.integers(0, 12),
    st.floats(0, 200),
    st.integers(0, 30),
)
def test_groups_cover_the_frames_without_a_gap(
    frames: list[np.ndarray], bad: set[int], shortest: int, more: int, threshold: float, budget: int
) -> None:
    made = config(min_group_frames=shortest, max_group_frames=shortest + more)
    grouper = Grouper(made, budget, threshold)
    groups = cut(grouper, frames, bad)
    ends = [0, *[group.end for group in groups]]
    assert [group.start for group in groups] == ends[:-1]
    assert len(frames) - ends[-1] < grouper.shortest
    for number, group in enumerate(groups):
        assert group.index == number
        assert grouper.shortest <= group.frame_count <= grouper.longest
        assert len(group.selection.scores) <= budget
        chosen = set((group.selection.frames + group.start).tolist())
        assert not chosen & (bad | {group.start + group.anchor})


def test_the_estimate_is_the_mean_of_what_windows_reach() -> None:
    made = config(group_size=5, readiness_coverage_bins=3)
    scores = constant(99, 1, 2, 3, 4, 99, 5, 5, 5, 5, 99, 7, 7)  # the last window has three frames: too few
    assert readiness_threshold(made, scores, 6, 0.05) == (6 * 4 + 6 * 5) / 2
    assert readiness_threshold(made, scores, 9, 0.05) == ((6 * 4 + 3 * 3) + 9 * 5) / 2
    assert readiness_threshold(made, scores[:3], 6, 0.05) == 0.0


def test_where_the_threshold_comes_from() -> None:
    scores = constant(*[1.0] * 32)

    def threshold(**options: object) -> float:
        return readiness_threshold(config(**options), scores, 6, clamp_bits_per_pixel(0.04))

    assert threshold() == threshold(readiness_sum_threshold_mode="auto") == 6.0
    assert threshold(readiness_sum_threshold=7) == 7.0
    assert threshold(readiness_sum_threshold=7, readiness_sum_threshold_mode="auto") == 6.0
    assert threshold(readiness_sum_threshold=7, readiness_sum_threshold_mode="fixed") == 7.0
    assert threshold(readiness_sum_threshold_mode="fixed") == 0.0
    assert threshold(readiness_sum_threshold_mode="clamped_sqrt_bpppf") == pytest.approx(2_250_000 * 0.2)
    assert threshold(grouping_mode="fixed", readiness_sum_threshold=7) == 0.0


def test_bits_per_pixel_are_clamped() -> None:
    assert [clamp_bits_per_pixel(value) for value in (0.0, 0.05, 9.0)] == [0.015, 0.05, 0.09]
