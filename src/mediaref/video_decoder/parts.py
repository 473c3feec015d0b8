"""Indexes of parts of a video: enough for the frames on screen at some times, of a file without a table of all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import CorruptMediaError, TimestampError
from mediaref.storage import Source
from mediaref.storage.ranges import Ranges
from mediaref.video_decoder import cache
from mediaref.video_decoder.container_table import read_container_table
from mediaref.video_decoder.headers import decoding_runs
from mediaref.video_decoder.index import VideoIndex, identified, index_of, kept, made
from mediaref.video_decoder.starts import start_points

#: No picture is decoded behind more than this many that are shown after it (the codecs' largest picture buffer).
_MOST_REORDERED = 16
#: More nanoseconds than any video has.
_ANY_REACH = 1 << 63


def index_around(
    source: Source, ranges: Ranges, times: Sequence[int], tolerance_ns: int = 0
) -> tuple[VideoIndex, bool]:
    """An index that has the frames on screen at `times` (nanoseconds), and whether it is that of the whole video.

    It also has what `nearest_cheap_frames` may choose in their stead: the frames within `tolerance_ns` as far as the
    next keyframe on each side.
    If not, the numbers that it gives frames mean nothing elsewhere. A file that was read in parts for as many bytes as
    it has is indexed whole. `ranges` are new ones of the file; they have then what was fetched of it, and go on only
    with the file that was indexed. Raises as `VideoIndex.open`, `TimestampError` aside.
    """
    if not source.is_remote:
        return index_of(source), True
    identity = identified(source, ranges)
    ranges.expect(identity)
    allowance = cache.allowances.peek(identity)
    if cache.indexes.peek(identity) is None and (allowance is None or allowance > 0):
        # Mostly the frames behind a time show that it is complete; the next keyframe does nearly always.
        for reach in (tolerance_ns, _ANY_REACH):
            contents = read_container_table(source, ranges, times, reach)
            if contents is None:
                break
            if contents.parts is None:
                return kept(source, identity, partial(made, source, identity, contents)), True
            allowance = ranges.size if allowance is None else allowance
            allowance -= sum(end - begin for begin, end in contents.parts)
            cache.allowances.keep(identity, allowance)
            index = _checked(made(source, identity, contents), contents.parts, times, tolerance_ns, ranges)
            if index is not None:
                return index, False
    return index_of(source), True


def _checked(
    index: VideoIndex, parts: Sequence[tuple[int, int]], times: Sequence[int], tolerance_ns: int, ranges: Ranges
) -> VideoIndex | None:
    """`index`, that of the first packet and of `parts` of a file, with headers read; None if it is not enough.

    For each time the part must begin with what decoding can start from, shown at or before that time: all that is
    shown later is decoded later. And it must go on until all that is decoded behind it is shown later than that time,
    or than the end of the tolerance or the next start, whichever comes first: behind a picture that resets the decoder
    and is, and behind more such pictures than may be reordered.
    """
    begins = np.array([begin for begin, _ in parts])
    part_of = np.searchsorted(begins, index.packets.position, side="right") - 1
    try:
        frames = index.frames_at(times)
        index = index.with_headers(_with_a_start(index, part_of), ranges)
    except (TimestampError, CorruptMediaError):
        return None
    table = index.packets
    starts = {row: run.start for row, run in decoding_runs(index, frames.tolist())}
    clean = start_points(index)
    most_reordered = 0 if index.parser is not None and index.parser.is_shown_as_decoded else _MOST_REORDERED
    assert index.pts_ns is not None
    shown = dict(zip(index.packet_of.tolist(), index.pts_ns.tolist(), strict=True))
    for time, frame in zip(times, frames.tolist(), strict=True):
        row = int(index.packet_of[frame])
        start = starts[row]
        is_start = start in clean and (table.is_idr[start] or table.is_recovery_point[start])
        is_promised = table.scanned_from[start] == start  # no parameter sets that change in mid-stream
        if not (is_start and is_promised and part_of[start] == part_of[row] >= 0):
            return None
        part = np.flatnonzero(part_of == part_of[row])
        later = [each for each in part[part > row].tolist() if shown.get(each, time) > time]
        until = min([time + tolerance_ns, *(shown[each] for each in later if each in clean)])
        behind = sum(shown[each] > until for each in later)
        is_complete = table.is_idr[later].any() or behind > most_reordered
        if parts[part_of[row]][1] < (index.file_size or 0) and not is_complete:
            return None
    return index


def _with_a_start(index: VideoIndex, part_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """The frames but those shown before the first picture of their part, which may depend on what was before it."""
    first = np.searchsorted(part_of, part_of)
    is_late = (index.packets.pts >= index.packets.pts[first]) & (part_of >= 0)
    return np.flatnonzero(is_late[index.packet_of])
