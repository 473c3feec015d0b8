"""What is found out about a video stream when it is indexed, by whichever road."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from mediaref import limits
from mediaref.errors import LimitExceededError
from mediaref.storage import Source
from mediaref.video_decoder.container import frame_orientation, import_av
from mediaref.video_decoder.orientation import Orientation
from mediaref.video_decoder.packets import PacketTable

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from mediaref._native import StreamParser
    from mediaref.video_decoder.packets import VideoPacket

_log = logging.getLogger("mediaref")

#: FFmpeg's decoders of the alpha that WebM keeps beside its packets: those that it prefers pass over it.
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


@dataclass(frozen=True, eq=False)
class Contents:
    """One video stream: its packets, and what they have in common."""

    codec: str
    stream: int
    time_base: Fraction
    average_rate: Fraction | None
    picture: Picture
    packets: PacketTable
    parser: StreamParser | None
    extradata: bytes
    headers: Mapping[int, bytes]
    has_side_data: bool
    has_constant_sets: bool
    is_directly_readable: bool
    file_size: int | None
    description: Source | None
    #: A decoder of the stream that has decoded its first picture and nothing else, if there is one.
    decoder: VideoCodecContext | None


@dataclass(frozen=True)
class Picture:
    """The size and format of a stream's pictures as they are stored, and which way up they are shown."""

    width: int
    height: int
    pixel_format: str | None
    orientation: Orientation

    @classmethod
    def of_first(cls, stream: VideoStream, head: Iterable[VideoPacket]) -> Picture | None:
        """That of the first picture that the packets at the head of the stream decode to."""
        stream.codec_context.thread_count = 1
        for packet in head:
            if packet.is_discard:  # a decoder would keep the picture to itself
                packet = import_av().Packet(bytes(packet))
            for frame in decoded(stream, packet) or decoded(stream, None):
                return cls(frame.width, frame.height, _pixel_format(stream, frame), frame_orientation(frame))
            stream.codec_context.flush_buffers()
        return None


def _pixel_format(stream: VideoStream, frame: VideoFrame) -> str:
    """That of a stream's frames, with the alpha that the container promises for them."""
    name = frame.format.name
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


def check_limits(packets: PacketTable, picture: Picture | None, name: str) -> None:
    """Raise `LimitExceededError` if a packet, or the pictures where they are known, are larger than is allowed."""
    largest = int(packets.size.max())
    if largest > limits.MAX_PACKET_BYTES:
        raise LimitExceededError(
            f"{name}: packet {int(packets.size.argmax())} of {largest} bytes is over "
            f"mediaref.limits.MAX_PACKET_BYTES ({limits.MAX_PACKET_BYTES})"
        )
    if picture is not None and picture.width * picture.height > limits.MAX_FRAME_PIXELS:
        raise LimitExceededError(
            f"{name}: its frames of {picture.width}x{picture.height} pixels are over "
            f"mediaref.limits.MAX_FRAME_PIXELS ({limits.MAX_FRAME_PIXELS})"
        )
