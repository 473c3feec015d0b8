"""Decode plans: enough packets, and no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clips import layered

from mediaref import ReadStats
from mediaref.errors import FrameIndexError
from mediaref.video_decoder import DecodePlan, VideoIndex, decode_frames

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
    index = VideoIndex.open(clip("open_gop")).with_headers()
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


def test_gradual_refresh_is_entered_where_it_is_complete_by_the_time_of_the_target(clip: Clip) -> None:
    index = VideoIndex.open(clip("intra_refresh")).with_headers()
    table = index.packets
    points = np.flatnonzero(table.is_recovery_point)
    assert len(points) > table.is_idr.sum() == 1
    assert (table.recovery_frames[points[1:]] > 0).all()
    complete = points + table.recovery_frames[points]  # every picture of this clip is a reference
    for frame in range(len(index)):
        start = points[complete <= index.packet_of[frame]][-1]
        assert DecodePlan.of(index, [frame]).spans[0].start == start


def test_references_that_serve_only_their_own_group_are_left_out(clip: Clip) -> None:
    index = VideoIndex.open(clip("hevc_layers")).with_headers()
    table = index.packets
    anchors = np.flatnonzero(table.picture_type != ord("B"))
    assert (table.is_referenced & (table.picture_type == ord("B"))).any()
    frame = int(np.flatnonzero(index.packet_of == anchors[-1])[0])
    assert DecodePlan.of(index, [frame]).packets.tolist() == anchors.tolist()


def test_frames_that_reset_their_state_depend_on_their_references_alone(clip: Clip, tmp_path: Path) -> None:
    index = VideoIndex.open(layered(clip("vp9_error_resilient"), tmp_path / "layers.ivf"))
    assert DecodePlan.of(index, [6]).packets.tolist() == [0, 2, 4, 6]
    assert DecodePlan.of(index, [5]).packets.tolist() == [0, 2, 4, 5]
    adaptive = VideoIndex.open(clip("vp9"))
    assert DecodePlan.of(adaptive, [6]).packets.tolist() == list(range(7))


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


def test_a_plan_tells_its_frames_and_what_it_takes(clip: Clip) -> None:
    index = VideoIndex.open(clip("plain"))
    plan = DecodePlan.of(index, [20, 5, 20])
    assert plan.frames.tolist() == [5, 20]
    assert plan.cost == len(plan.packets)
    with ReadStats() as stats:
        assert len(list(decode_frames(index, [5, 20], threads=1))) == 2
    assert stats.packets_fed == plan.cost
    assert stats.bytes_read == plan.packet_bytes
    assert DecodePlan.of(index, []).frames.tolist() == []


def test_explain_says_what_is_fed_and_why(clip: Clip) -> None:
    index = VideoIndex.open(clip("plain"))
    plan = DecodePlan.of(index, [5, 20])
    text = plan.explain()
    assert "frames 5" in text
    assert "frames 20" in text
    assert f"{len(plan.packets)} of {len(index.packets)} packets fed, 2 frames returned" in text
    assert f"{plan.packet_bytes} of {index.packets.size.sum()} bytes read" in text
    assert "a picture that resets the decoder" in text
    assert "that no picture refers to" in text
    for name, frame, reason in (
        ("intra_refresh", 39, "a gradual refresh that is complete"),
        ("open_gop", 39, "an intra picture that all later ones can be shown from"),
        ("hevc_layers", 24, "serving other frames alone"),
        ("mpeg4", 20, "a keyframe by the container"),
    ):
        assert reason in DecodePlan.of(VideoIndex.open(clip(name)), [frame]).explain()
    assert "0 frames returned" in DecodePlan.of(index, []).explain()
