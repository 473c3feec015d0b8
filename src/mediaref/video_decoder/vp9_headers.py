"""Whether a VP9 packet shows a picture: a few encoders put hidden reference frames into packets of their own."""

from __future__ import annotations


def shows_picture(packet: bytes) -> bool:
    """Read the first bits of the uncompressed header. A superframe always ends in a frame that is shown."""
    is_superframe = packet[-1] & 0xE0 == 0xC0
    header = int.from_bytes(packet[:2].ljust(2, b"\0"), "big")
    profile = header >> 13 & 1 | header >> 11 & 2  # two bits after the frame marker, the low one first
    flags = header >> (8 if profile == 3 else 9) & 7  # profile 3 has a reserved bit before them
    show_existing_frame, show_frame = flags & 4, flags & 1
    return bool(is_superframe or show_existing_frame or show_frame)
