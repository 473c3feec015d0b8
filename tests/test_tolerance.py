"""Frames chosen by what they cost, within a tolerance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clips import make_clip
from web_server import WebServer

from codec_video_prep import run_preinfer
from mediaref import MediaRef, ReadStats, batch_decode, cleanup_cache, iter_decode, nearby
from mediaref.video_decoder import DecodePlan, VideoIndex, nearest_cheap_frames, packets_to_feed

Clip = Callable[[str], Path]

FRAME = 10**9 // 30


def test_costs_are_those_of_plans_for_single_frames(clip: Clip) -> None:
    index = VideoIndex.open(clip("pyramid"))
    frames = [0, 7, 3, 30, 7]
    assert packets_to_feed(index, frames).tolist() == [len(DecodePlan.of(index, [f]).packets) for f in frames]


@pytest.mark.parametrize("name", ["pyramid", "hevc_layers", "variable_rate", "vp9_gops", "mpeg4"])
@pytest.mark.parametrize("tolerance", [0, FRAME, 4 * FRAME, 10**12])
def test_the_chosen_frame_is_in_reach_and_no_other_in_reach_is_cheaper(clip: Clip, name: str, tolerance: int) -> None:
    index = VideoIndex.open(clip(name))
    begins, ends = index.shown_ns(np.arange(len(index)))
    cost = packets_to_feed(index, np.arange(len(index)))
    times = np.linspace(begins[0], ends[-1] - 1, 17).astype(np.int64)
    chosen = nearest_cheap_frames(index, times, tolerance)
    for time, frame in zip(times, chosen, strict=True):
        in_reach = (begins <= time + tolerance) & (ends > time - tolerance)
        assert in_reach[frame]
        assert cost[frame] == cost[in_reach].min()
    if tolerance == 0:
        assert chosen.tolist() == index.frames_at(times).tolist()
    if tolerance == 10**12:
        assert (cost[chosen] == 1).all()


def test_the_nearest_of_equally_cheap_frames_is_taken(clip: Clip) -> None:
    index = VideoIndex.open(clip("long"))
    assert index.pts_ns is not None
    keys = np.flatnonzero(index.is_key)
    target = int(keys[2] + 3)
    assert nearest_cheap_frames(index, [index.pts_ns[target]], 10**12).tolist() == [keys[2]]


@pytest.mark.parametrize("name", ["long", "vp9_gops", "av1_gops", "matroska"])
def test_headers_are_read_only_where_no_keyframe_is_within_reach_and_change_no_choice(clip: Clip, name: str) -> None:
    cleanup_cache()
    index = VideoIndex.open(clip(name))
    begin, end = index.span_ns()
    times = np.linspace(begin, end - 1, 23).astype(np.int64)
    for tolerance in (10**12, 2 * FRAME, 1):
        with ReadStats() as stats:
            unread = nearest_cheap_frames(index, times, tolerance)
        if tolerance != 1:  # or two frames are within it, at times
            assert (stats.requests > 0) == (tolerance == 2 * FRAME)
        assert nearest_cheap_frames(index.with_headers(), times, tolerance).tolist() == unread.tolist()
        cleanup_cache()


def test_the_choice_is_that_of_weighing_all_frames_in_reach(clip: Clip) -> None:
    for name in ("pyramid", "refresh_with_b", "mbaff", "hevc_open_gop", "vp9_hidden", "mpeg4", "transport"):
        index = VideoIndex.open(clip(name)).with_headers()
        begins, ends = index.shown_ns(np.arange(len(index)))
        cost = packets_to_feed(index, np.arange(len(index)))
        for tolerance in (1, 3 * FRAME, 12 * FRAME):
            times = np.linspace(begins[0], ends[-1] - 1, 31).astype(np.int64)
            for time, chosen in zip(times, nearest_cheap_frames(index, times, tolerance), strict=True):
                reach = np.flatnonzero((begins <= time + tolerance) & (ends > time - tolerance))
                order = np.lexsort((np.abs(reach - index.frame_at(time)), cost[reach]))
                assert chosen == reach[order[0]]


@pytest.mark.parametrize("count", [5, 60])  # by windows, and as a stream
def test_frames_are_chosen_alike_one_after_the_other_and_together(clip: Clip, count: int) -> None:
    path = clip("long")
    times = np.linspace(0, 7 * 10**9, count).astype(np.int64).tolist()
    refs = [MediaRef(uri=str(path), pts_ns=time) for time in times]
    expected = batch_decode(nearby(refs, 4 * FRAME))
    np.testing.assert_array_equal(list(iter_decode(refs, tolerance_ns=4 * FRAME)), expected)
    np.testing.assert_array_equal(batch_decode(refs, tolerance_ns=4 * FRAME), expected)
    assert not np.array_equal(batch_decode(refs), expected)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    options = {"preset": "ultrafast", "x264-params": "keyint=60:bframes=2:scenecut=0"}
    for name in ("long.mp4", "long.mkv"):
        make_clip(folder / name, frames=1200, size=(96, 80), options=options)
    return folder


@pytest.mark.parametrize("name", ["long.mp4", "long.mkv"])
def test_from_afar_a_tolerance_costs_no_more_than_none_where_a_keyframe_is_within_it(site: Path, name: str) -> None:
    """In Matroska two groups are looked at for the nearer of their keyframes."""
    group = int(VideoIndex.open(site / name).packets.size[600:660].sum())
    with WebServer(site).running() as server:
        ref = MediaRef(uri=server.url(f"far/{name}"), pts_ns=20_500_000_000)
        read = []
        for tolerance in (0, 10**9, 10**10):
            cleanup_cache()
            server.round_trips = 0
            with ReadStats() as stats:
                ref.to_ndarray(tolerance_ns=tolerance)
            read.append((server.round_trips, stats.bytes_read))
        assert read[1] == read[2]
        assert read[1][0] == read[0][0] == 2
        assert read[1][1] <= read[0][1] + (group * 1.1 if name == "long.mkv" else 0)


@pytest.mark.parametrize("name", ["long.mp4", "long.mkv"])
def test_from_afar_costs_are_weighed_without_another_answer_to_wait_for(site: Path, name: str) -> None:
    """Where no keyframe is within reach: what their headers are read from is what is decoded."""
    with WebServer(site).running() as server:
        ref = MediaRef(uri=server.url(f"far/{name}"), pts_ns=20_500_000_000)
        read = []
        for tolerance in (0, 3 * FRAME):
            cleanup_cache()
            server.round_trips = 0
            with ReadStats() as stats:
                ref.to_ndarray(tolerance_ns=tolerance)
            read.append((server.round_trips, stats.bytes_read))
        assert read[1][0] == read[0][0] == 2
        assert read[1][1] < read[0][1] * 1.1


def test_headers_of_several_groups_are_asked_for_together(site: Path) -> None:
    cleanup_cache()
    with WebServer(site).running() as server:
        index = VideoIndex.open(server.url("far/long.mp4"))
        server.round_trips = 0
        index = index.with_headers([70, 500, 1100])
        assert server.round_trips == 1
        assert (index.packets.scanned_from >= 0).sum() > 3


def test_references_tell_the_time_of_the_frame_that_is_decoded(clip: Clip, tmp_path: Path) -> None:
    path = str(clip("long"))
    refs = [MediaRef(uri=path, pts_ns=time) for time in (10**9, 3 * 10**9)]
    outside = MediaRef(uri=path, pts_ns=10**15)
    others = [MediaRef(uri=str(tmp_path / "none.mp4"), pts_ns=0), MediaRef(uri="a.png"), outside]
    moved = nearby([*refs, *others], 700_000_000)
    assert moved[2:] == others
    index = VideoIndex.open(path)
    assert all(index.is_key[index.frame_at(ref.pts_ns or 0)] for ref in moved[:2])
    assert all(abs((new.pts_ns or 0) - (old.pts_ns or 0)) <= 700_000_000 for new, old in zip(moved, refs, strict=False))
    wanted = batch_decode(moved[:2])
    for made in (
        batch_decode(refs, tolerance_ns=700_000_000),
        [ref.to_ndarray(tolerance_ns=700_000_000) for ref in refs],
    ):
        np.testing.assert_array_equal(made, wanted)
    assert not np.array_equal(batch_decode(refs), wanted)


def test_a_negative_tolerance_is_refused(clip: Clip) -> None:
    ref = MediaRef(uri=str(clip("plain")), pts_ns=0)
    with pytest.raises(ValueError, match="tolerance_ns is -1"):
        ref.to_ndarray(tolerance_ns=-1)
    with pytest.raises(ValueError, match="tolerance_ns is -1"):
        batch_decode([ref], tolerance_ns=-1)
    with pytest.raises(ValueError, match="tolerance_ns is -1"):
        iter_decode([ref], tolerance_ns=-1)
    with pytest.raises(ValueError, match="tolerance_ns"):
        run_preinfer(str(clip("plain")), "out", tolerance_ns=-1)


def test_a_preparation_samples_cheap_frames(clip: Clip, tmp_path: Path) -> None:
    options = {"num_sampled_frames": 12, "max_pixels": 0, "max_dim": 112, "avoid_keyframes": False}
    index = VideoIndex.open(clip("long"))
    costs = []
    for tolerance in (0, 10**9):
        out = tmp_path / str(tolerance)
        run_preinfer(str(clip("long")), str(out), tolerance_ns=tolerance, **options)
        frames = np.load(out / "frame_ids.npy")
        costs.append(len(DecodePlan.of(index, np.unique(frames)).packets))
        assert len(frames) == 12
    assert costs[1] < costs[0] / 4
