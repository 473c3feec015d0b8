"""Frames of every kind of file: what references find is what a sequential decode shows at that time.

The oracle knows nothing of the library: it decodes the whole file with PyAV and believes the decoder's timestamps.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import make_clip, set_rotation
from numpy.typing import NDArray
from PIL import Image
from reference import digest

from mediaref import DataURI, MediaRef, batch_decode
from mediaref.errors import MediaRefError, TimestampError
from mediaref.video_decoder import VideoIndex, decode_frames

Clip = Callable[[str], Path]

QUERIES = 40
X264 = {"preset": "veryfast", "threads": "1", "x264-params": "keyint=12:bframes=2"}
X265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1:keyint=12:bframes=3"}


@dataclass
class Sequential:
    """Every frame of a file in display order: when it begins, and its pixels."""

    begins: list[Fraction]
    pixels: list[Any]


def sequential(path: Path, turn: Callable[[NDArray[Any]], NDArray[Any]] = lambda pixels: pixels) -> Sequential:
    """Decode `path` from begin to end, as simply as can be."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic)
        stream.codec_context.thread_count = 1
        found = []
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                assert frame.pts is not None
                found.append((frame.pts * Fraction(stream.time_base), digest(turn(frame.to_ndarray(format="rgb24")))))
    found.sort(key=lambda each: each[0])
    return Sequential([time for time, _ in found], [pixels for _, pixels in found])


