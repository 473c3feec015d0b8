"""Limits: at the limit things work, one past it they are refused by name; callers may move them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from clips import make_clip

from mediaref import MediaRef, batch_decode, cleanup_cache, limits
from mediaref.errors import CorruptMediaError, LimitExceededError
from mediaref.video_decoder import VideoIndex

Clip = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _no_index_is_kept() -> None:
    cleanup_cache()


@pytest.mark.parametrize("name", ["plain", "matroska", "transport", "vp9", "hevc"])
def test_the_size_of_a_picture(clip: Clip, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = MediaRef(uri=str(clip(name)), pts_ns=VideoIndex.open(clip(name)).span_ns()[0])
    monkeypatch.setattr(limits, "MAX_FRAME_PIXELS", 176 * 144)
    ref.to_ndarray()
    cleanup_cache()
    monkeypatch.setattr(limits, "MAX_FRAME_PIXELS", 176 * 144 - 1)
    for read in (ref.to_ndarray, ref.to_bit_cost):
        with pytest.raises(LimitExceededError, match=r"176x144 pixels .*MAX_FRAME_PIXELS"):
            read()


def test_the_size_of_a_picture_that_grows_in_mid_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames up to there come back."""
    parts = [make_clip(tmp_path / f"{size[0]}.h264", frames=6, size=size) for size in ((64, 48), (128, 96))]
    path = tmp_path / "grows.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    # A raw stream has no times: it is asked through its index.
    from mediaref.video_decoder.pyav import frames_or_errors

    monkeypatch.setattr(limits, "MAX_FRAME_PIXELS", 128 * 96)
    assert [pixels.shape[0] for _, pixels in _frames(path, frames_or_errors)] == [48] * 6 + [96] * 6
    cleanup_cache()
    monkeypatch.setattr(limits, "MAX_FRAME_PIXELS", 64 * 48)
    found = [pixels for _, pixels in _frames(path, frames_or_errors)]
    assert [isinstance(pixels, CorruptMediaError) for pixels in found] == [False] * 6 + [True] * 6


def _frames(path: Path, decode: Callable[..., object]) -> list[tuple[int, object]]:
    return list(decode(VideoIndex.open(path), range(12), threads=1))  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("name", ["plain", "fragmented", "matroska", "raw"])
def test_the_size_of_a_packet(clip: Clip, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = int(VideoIndex.open(clip(name)).packets.size.max())
    monkeypatch.setattr(limits, "MAX_PACKET_BYTES", largest)
    cleanup_cache()
    VideoIndex.open(clip(name))
    monkeypatch.setattr(limits, "MAX_PACKET_BYTES", largest - 1)
    cleanup_cache()
    with pytest.raises(LimitExceededError, match=rf"packet \d+ of {largest} bytes .*MAX_PACKET_BYTES"):
        VideoIndex.open(clip(name))


@pytest.mark.parametrize("name", ["plain", "fragmented", "matroska", "transport"])
def test_the_number_of_packets(clip: Clip, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(VideoIndex.open(clip(name)).packets)
    monkeypatch.setattr(limits, "MAX_PACKETS", count)
    cleanup_cache()
    VideoIndex.open(clip(name))
    monkeypatch.setattr(limits, "MAX_PACKETS", count - 1)
    cleanup_cache()
    with pytest.raises(LimitExceededError, match="MAX_PACKETS"):
        VideoIndex.open(clip(name))


def test_one_file_over_a_limit_does_not_take_the_others_with_it(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    refs = [MediaRef(uri=str(clip(name)), pts_ns=0) for name in ("plain", "odd_size")]
    monkeypatch.setattr(limits, "MAX_FRAME_PIXELS", 174 * 130)
    found = batch_decode(refs, allow_multi_video=True, on_error="skip")
    assert [pixels is None for pixels in found] == [True, False]


def test_containers_can_be_left_out(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "VIDEO_CONTAINERS", limits.VIDEO_CONTAINERS - {"avi"})
    with pytest.raises(CorruptMediaError, match="VIDEO_CONTAINERS"):
        VideoIndex.open(clip("avi"))
    VideoIndex.open(clip("matroska"))


def test_every_limit_is_named_where_it_bites() -> None:
    """No limit without a reader, and none that a message names wrongly."""
    source = Path(limits.__file__).parent
    text = "\n".join(path.read_text() for path in source.rglob("*.py") if path.name != "limits.py")
    for name in vars(limits):
        if name.isupper():
            assert f"limits.{name}" in text
    assert set(re.findall(r"mediaref\.limits\.([A-Z_]+)", text)) <= set(vars(limits))
