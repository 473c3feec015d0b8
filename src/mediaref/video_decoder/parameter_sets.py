"""The parameter sets that travel inside packets of H.264 and HEVC, cut out for a decoder that starts later."""

from __future__ import annotations

import re
from collections.abc import Iterator

_START_CODE = re.compile(rb"\x00{2,}\x01")
#: x264 signs its streams, and decoders work around the faults of its old versions.
_SIGNATURE = b"x264 - core "
#: `nal_unit_type` of H.264 (table 7-1): SEI, and sequence and picture parameter sets with their extensions.
_H264_SEI = 6
_H264_SETS = {7, 8, 13, 15}
#: `nal_unit_type` of HEVC (table 7-1): video, sequence and picture parameter sets.
_HEVC_SETS = {32, 33, 34}


def decoder_headers(codec: str, packet: bytes, extradata: bytes) -> bytes:
    """What a decoder must have seen of `packet` to decode later ones: parameter sets and x264's signature.

    The NAL units come framed as in the stream; `extradata` tells how that is.
    """
    length_size = _length_size(codec, extradata)
    units = _length_prefixed(packet, length_size) if length_size else _start_coded(packet)
    return b"".join(packet[begin:end] for begin, body, end in units if _is_kept(codec, packet[body:end]))


def _is_kept(codec: str, unit: bytes) -> bool:
    if codec == "hevc":
        return unit[0] >> 1 & 63 in _HEVC_SETS
    kind = unit[0] & 31
    return kind in _H264_SETS or (kind == _H264_SEI and _SIGNATURE in unit)


def _length_size(codec: str, extradata: bytes) -> int:
    """Bytes of the length before each NAL unit (ISO/IEC 14496-15); 0 where start codes tell them apart."""
    at = 21 if codec == "hevc" else 4
    return (extradata[at] & 3) + 1 if len(extradata) > at and extradata[0] == 1 else 0


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
