"""Packets for FFmpeg's decoders, which read on behind the end of their data."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from mediaref.video_decoder.packets import VideoPacket


def padded_packet(content: bytes) -> VideoPacket:
    """A packet of a copy of `content`, with the zeros behind it that decoders ask for (AV_INPUT_BUFFER_PADDING_SIZE).

    `av.Packet(content)` refers to the bytes object itself, behind which there may be anything, or nothing at all.
    """
    import av

    packet = cast("VideoPacket", av.Packet(len(content)))
    packet.update(content)
    return packet
