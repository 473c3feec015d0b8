"""What the pictures of a stream are like: their size, their samples, which way up they are shown."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mediaref.video_decoder.container import frame_orientation
from mediaref.video_decoder.orientation import Orientation
from mediaref.video_decoder.padded_packet import padded_packet

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from mediaref._native import PictureFormat
    from mediaref.video_decoder.packets import VideoPacket

_log = logging.getLogger("mediaref")

#: FFmpeg's decoders of the alpha that WebM keeps beside its packets: those that it prefers pass over it.
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

#: FFmpeg's names of what it decodes to, by how luma samples share a chroma sample; 8 bits have no suffix.
_NAMES = {None: "gray", (0, 0): "yuv444p", (1, 0): "yuv422p", (0, 1): "yuv440p", (1, 1): "yuv420p"}
#: Bits of a sample that FFmpeg's decoders give.
_BIT_DEPTHS = {
    "h264": frozenset({8, 9, 10, 12, 14}),
    "hevc": frozenset({8, 9, 10, 12}),
    "vp9": frozenset({8, 10, 12}),
    "av1": frozenset({8, 10, 12}),
}
#: FFmpeg's numbers for samples that use their full range, and for the matrix of RGB.
_FULL_RANGE = 2
_RGB = 0


@dataclass(frozen=True)
class Picture:
    """The size and format of a stream's pictures as they are stored, and which way up they are shown."""

    width: int
    height: int
    pixel_format: str | None
    orientation: Orientation

    @classmethod
    def told(cls, stream: VideoStream, format: PictureFormat | None, display_matrix: bytes | None) -> Picture | None:
        """That which FFmpeg's decoder will give for what a stream's headers and its container say.

        None where something else has a say in it, or there is no such picture.
        """
        context = stream.codec_context
        codec = context.codec.canonical_name
        name = None if format is None else _decoded_format(codec, format, context)
        if format is None or name is None or display_matrix is None:
            return None
        left, top, width, height = format.crop
        if codec == "h264" and left == top == 0 and _is_crop(context.width, width) and _is_crop(context.height, height):
            width, height = context.width, context.height  # its decoder prefers the container's word
        orientation = Orientation.from_display_matrix(display_matrix)
        return cls(width, height, _with_alpha(name, stream), orientation)

    @classmethod
    def of_first(cls, stream: VideoStream, head: Iterable[VideoPacket]) -> Picture | None:
        """That of the first picture that the packets at the head of the stream decode to."""
        stream.codec_context.thread_count = 1
        for packet in head:
            if packet.is_discard:  # a decoder would keep the picture to itself
                packet = padded_packet(bytes(packet))
            for frame in decoded(stream, packet) or decoded(stream, None):
                name = _with_alpha(frame.format.name, stream)
                return cls(frame.width, frame.height, name, frame_orientation(frame))
            stream.codec_context.flush_buffers()
        return None


def _is_crop(container: int, stream: int) -> bool:
    """Whether the container's word for a side may be that of a decoder: within the last 16 samples of the stream's."""
    return 0 < container <= stream and -(-container // 16) == -(-stream // 16)


def _decoded_format(codec: str, format: PictureFormat, context: VideoCodecContext) -> str | None:
    """FFmpeg's name of the samples; None for those that its decoder does not give."""
    depth, chroma_depth = format.bit_depth
    if depth not in _BIT_DEPTHS[codec] or (format.subsampling is not None and chroma_depth != depth):
        return None
    is_rgb, is_full_range = format.is_rgb, format.is_full_range
    if codec == "h264":  # its decoder takes the container's word where the stream says nothing
        is_rgb = context.colorspace == _RGB if is_rgb is None else is_rgb
        is_full_range = context.color_range == _FULL_RANGE if is_full_range is None else is_full_range
    # FFmpeg gives H.264 without chroma chroma of no colour.
    name = _NAMES[(1, 1) if codec == "h264" and format.subsampling is None else format.subsampling]
    if is_rgb and format.subsampling == (0, 0):
        name = "gbrp"
    elif is_full_range and depth == 8 and (codec == "h264" or (codec == "hevc" and format.subsampling == (1, 1))):
        name = name.replace("yuv", "yuvj")
    return name if depth == 8 else f"{name}{depth}le"


def _with_alpha(name: str, stream: VideoStream) -> str:
    """A stream's format with the alpha that the container promises for it."""
    beside = stream.metadata.get("alpha_mode") == "1" and stream.codec_context.codec.canonical_name in ALPHA_DECODERS
    return "yuva420p" if beside and name == "yuv420p" else name


def decoded(stream: VideoStream, packet: VideoPacket | None) -> list[VideoFrame]:
    """The frames that the decoder gives for `packet`, or for the end of the stream; none for damage."""
    try:
        return stream.codec_context.decode(packet)
    # FFmpeg's "invalid data", and its decoders' -1, which reads as EPERM: this packet gives nothing, the next may.
    except (ValueError, PermissionError) as error:
        _log.debug("a packet cannot be decoded: %s", error)
        return []
