"""The parameter sets that travel inside an H.264 packet, cut out of it for a decoder that starts later."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SEI = 6
_PARAMETER_SETS = {7, 8, 13, 15}
_START_CODE = re.compile(rb"\x00{2,}\x01")
#: x264 signs its streams, and decoders work around the faults of its old versions.
_SIGNATURE = b"x264 - core "


def decoder_headers(packet: bytes, extradata: bytes) -> bytes:
    """What a decoder must have seen of `packet` to decode later ones: parameter sets and the encoder's signature.

    The NAL units come framed as in the stream; `extradata` tells how that is.
    """
    length_size = (extradata[4] & 3) + 1 if len(extradata) > 4 and extradata[0] == 1 else 0
    units = _length_prefixed(packet, length_size) if length_size else _start_coded(packet)
    kept = [
        packet[begin:end]
        for begin, body, end in units
        if (kind := packet[body] & 31) in _PARAMETER_SETS or (kind == _SEI and _SIGNATURE in packet[body:end])
    ]
    return b"".join(kept)


def _length_prefixed(packet: bytes, length_size: int) -> Iterator[tuple[int, int, int]]:
    """(begin, begin of the NAL unit proper, end) of each unit of a packet as MP4 has it."""
    begin = 0
    while (body := begin + length_size) < len(packet):
        end = body + int.from_bytes(packet[begin:body], "big")
        if body < end <= len(packet):
            yield begin, body, end
        begin = end


def _start_coded(packet: bytes) -> Iterator[tuple[int, int, int]]:
    """(begin, begin of the NAL unit proper, end) of each unit of a packet as Annex B has it."""
    marks = [(found.start(), found.end()) for found in _START_CODE.finditer(packet)]
    ends = [begin for begin, _ in marks[1:]] + [len(packet)]
    for (begin, body), end in zip(marks, ends, strict=True):
        if body < end:
            yield begin, body, end
