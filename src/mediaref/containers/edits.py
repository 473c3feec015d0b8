"""Edit lists of MP4 and MOV files (ISO/IEC 14496-12, 8.6.6): when a track begins that is shown from end to end."""

from __future__ import annotations

import struct

import numpy as np

from mediaref.containers.boxes import Box, find
from mediaref.containers.sample_table import SampleTable

_ENTRIES = {
    0: np.dtype([("duration", ">u4"), ("time", ">i4"), ("rate", ">u4")]),
    1: np.dtype([("duration", ">u8"), ("time", ">i8"), ("rate", ">u4")]),
}


def first_decoding_time(content: bytes, movie: Box, track: Box, samples: SampleTable) -> int | None:
    """When FFmpeg takes the first sample of a track to be decoded, in the track's time scale.

    None where edits leave out or repeat a sample, or may: which ones FFmpeg gives is then for FFmpeg to say.
    Raises `ValueError`, `KeyError` or `struct.error` where boxes do not fit together.
    """
    box = find(content, track, b"edts", b"elst")
    if box is None:
        return -samples.decode_shift
    body = content[box.body : box.end]
    edits = np.frombuffer(body, _ENTRIES[body[0]], int.from_bytes(body[4:8], "big"), 8)
    pauses = edits[:1] if len(edits) > 1 and edits["time"][0] == -1 else edits[:0]
    if len(edits) - len(pauses) != 1 or edits["rate"][-1] != 1 << 16 or samples.decode_shift:
        return None
    scale = _time_scale(content, find(content, track, b"mdia", b"mdhd"))
    movie_scale = _time_scale(content, find(content, movie, b"mvhd"))
    lengths = (int(pauses["duration"].sum()), int(edits["duration"][-1]))
    pause, length = ((each * scale + movie_scale // 2) // movie_scale for each in lengths)
    begin = int(edits["time"][-1])
    shown = samples.presentation_times()
    is_whole = shown[0] == begin == shown.min() and shown.max() < begin + length
    return pause - begin if is_whole else None


def _time_scale(content: bytes, header: Box | None) -> int:
    """Ticks a second, as an `mvhd` or `mdhd` box says."""
    if header is None:
        raise ValueError
    at = header.body + (20 if content[header.body] else 12)
    (scale,) = struct.unpack_from(">I", content, at)
    if not scale:
        raise ValueError
    return int(scale)
