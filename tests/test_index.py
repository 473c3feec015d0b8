"""The frame table: order, times, and what a file is allowed to be."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import CLIPS, make_clip, set_rotation
from PIL import Image
from reference import picture_types, presented

from mediaref import cleanup_cache, limits
from mediaref.errors import (
    CorruptMediaError,
    LimitExceededError,
    MediaNotFoundError,
    TimestampError,
    UnsupportedBitstreamError,
)
from mediaref.video_decoder import VideoIndex, packets
from mediaref.video_decoder.cache import BoundedCache
from mediaref.video_decoder.presentation import nanoseconds

Clip = Callable[[str], Path]


@pytest.mark.parametrize("name", [name for name in CLIPS if name not in {"avi", "raw", "hevc_raw"}])
def test_frames_and_times_are_those_that_ffmpeg_presents(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    frames = presented(clip(name))
    assert len(index) == len(frames)
    expected = [frame.pts * frame.time_base * 10**9 for frame in frames]
    assert index.pts_ns is not None
    assert index.pts_ns.tolist() == [int(time // 1) for time in expected]
    if "refresh" not in name:  # the container marks points of recovery too, where no picture is whole
        assert index.is_key.tolist() == [frame.key_frame for frame in frames]


def test_avi_shows_its_frames_in_the_order_of_the_headers_at_the_times_of_decoding(clip: Clip) -> None:
    index = VideoIndex.open(clip("avi"))
    assert index.pts_ns is not None
    assert index.pts_ns.tolist() == [number * 10**9 // 30 for number in range(24)]
    assert index.packet_of.tolist() != sorted(index.packet_of.tolist())
    types = [bytes([code]).decode() for code in index.picture_type]
    assert types == picture_types(clip("avi"))


def test_a_stream_without_times_has_an_order_and_says_that_it_has_no_times(clip: Clip) -> None:
    index = VideoIndex.open(clip("raw"))
    timed = VideoIndex.open(clip("plain"))
    assert index.pts_ns is None
    assert index.duration_ns is None
    assert index.picture_type.tolist() == timed.picture_type.tolist()
    with pytest.raises(TimestampError, match="no timestamps"):
        index.frame_at(0)


@pytest.mark.parametrize("rate", [24, 25, Fraction(30000, 1001), 30, 50, Fraction(60000, 1001), 60])
@pytest.mark.parametrize("scale", [90000, 12800, 1000])
def test_truncated_rounded_and_rounded_up_times_all_find_their_frame(rate: Fraction, scale: int) -> None:
    ticks = np.array([int(number / Fraction(rate) * scale) for number in range(300)], np.int64)
    begins = nanoseconds(ticks, Fraction(1, scale), "a video")
    exact = [Fraction(int(tick), scale) * 10**9 for tick in ticks]
    for number, time in enumerate(exact):
        for asked in (int(time), round(time), -int(-time // 1)):
            assert np.searchsorted(begins, asked, side="right") - 1 == number


def test_a_frame_is_on_screen_until_the_next_one_begins(clip: Clip) -> None:
    index = VideoIndex.open(clip("variable_rate"))
    begins = index.pts_ns
    assert begins is not None
    assert index.end_ns is not None
    ends = [*begins[1:].tolist(), index.end_ns]
    for frame, (begin, end) in enumerate(zip(begins.tolist(), ends, strict=True)):
        assert [index.frame_at(time) for time in (begin, (begin + end) // 2, end - 1)] == [frame] * 3
    for outside in (int(begins[0]) - 1, index.end_ns):
        with pytest.raises(TimestampError, match="the video runs from") as caught:
            index.frame_at(outside)
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, RuntimeError)


def test_edit_lists_are_honoured(clip: Clip) -> None:
    index = VideoIndex.open(clip("edit_list"))
    assert len(index) == 17
    assert index.packets.is_discarded.sum() == 7
    assert index.span_ns()[0] == 0


def test_size_is_what_is_displayed(clip: Clip, tmp_path: Path) -> None:
    assert (VideoIndex.open(clip("odd_size")).width, VideoIndex.open(clip("odd_size")).height) == (174, 130)
    assert (VideoIndex.open(clip("rotated")).width, VideoIndex.open(clip("rotated")).height) == (112, 176)
    upside_down = make_clip(tmp_path / "turned.mp4", frames=2, size=(96, 64))
    set_rotation(upside_down, 180)
    assert (VideoIndex.open(upside_down).width, VideoIndex.open(upside_down).height) == (96, 64)


@pytest.mark.parametrize("name", ["no_b", "plain", "pyramid", "open_gop", "transport", "hevc"])
def test_reorder_depth_is_how_many_frames_wait_for_a_later_one(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    rows = index.packet_of.tolist()
    waiting = [sum(earlier < rows[frame] for earlier in rows[frame + 1 :]) for frame in range(len(rows))]
    assert index.reorder_depth == max(waiting)
    with av.open(str(clip(name))) as container:
        assert index.reorder_depth <= container.streams.video[0].codec_context.reorder_depth


def test_bytes_and_rate_add_up(clip: Clip) -> None:
    index = VideoIndex.open(clip("plain"))
    assert index.packet_bytes.sum() == index.packets.size.sum()
    assert index.average_rate == 30
    assert index.duration_ns == 800_000_000
    assert index.bit_rate == pytest.approx(8 * index.packet_bytes.sum() / 0.8)


def test_times_are_exact_where_floats_and_64_bits_are_not() -> None:
    ticks = np.array([0, 1, 2**49 + 1, 90000 * 10**9 * 9], np.int64)
    expected = [int(tick) * 10**9 // 90000 for tick in ticks]
    assert nanoseconds(ticks, Fraction(1, 90000), "a video").tolist() == expected
    assert nanoseconds(np.array([-1]), Fraction(1, 3), "a video").tolist() == [-333_333_334]
    with pytest.raises(CorruptMediaError, match="292 years"):
        nanoseconds(np.array([2**62]), Fraction(1), "a video")


def test_the_index_is_kept_until_the_file_changes(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    shutil.copy(clip("plain"), path)
    first = VideoIndex.open(path)
    assert VideoIndex.open(path) is first
    assert VideoIndex.open(f"file://{path}").packets is first.packets
    shutil.copy(clip("no_b"), path)
    os.utime(path, ns=(1, 1))
    assert VideoIndex.open(path) is not first


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not a video"), (b"\x00" * 4096, "not a video"), (b"It was a dark night. " * 400, "not a video")],
    ids=["empty", "zeros", "text"],
)
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "odd.mp4"
    path.write_bytes(content)
    with pytest.raises(CorruptMediaError, match=message):
        VideoIndex.open(path)


def test_an_image_a_folder_and_nothing_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "still.png")
    with pytest.raises(CorruptMediaError, match="is an image"):
        VideoIndex.open(tmp_path / "still.png")
    with pytest.raises(CorruptMediaError, match="folder"):
        VideoIndex.open(tmp_path)
    with pytest.raises(MediaNotFoundError) as caught:
        VideoIndex.open(tmp_path / "missing.mp4")
    assert isinstance(caught.value, FileNotFoundError)


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with pytest.raises(CorruptMediaError, match="no video stream"):
        VideoIndex.open(path)


def test_a_name_like_a_protocol_is_a_file_name(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip("plain"), tmp_path / "concat:take 2.mp4")
    assert len(VideoIndex.open("concat:take 2.mp4")) == 24


@pytest.mark.parametrize("name", ["plain", "matroska", "transport", "raw", "avi", "flv"])
def test_a_cut_file_gives_what_precedes_the_cut_or_says_why_not(clip: Clip, tmp_path: Path, name: str) -> None:
    whole = clip(name).read_bytes()
    path = tmp_path / clip(name).name
    path.write_bytes(whole[: len(whole) * 2 // 3])
    if name == "plain":  # an MP4 file's table stands at its end
        with pytest.raises(CorruptMediaError):
            VideoIndex.open(path)
    else:
        assert 0 < len(VideoIndex.open(path)) < len(VideoIndex.open(clip(name)))


@pytest.mark.parametrize("name", ["plain", "matroska", "transport", "raw", "hevc"])
def test_flipped_bytes_give_an_index_or_an_error_of_ours(clip: Clip, tmp_path: Path, name: str) -> None:
    whole = clip(name).read_bytes()
    rng = random.Random(3)
    for trial in range(12):
        damaged = bytearray(whole)
        for _ in range(40):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path = tmp_path / f"{trial}{clip(name).suffix}"
        path.write_bytes(damaged)
        with contextlib.suppress(CorruptMediaError, UnsupportedBitstreamError):
            assert len(VideoIndex.open(path)) > 0


def test_nobody_changes_a_shared_index(clip: Clip) -> None:
    index = VideoIndex.open(clip("plain"))
    for array in (index.pts_ns, index.packet_of, index.packets.is_key):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_limits_are_limits(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:

    for limit, allowed in ((24, True), (23, False)):
        cleanup_cache()
        monkeypatch.setattr(limits, "MAX_PACKETS", limit)
        if allowed:
            assert len(VideoIndex.open(clip("plain"))) == 24
        else:
            with pytest.raises(LimitExceededError, match="MAX_PACKETS"):
                VideoIndex.open(clip("plain"))


def test_a_long_stream_is_scanned_in_chunks(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:

    whole = VideoIndex.open(clip("raw"))
    cleanup_cache()
    monkeypatch.setattr(packets, "_CHUNK_PACKETS", 1)
    pieces = VideoIndex.open(clip("raw"))
    for column in dataclasses.fields(whole.packets):
        np.testing.assert_array_equal(getattr(pieces.packets, column.name), getattr(whole.packets, column.name))
    assert pieces.headers == whole.headers != {}


def test_the_cache_forgets_what_was_used_least() -> None:
    kept: BoundedCache[str] = BoundedCache(capacity=10, weight=len)
    for key in ("aaaa", "bbbb", "aaaa", "cccc"):
        assert kept.get(key, lambda key=key: key) == key  # type: ignore[misc]
    assert len(kept) == 2
    made: list[str] = []
    kept.get("aaaa", lambda: made.append("a") or "aaaa")  # type: ignore[func-returns-value]
    kept.get("bbbb", lambda: made.append("b") or "bbbb")  # type: ignore[func-returns-value]
    assert made == ["b"]
    assert kept.get("long", lambda: "x" * 100) == "x" * 100
    kept.clear()
    assert len(kept) == 0


def test_tags_that_are_not_utf_8_do_not_keep_a_video_from_being_read(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "latin.mp4"
    with av.open(str(clip("plain"))) as source, av.open(str(path), "w") as target:
        target.metadata["title"] = "a title"
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    path.write_bytes(path.read_bytes().replace(b"a title", b"\xe9\xff\xfe\x80 t\xe9"))
    assert len(VideoIndex.open(path)) == 24