def assert_frames_found(path: Path, shown: Sequential, uri: str | None = None, last: int | None = None) -> None:
    """40 random times within the frames (up to frame `last`), one by one and all at once."""
    rng = random.Random(path.name)
    begins = [int(time * 10**9 // 1) for time in shown.begins]
    last = len(begins) - 1 if last is None else last
    ends = [*begins[1:], begins[-1] + 10**6]
    frames = [rng.randrange(last + 1) for _ in range(QUERIES)]
    frames[:2] = [0, last]
    refs = [MediaRef(uri=uri or str(path), pts_ns=rng.randrange(begins[frame], ends[frame])) for frame in frames]
    for ref, frame, pixels in zip(refs, frames, batch_decode(refs), strict=True):
        assert digest(pixels) == shown.pixels[frame], f"batch: frame {frame} at {ref.pts_ns}"
    for ref, frame in zip(refs, frames, strict=True):
        assert digest(ref.to_ndarray()) == shown.pixels[frame], f"single: frame {frame} at {ref.pts_ns}"


def remux(source: Path, target: Path, keep: Callable[[Any], bool] = lambda packet: True, **options: Any) -> Path:
    """Copy the packets for which `keep` holds into another container."""
    with av.open(str(source)) as read, av.open(str(target), "w", **options) as write:
        stream = read.streams.video[0]
        copy = write.add_stream_from_template(stream)
        for packet in read.demux(stream):
            if packet.dts is not None and keep(packet):
                packet.stream = copy
                write.mux(packet)
    return target


def gif(folder: Path) -> Path:
    frames = [Image.new("RGB", (40, 30), (number * 20, 99, 250 - number * 20)) for number in range(12)]
    path = folder / "moving.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[40, 80, 120] * 4, loop=0)
    return path


def with_cover(folder: Path) -> Path:
    """An MP4 whose first stream is a picture of its cover."""
    clip = make_clip(folder / "inner.mp4", options=X264)
    Image.new("RGB", (64, 64), (9, 8, 7)).save(folder / "cover.png")
    path = folder / "cover.mp4"
    with av.open(str(clip)) as read, av.open(str(folder / "cover.png")) as picture, av.open(str(path), "w") as write:
        cover = write.add_stream_from_template(picture.streams.video[0])
        cover.disposition = av.stream.Disposition.attached_pic
        video = write.add_stream_from_template(read.streams.video[0])
        for source, target in ((picture, cover), (read, video)):
            for packet in source.demux(source.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = target
                    write.mux(packet)
    with av.open(str(path)) as written:
        assert len(written.streams.video) == 2
    return path


def size_change(folder: Path) -> Path:
    """A transport stream whose pictures change their size after 12 frames."""
    path = folder / "sizes.ts"
    content = b""
    for number, size in enumerate([(96, 64), (64, 96)]):
        times = [number * 20 + each for each in range(12)]
        part = make_clip(
            folder / f"{number}.ts", frames=12, size=size, options=X264, timestamps=times, time_base=Fraction(1, 30)
        )
        content += part.read_bytes()
    path.write_bytes(content)
    return path


def cut_open_gop(folder: Path) -> Path:
    """What a cut in an open group leaves: pictures before the first keyframe that cannot be decoded."""
    options = {
        "preset": "veryfast",
        "threads": "1",
        "x264-params": "keyint=12:bframes=3:open-gop=1:b-adapt=0:scenecut=0",
    }
    whole = make_clip(folder / "whole.mkv", frames=40, options=options)
    keys = [p.pts for p in demuxed(whole) if p.is_keyframe]
    begun = []

    def keep(packet: Any) -> bool:
        begun.append(bool(begun and begun[-1]) or packet.pts == keys[1])
        return begun[-1]

    return remux(whole, folder / "cut.mkv", keep)


def demuxed(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(container.streams.video[0]) if packet.size]


MADE: dict[str, Callable[[Path], Path]] = {
    "B frames": lambda d: make_clip(d / "b.mp4", options=X264, frames=40),
    "open GOP": lambda d: make_clip(
        d / "open.mp4", frames=40, options={**X264, "x264-params": "keyint=12:bframes=3:open-gop=1:b-adapt=0"}
    ),
    "variable rate": lambda d: make_clip(
        d / "vfr.mp4", options=X264, timestamps=np.cumsum([3, 1, 9, 2, 27, 3] * 4).tolist(), time_base=Fraction(1, 90)
    ),
    "late start": lambda d: make_clip(
        d / "late.mp4", options=X264, timestamps=list(range(500, 548, 2)), time_base=Fraction(1, 60)
    ),
    "negative start": lambda d: make_clip(
        d / "negative.mp4",
        options=X264,
        timestamps=list(range(-300, 660, 40)),
        time_base=Fraction(1, 1000),
        container_options={"avoid_negative_ts": "disabled", "use_editlist": "0"},
    ),
    "first keyframe after the first frame": cut_open_gop,
    "cover art": with_cover,
    "fragmented": lambda d: make_clip(
        d / "fragmented.mp4", options=X264, container_options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    ),
    "fast start": lambda d: make_clip(d / "fast.mp4", options=X264, container_options={"movflags": "faststart"}),
    "VP9": lambda d: make_clip(
        d / "vp9.webm", codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8", "g": "12"}
    ),
    "AV1": lambda d: make_clip(
        d / "av1.mkv", codec="libsvtav1", frames=16, options={"preset": "12", "g": "8", "svtav1-params": "lp=1"}
    ),
    "GIF": gif,
    "10-bit HEVC": lambda d: make_clip(d / "ten.mkv", codec="libx265", options=X265, pix_fmt="yuv420p10le"),
    "HEVC with few keyframes": lambda d: make_clip(
        d / "sparse.mkv",
        codec="libx265",
        frames=60,
        options={**X265, "x265-params": "log-level=none:pools=1:keyint=50"},
    ),
    "HEVC": lambda d: make_clip(d / "hevc.mkv", codec="libx265", frames=40, options=X265),
    "odd size": lambda d: make_clip(d / "odd.mp4", options=X264, size=(173, 131), pix_fmt="yuv444p"),
    "pixels that are not square": lambda d: make_clip(
        d / "sar.mp4", options={**X264, "x264-params": "keyint=12:sar=16/11"}
    ),
    "MPEG-TS": lambda d: make_clip(d / "a.ts", options=X264, frames=40),
    "MPEG-PS": lambda d: make_clip(d / "a.mpg", codec="mpeg2video", frames=40, options={"g": "12", "bf": "2"}),
    "webm without a duration": lambda d: make_clip(
        d / "live.webm",
        codec="libvpx-vp9",
        options={"deadline": "realtime", "cpu-used": "8", "g": "12"},
        container_options={"live": "1"},
    ),
    "a size that changes": size_change,
}


@pytest.mark.parametrize("kind", MADE)
def test_every_time_finds_the_frame_on_screen(kind: str, tmp_path: Path) -> None:
    path = MADE[kind](tmp_path)
    shown = sequential(path)
    assert len(shown.begins) >= 12
    assert_frames_found(path, shown)


def test_an_edit_list_leaves_out_what_is_not_shown(clip: Clip) -> None:
    path = clip("edit_list")
    shown = sequential(path)
    assert len(shown.begins) == 24 - 7
    assert_frames_found(path, shown)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_video_of_a_phone_is_upright(degrees: int, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "phone.mp4", options=X264, size=(176, 112))
    set_rotation(path, degrees)
    assert_frames_found(path, sequential(path, lambda pixels: np.rot90(pixels, degrees // 90)))


def test_a_video_inside_a_data_uri_is_like_any_other(clip: Clip) -> None:
    path = clip("plain")
    assert_frames_found(path, sequential(path), uri=DataURI.from_file(path).uri)


def test_a_raw_stream_has_frames_by_number_and_no_times(clip: Clip) -> None:
    with av.open(str(clip("raw"))) as container:
        plain = [digest(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    asked = random.Random(0).sample(range(len(plain)), 10)
    for frame in asked:
        ((_, pixels),) = decode_frames(clip("raw"), [frame])
        assert digest(pixels) == plain[frame]
    with pytest.raises(TimestampError, match="no timestamps"):
        MediaRef(uri=str(clip("raw")), pts_ns=0).to_ndarray()


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_of_a_truncated_file_what_precedes_the_cut_comes_back(kept: float, tmp_path: Path) -> None:
    """The index is intact and the end of the data is not: frames before the cut are right, the others are errors."""
    options = {**X264, "x264-params": "keyint=12:bframes=0"}
    whole = make_clip(tmp_path / "whole.mp4", options=options, frames=48, container_options={"movflags": "faststart"})
    index = VideoIndex.open(whole)
    shown = sequential(whole)
    path = tmp_path / "cut.mp4"
    data = whole.read_bytes()
    media = data.index(b"mdat") + 4
    path.write_bytes(data[: media + int((len(data) - media) * kept)])
    ends = (index.packets.position + index.packets.size)[index.packet_of]
    sound = int((ends <= path.stat().st_size).sum())
    assert 3 < sound < 45
    assert_frames_found(path, shown, last=sound - 1)
    refs = [MediaRef(uri=str(path), pts_ns=int(time * 10**9 // 1)) for time in shown.begins]
    found = batch_decode(refs, on_error="skip")
    assert [pixels is not None for pixels in found] == [frame < sound for frame in range(48)]
    with pytest.raises(MediaRefError, match="cut"):
        refs[-1].to_ndarray()


# --- nanoseconds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [24, 25, Fraction(30000, 1001), 30, 50, Fraction(60000, 1001), 60])
@pytest.mark.parametrize(("suffix", "scale"), [(".ts", 90000), (".mp4", 12800), (".mkv", 1000)])
def test_times_cut_rounded_or_rounded_up_find_their_frame(
    rate: Fraction | int, suffix: str, scale: int, tmp_path: Path
) -> None:
    count = 61
    times = [round(number * scale / Fraction(rate)) for number in range(count)]
    path = make_clip(
        tmp_path / f"clip{suffix}",
        frames=count,
        size=(48, 32),
        rate=Fraction(rate),
        options=X264,
        timestamps=times,
        time_base=Fraction(1, scale),
        container_options={"video_track_timescale": str(scale)} if suffix == ".mp4" else {},
    )
    index = VideoIndex.open(path)
    assert index.time_base == Fraction(1, scale)
    assert len(index) == count
    exact = [Fraction(int(pts)) * index.time_base * 10**9 for pts in index.packets.pts[index.packet_of]]
    rounders: list[Callable[[Fraction], int]] = [int, round, lambda time: -int(-time // 1)]
    for rounded in rounders:
        assert index.frames_at([rounded(time) for time in exact]).tolist() == list(range(count))


def test_float32_timestamps_of_lerobot_find_their_frame(tmp_path: Path) -> None:
    from mediaref.compat.lerobot import from_videoframe, lerobot_episode_to_refs

    for rate in (24, 25, Fraction(30000, 1001), 30, 50, 60):
        path = make_clip(tmp_path / f"{float(rate):.3f}.mp4", frames=90, size=(48, 32), rate=rate, options=X264)
        index = VideoIndex.open(path)
        seconds = np.array([float(number / Fraction(rate)) for number in range(90)], np.float32)
        for refs in (
            lerobot_episode_to_refs(video_path=str(path), from_timestamp=0.0, frame_timestamps=seconds),  # type: ignore[arg-type]
            [from_videoframe({"path": str(path), "timestamp": time}) for time in seconds],
        ):
            assert index.frames_at([ref.pts_ns for ref in refs]).tolist() == list(range(90))
