"""What is found out about a video stream when it is indexed, by whichever road."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from mediaref import limits
from mediaref.errors import LimitExceededError
from mediaref.video_decoder.packets import PacketTable
from mediaref.video_decoder.picture import Picture

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

    from mediaref._native import StreamParser


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
    description: bytes | None
    #: A decoder of the stream that has decoded nothing, or its first picture, if there is one.
    decoder: VideoCodecContext | None
    #: Some packets may hold two pictures, or none: which of them give a frame, and in which order, a decoder tells.
    is_irregular: bool = False
    #: Where the packets lie, if they are only the first one and those of some parts of the file.
    parts: tuple[tuple[int, int], ...] | None = None


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
