"""The low-level reader: the original's dicts, with exact bits and exact pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from reference import picture_types

from codec_video_prep.cv_reader_fast import (
    read_video_fast,
    read_video_fast_selected,
    read_video_fast_selected_segment,
)
from mediaref.bitcost import read_bit_costs

Clip = Callable[[str], Path]


def test_every_frame_with_its_type(clip: Clip) -> None:
    frames = read_video_fast(str(clip("plain")))
    types = picture_types(clip("plain"))
    assert [frame["frame_idx"] for frame in frames] == list(range(len(types)))
    assert [frame["pict_type"] for frame in frames] == types
    assert set(frames[0]) == {"frame_idx", "pict_type", "width", "height", "codec_name"}
    assert (frames[0]["width"], frames[0]["height"], frames[0]["codec_name"]) == (176, 144, "h264")


def test_maps_have_no_padding_column_and_all_bits(clip: Clip) -> None:
    costs = read_bit_costs(clip("odd_size"))
    for frame, cost in zip(read_video_fast(clip("odd_size"), 2, 1), costs, strict=True):
        layout = frame["bitcost"]
        assert layout["mb_bit_cost"].dtype == np.int32
        assert (layout["mb_bit_cost"] == cost.bits).all()
        assert layout["mb_bit_cost"].shape == (9, 11) == (layout["mb_height"], layout["mb_stride"])
        assert layout["mb_width"] == layout["mb_stride"]
        assert layout["sub_mb_bit_cost"].dtype == np.float32
        assert layout["sub_mb_bit_cost"].shape == (33, 44) == (layout["sub_height"], layout["sub_stride"])
        assert int(layout["mb_bit_cost"].sum()) + cost.overhead_bits == cost.packet_bits


def test_pixels_are_those_of_a_full_decode(clip: Clip) -> None:
    with av.open(str(clip("pyramid"))) as container:
        full = [picture.to_ndarray(format="bgr24") for picture in container.decode(video=0)]
    for frame in read_video_fast_selected(clip("pyramid"), [39, 3, 17], export_pixels=1):
        assert frame["pixels"].flags.c_contiguous
        assert (frame["pixels"] == full[frame["frame_idx"]]).all()


def test_frames_come_as_often_and_in_the_order_asked(clip: Clip) -> None:
    asked = [7, 2, 7, 0]
    frames = read_video_fast_selected(clip("plain"), asked, export_bitcost=1, export_pixels=1)
    assert [frame["frame_idx"] for frame in frames] == asked
    assert (frames[0]["pixels"] == frames[2]["pixels"]).all()
    frames[0]["pixels"][:] = 0
    frames[0]["bitcost"]["mb_bit_cost"][:] = 0
    assert frames[2]["pixels"].any()
    assert frames[2]["bitcost"]["mb_bit_cost"].any()
    assert read_video_fast_selected(clip("plain"), []) == []


def test_pixels_are_scaled_to_the_size_asked(clip: Clip) -> None:
    for asked, given in [((40, 30), (30, 40)), ((40, 0), (144, 40)), ((0, 30), (30, 176)), ((0, 0), (144, 176))]:
        (frame,) = read_video_fast_selected(
            clip("plain"), [5], export_pixels=1, out_w=asked[0], out_h=asked[1], keyframe_pts=[0]
        )
        assert frame["pixels"].shape == (*given, 3)


def test_a_segment_needs_no_bounds(clip: Clip) -> None:
    whole = read_video_fast_selected(clip("plain"), [9, 4], export_pixels=1)
    part = read_video_fast_selected_segment(clip("plain"), [9, 4], 4, 9, 1, 0, "auto", 1)
    for one, other in zip(whole, part, strict=True):
        assert (one["pixels"] == other["pixels"]).all()


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"gone\.mp4"):
        read_video_fast(tmp_path / "gone.mp4")


@pytest.mark.parametrize("frame", [24, -1])
def test_a_frame_past_the_end_is_named(frame: int, clip: Clip) -> None:
    with pytest.raises(IndexError, match=rf"frame {frame}\b"):
        read_video_fast_selected(clip("plain"), [3, frame])


def test_an_unknown_keyword_is_refused(clip: Clip) -> None:
    with pytest.raises(TypeError):
        read_video_fast(clip("plain"), bogus=1)  # type: ignore[call-arg]
