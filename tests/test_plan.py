"""Decode plans: enough packets, and no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mediaref.errors import FrameIndexError
from mediaref.video_decoder import DecodePlan, VideoIndex

Clip = Callable[[str], Path]


def test_a_keyframe_costs_one_packet(clip: Clip) -> None:
    index = VideoIndex.open(clip("plain"))
    for frame in np.flatnonzero(index.is_key):
        plan = DecodePlan.of(index, [int(frame)])
        assert plan.packets.tolist() == [index.packet_of[frame]]


def test_pictures_that_nothing_depends_on_are_left_out_and_targets_are_not(clip: Clip) -> None:
    index = VideoIndex.open(clip("plain"))
    unreferenced = np.flatnonzero(~index.is_referenced)
    assert len(unreferenced) > 3
    last = int(np.argmax(index.packet_of))
    fed = set(DecodePlan.of(index, [last, int(unreferenced[0])]).packets.tolist())
    assert int(index.packet_of[unreferenced[0]]) in fed
    assert not fed & {int(index.packet_of[frame]) for frame in unreferenced[1:] if frame != last}


def test_groups_without_targets_are_not_touched(clip: Clip) -> None:
    index = VideoIndex.open(clip("long"))
    keys = np.sort(index.packet_of[index.is_key])
    frame = int(np.flatnonzero(index.packet_of == keys[-1])[0])
    plan = DecodePlan.of(index, [0, frame])
    assert [span.start for span in plan.spans] == [0, int(keys[-1])]
    assert len(plan.packets) == 2


def test_an_open_group_is_entered_at_its_recovery_point_and_its_leading_pictures_come_from_before(clip: Clip) -> None:
    index = VideoIndex.open(clip("open_gop"))
    starts = np.flatnonzero(index.packets.is_recovery_point & ~index.packets.is_idr)
    assert len(starts), "the encoder made no open group"
    entry = int(starts[0])
    shown = int(np.flatnonzero(index.packet_of == entry)[0])
    assert DecodePlan.of(index, [shown]).spans[0].start == entry
    leading = [frame for frame in range(shown) if index.packet_of[frame] > entry]
    assert leading, "the encoder made no leading picture"
    for asked in ([leading[0], shown], [0, leading[0], shown], [shown, leading[-1], shown + 1]):
        plan = DecodePlan.of(index, asked)
        assert len(plan.spans) == 1
        assert plan.spans[0].start < entry


def test_gradual_refresh_is_decoded_from_the_last_reset(clip: Clip) -> None:
    index = VideoIndex.open(clip("intra_refresh"))
    assert index.packets.is_recovery_point.sum() > index.packets.is_idr.sum()
    assert DecodePlan.of(index, [len(index) - 1]).spans[0].start == 0


def test_order_and_repeats_of_the_request_do_not_matter(clip: Clip) -> None:
    index = VideoIndex.open(clip("pyramid"))
    plan = DecodePlan.of(index, [7, 3, 30, 7])
    assert plan.packets.tolist() == DecodePlan.of(index, [3, 7, 30]).packets.tolist()
    assert (np.diff(plan.packets) > 0).all()


def test_a_plan_of_nothing_is_empty_and_one_past_the_end_an_error(clip: Clip) -> None:
    index = VideoIndex.open(clip("plain"))
    assert len(DecodePlan.of(index, []).packets) == 0
    for frame in (-1, len(index)):
        with pytest.raises(FrameIndexError, match=f"no frame {frame}"):
            DecodePlan.of(index, [frame])


def test_explain_says_what_is_fed(clip: Clip) -> None:
    index = VideoIndex.open(clip("plain"))
    text = DecodePlan.of(index, [5, 20]).explain()
    assert "frames 5" in text
    assert "frames 20" in text
    assert f"of {len(index.packets)} packets fed, 2 frames returned" in text
