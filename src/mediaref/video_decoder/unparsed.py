"""Codecs whose headers the native module does not read: the little of their packets that matters all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mediaref.video_decoder.packets import VideoPacket

#: FFmpeg takes no larger packet of MPEG-4 for a picture that is not coded.
_MOST_OF_NO_PICTURE = 19
_START_OF_VOP = b"\0\0\1\xb6"
_START_OF_GROUP = b"\0\0\1\xb3"


def is_shown(codec: str, packet: VideoPacket) -> bool:
    """Whether a packet's picture is shown: VP8 has some that are only predicted from (`show_frame`, RFC 6386, 9.1)."""
    return codec != "vp8" or bool(bytes(packet)[0] & 16)


def is_irregular(codec: str, packet: VideoPacket) -> bool:
    """Whether a packet of MPEG-4 Part 2 may hold other than one picture.

    There are two in a packet of DivX and Xvid that a B-VOP is packed into; the next one then holds none, but a VOP that
    is not coded, as do those in the place of frames that the encoder dropped.
    """
    return codec == "mpeg4" and (packet.size <= _MOST_OF_NO_PICTURE or bytes(packet).count(_START_OF_VOP) != 1)


def headers_before_picture(codec: str, packet: VideoPacket) -> bytes:
    """What stands before the first picture in a packet of MPEG-4 Part 2, nothing for other codecs.

    It may be there once, at the beginning of the stream, and tells FFmpeg's decoder which encoder it has to deal with.
    """
    if codec != "mpeg4":
        return b""
    content = bytes(packet)
    starts = [content.find(start) for start in (_START_OF_GROUP, _START_OF_VOP)]
    return content[: min((at for at in starts if at >= 0), default=0)]
