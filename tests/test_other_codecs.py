"""Codecs whose headers are not read: any frames are those of a plain decode, and all that it presents are there."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import make_clip
from reference import digest, presented

from mediaref.video_decoder import VideoIndex, decode_frames, pyav

GROUPS = {"g": "12"}
WITH_B = {"g": "12", "bf": "2"}
INTERLACED = {**WITH_B, "flags": "+ilme+ildct"}
SIZES = {"dvvideo": (720, 576), "dnxhd": (256, 128)}

#: Encoder, containers, sample format and options.
CODECS: Sequence[tuple[str, str, str, Mapping[str, str]]] = [
    ("mpeg4", "avi mp4 mkv nut m4v ts", "yuv420p", WITH_B),
    ("mpeg4", "avi mp4", "yuv420p", INTERLACED),
    ("mpeg4", "avi", "yuv420p", {**WITH_B, "flags": "+qpel+mv4"}),
    ("mpeg2video", "mpg ts mkv mp4 avi mxf", "yuv420p", WITH_B),
    ("mpeg2video", "ts", "yuv420p", INTERLACED),
    ("mpeg1video", "mpg mkv", "yuv420p", WITH_B),
    ("h263", "3gp avi", "yuv420p", GROUPS),
    ("h263p", "avi", "yuv420p", GROUPS),
    ("h261", "h261", "yuv420p", GROUPS),
    ("flv", "flv avi", "yuv420p", GROUPS),
    ("wmv1", "asf", "yuv420p", GROUPS),
    ("wmv2", "asf avi", "yuv420p", GROUPS),
    ("msmpeg4", "avi asf", "yuv420p", GROUPS),
    ("msmpeg4v2", "avi", "yuv420p", GROUPS),
    ("rv10", "rm", "yuv420p", GROUPS),
    ("rv20", "rm", "yuv420p", GROUPS),
    ("libvpx", "webm ivf", "yuv420p", {"g": "12", "deadline": "realtime", "cpu-used": "8"}),
    ("snow", "avi", "yuv420p", GROUPS),
    ("svq1", "mov", "yuv410p", GROUPS),
    ("qtrle", "mov", "rgb24", GROUPS),
    ("rpza", "mov", "rgb555le", GROUPS),
    ("msvideo1", "avi", "rgb555le", GROUPS),
    ("mjpeg", "avi mov mjpeg", "yuvj420p", {}),
    ("jpeg2000", "mov", "yuv420p", {}),
    ("prores_ks", "mov mkv", "yuv422p10le", {}),
    ("dnxhd", "mov mxf", "yuv422p", {"profile": "dnxhr_lb"}),
    ("cfhd", "mov", "yuv422p10le", {}),
    ("dvvideo", "avi dv", "yuv420p", {}),
    ("ffv1", "mkv avi", "yuv420p", {"g": "10"}),
    ("ffvhuff", "avi", "yuv420p", {}),
    ("huffyuv", "avi", "yuv422p", {}),
    ("utvideo", "avi", "yuv420p", {}),
    ("magicyuv", "avi", "yuv420p", {}),
    ("asv2", "avi", "yuv420p", {}),
    ("png", "mov", "rgb24", {}),
    ("gif", "gif", "rgb8", {}),
    ("apng", "apng", "rgb24", {}),
    ("rawvideo", "avi mov nut", "bgr24", {}),
    ("rawvideo", "mkv nut", "yuv420p", {}),
    ("v210", "mov", "yuv422p10le", {}),
]
FILES = [
    pytest.param(codec, suffix, pix_fmt, options, id=f"{codec}{options.get('flags', '')}-{suffix}")
    for codec, suffixes, pix_fmt, options in CODECS
    for suffix in suffixes.split()
]
_VOP = b"\0\0\1\xb6"
#: A picture that is not coded, as encoders put it in the place of one that they drop.
_NOT_CODED = _VOP + b"\x50\x5f"
#: What DivX says of itself, and by the `p` that it packs.
_DIVX_PACKS = b"\0\0\1\xb2DivX503b1393p"


@pytest.fixture(autouse=True)
def _frame_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are worth their start for a few small pictures, too."""
    monkeypatch.setattr(pyav, "_PIXELS_A_THREAD", 1)


def plain(path: Path) -> list[Any]:
    return [digest(frame.to_ndarray(format="rgb24")) for frame in presented(path)]


def assert_any_frames_are(expected: Sequence[Any], path: Path) -> None:
    """Random frames, one and two threads, in memory that is full of other things."""
    index = VideoIndex.open(path)
    assert len(index) == len(expected)
    rng = random.Random(path.name)
    requests = [rng.sample(range(len(index)), min(rng.choice([1, 1, 2, 4]), len(index))) for _ in range(6)]
    for number, asked in enumerate([*requests, range(len(index))]):
        _stir_memory(rng)
        got = {frame: digest(pixels) for frame, pixels in decode_frames(index, asked, threads=1 + number % 2)}
        assert got == {frame: expected[frame] for frame in asked}


def _stir_memory(rng: random.Random) -> None:
    """Leave gaps among bytes that are not zero, for packets to be laid into."""
    blocks = [os.urandom(rng.randint(20, 3000)) for _ in range(100)]
    rng.shuffle(blocks)


