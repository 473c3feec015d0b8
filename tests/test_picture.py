"""What headers and containers tell of pictures: the same that FFmpeg's decoder makes of the first one."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import pytest
from clips import make_clip
from corpus import CorpusFile, corpus_files

from mediaref import cleanup_cache
from mediaref._native import StreamParser
from mediaref.errors import MediaRefError
from mediaref.storage import locate
from mediaref.video_decoder import VideoIndex
from mediaref.video_decoder.container import opened
from mediaref.video_decoder.orientation import Orientation
from mediaref.video_decoder.picture import Picture

UPRIGHT = struct.pack("=9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
CODECS = ("h264", "hevc", "vp9", "av1")

#: What the encoders take, as far as they make streams of a single layer of it.
FORMATS = {
    "libx264": "yuv420p yuvj420p yuv422p yuvj422p yuv444p yuvj444p yuv420p10le yuv422p10le yuv444p10le gray gray10le",
    "libx265": "yuv420p yuvj420p yuv422p yuvj422p yuv444p yuvj444p gbrp yuv420p10le yuv422p10le yuv444p10le gbrp10le "
    "yuv420p12le yuv422p12le yuv444p12le gbrp12le gray gray10le gray12le",
    "libvpx-vp9": "yuv420p yuv422p yuv440p yuv444p gbrp",
    "libsvtav1": "yuv420p yuv420p10le",
}


def told_and_decoded(path: Path) -> tuple[Picture | None, Picture | None]:
    with opened(locate(path)) as (container, stream):
        codec = stream.codec_context.codec.canonical_name
        if codec not in CODECS:
            pytest.skip(f"headers of {codec} do not tell")
        parser = StreamParser(codec, stream.codec_context.extradata or b"")
        first = next(packet for packet in container.demux(stream) if packet.size)
        headers = parser.scan([bytes(first)])
        if not headers.has_picture[0]:
            pytest.skip("its first packet has no picture")
        told = Picture.told(stream, headers.picture_format(0), UPRIGHT)
        return told, Picture.of_first(stream, [first])


@pytest.mark.parametrize(
    ("codec", "name"), [(codec, name) for codec, names in FORMATS.items() for name in names.split()]
)
def test_headers_tell_size_and_format_of_every_kind_of_samples(tmp_path: Path, codec: str, name: str) -> None:
    path = make_clip(tmp_path / "clip.mkv", codec=codec, frames=1, size=(70, 54), pix_fmt=name, options=quietly(codec))
    told, decoded = told_and_decoded(path)
    assert told == decoded
    assert told is not None
    assert (told.width, told.height) == (70, 54)


def quietly(codec: str) -> dict[str, str]:
    return {"x265-params": "log-level=none"} if codec == "libx265" else {}


def test_a_deeper_crop_of_the_container_is_heeded_as_decoders_do(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=1, size=(80, 64))
    for width, height in ((78, 62), (80, 49), (65, 64), (64, 64), (96, 64), (80, 48)):
        content = bytearray(path.read_bytes())
        struct.pack_into(">HH", content, content.index(b"avc1", content.index(b"stsd")) + 28, width, height)
        other = tmp_path / f"{width}x{height}.mp4"
        other.write_bytes(content)
        told, decoded = told_and_decoded(other)
        assert told == decoded


@pytest.mark.parametrize("name", ["plain", "rotated", "ten_bit", "matroska", "hevc_rotated", "vp9_gops", "av1"])
def test_an_index_of_a_containers_table_decodes_nothing(
    clip: Callable[[str], Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a picture is decoded")

    monkeypatch.setattr(Picture, "of_first", refuse)
    cleanup_cache()
    index = VideoIndex.open(clip(name))
    assert index.description is not None
    assert index.pixel_format in {"yuv420p", "yuv420p10le"}
    assert index.orientation == (Orientation(True, flip_rows=True) if "rotated" in name else Orientation())
    cleanup_cache()


def with_sei(path: Path, target: Path, payload: bytes) -> Path:
    """The first packet of an H.264 clip with an SEI message before it, as a raw stream."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packet = next(packet for packet in container.demux(stream) if packet.size)
        to_annex_b = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", stream)
        (annex_b,) = to_annex_b.filter(packet)
        target.write_bytes(b"\0\0\0\1\6" + payload + b"\x80" + bytes(annex_b))
    return target


def test_where_a_message_turns_the_picture_headers_do_not_tell(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", frames=1)
    display_orientation = bytes([0x08, 0x00, 0x14])  # not flipped, turned by a quarter
    turned = with_sei(path, tmp_path / "turned.264", bytes([47, 3]) + display_orientation)
    told, decoded = told_and_decoded(turned)
    assert decoded is not None
    assert decoded.orientation.transpose
    assert told is None
    told, decoded = told_and_decoded(with_sei(path, tmp_path / "upright.264", bytes([137, 3]) + display_orientation))
    assert told == decoded


@pytest.mark.corpus
@pytest.mark.parametrize("file", corpus_files("h264", "hevc", "vp9", "av1", "real"), ids=lambda file: file.name)
def test_headers_tell_what_first_pictures_are_like(file: CorpusFile) -> None:
    try:
        told, decoded = told_and_decoded(file.path)
    except MediaRefError as error:
        pytest.skip(str(error))
    if decoded is None:
        pytest.skip("its first packet does not decode by itself")
    # Containers that turn their pictures are looked at in the tests of their tables.
    assert told is None or replace(told, orientation=decoded.orientation) == decoded