def packets_of(path: Path) -> list[tuple[bytes, bool]]:
    with av.open(str(path)) as container:
        return [(bytes(packet), packet.is_keyframe) for packet in container.demux(video=0) if packet.size]


def copy_of(source: Path, packets: Iterable[tuple[bytes, bool]], target: Path) -> Path:
    """A file with the stream of `source`, but these packets, one a frame's time."""
    with av.open(str(source)) as given, av.open(str(target), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        for number, (content, is_key) in enumerate(packets):
            packet = av.Packet(content)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 30), is_key
            packet.pts = packet.dts = number
            packet.duration = 1
            output.mux(packet)
    return target


def is_b(content: bytes) -> bool:
    return content[content.index(_VOP) + 4] >> 6 == 2


def packed(packets: Sequence[tuple[bytes, bool]], user_data_once: bool) -> list[tuple[bytes, bool]]:
    """MPEG-4 as DivX stores it in AVI: the first B-VOP with the picture decoded before it, and one that is not coded
    behind the last, so that each packet can be shown when it is decoded."""
    result: list[tuple[bytes, bool]] = []
    for number, (content, is_key) in enumerate(packets):
        if is_b(content):
            continue
        if is_key and not (result and user_data_once):
            at = min(content.find(start) % len(content) for start in (b"\0\0\1\xb3", _VOP))
            content = content[:at] + _DIVX_PACKS + content[at:]
        following = [content for content, _ in packets[number + 1 : number + 4]]
        end = next((at for at, each in enumerate(following) if not is_b(each)), len(following))
        shown_before = following[:end]
        result.append((content + b"".join(shown_before[:1]), is_key))
        result += [(each, False) for each in shown_before[1:]]
        result += [(_NOT_CODED, False)] if shown_before else []
    return result


@pytest.mark.parametrize(("codec", "suffix", "pix_fmt", "options"), FILES)
def test_any_frames_are_those_of_a_plain_decode(
    codec: str, suffix: str, pix_fmt: str, options: Mapping[str, str], tmp_path: Path
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    is_predicted = "g" in options
    path = make_clip(
        tmp_path / f"clip.{suffix}",
        codec=codec,
        frames=26 if is_predicted else 5,
        size=SIZES.get(codec, (176, 144)),
        rate=25,
        pix_fmt=pix_fmt,
        options=options,
    )
    expected = plain(path)
    assert len(expected) == (26 if is_predicted else 5)
    assert_any_frames_are(expected, path)


@pytest.mark.parametrize("suffix", ["avi", "mkv", "mp4"])
@pytest.mark.parametrize("b_frames", [1, 2])
@pytest.mark.parametrize("user_data_once", [True, False])
def test_packed_b_frames_are_shown_in_their_turn(
    b_frames: int, user_data_once: bool, suffix: str, tmp_path: Path
) -> None:
    whole = make_clip(tmp_path / "whole.avi", codec="mpeg4", frames=30, options={"g": "12", "bf": str(b_frames)})
    packets = packed(packets_of(whole), user_data_once)
    assert max(content.count(_VOP) for content, _ in packets) == 2
    path = copy_of(whole, packets, tmp_path / f"packed.{suffix}")
    expected = plain(whole)
    assert plain(path) == expected  # FFmpeg tells what they are by what DivX says
    assert_any_frames_are(expected, path)
    index = VideoIndex.open(path)
    assert index.pts_ns is not None
    assert (np.diff(index.pts_ns) > 0).all()


@pytest.mark.parametrize("suffix", ["avi", "mp4"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_frames_that_an_mpeg4_encoder_dropped_are_none(b_frames: int, suffix: str, tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.avi", codec="mpeg4", frames=30, options={"g": "12", "bf": str(b_frames)})
    packets = packets_of(whole)
    for at in (4, 19):
        packets.insert(at, (_NOT_CODED, False))
    path = copy_of(whole, packets, tmp_path / f"dropped.{suffix}")
    assert_any_frames_are(plain(path), path)


def test_a_frame_is_on_screen_while_those_after_it_are_dropped(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.avi", codec="mpeg4", frames=12, options={"g": "12", "bf": "0"})
    packets = packets_of(whole)
    path = copy_of(whole, [*packets[:5], (_NOT_CODED, False), *packets[5:]], tmp_path / "dropped.avi")
    index = VideoIndex.open(path)
    times = [int(number * 10**9 // 30) for number in range(13)]
    assert index.frames_at(times).tolist() == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("suffix", ["webm", "ivf"])
def test_pictures_of_vp8_that_are_only_predicted_from_are_no_frames(suffix: str, tmp_path: Path) -> None:
    options = {"g": "12", "deadline": "realtime", "cpu-used": "8"}
    whole = make_clip(tmp_path / "whole.webm", codec="libvpx", frames=30, options=options)
    packets = packets_of(whole)
    for row in (5, 6, 20):
        content, is_key = packets[row]
        assert content[0] & 16  # `show_frame`
        packets[row] = (bytes([content[0] & ~16]) + content[1:], is_key)
    path = copy_of(whole, packets, tmp_path / f"hidden.{suffix}")
    expected = plain(path)
    assert len(expected) == 27
    assert_any_frames_are(expected, path)
