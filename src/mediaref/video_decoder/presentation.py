"""Which packets a video presents as frames, in which order, and when."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import CorruptMediaError
from mediaref.storage import Source
from mediaref.video_decoder.container import opened
from mediaref.video_decoder.contents import Contents
from mediaref.video_decoder.packets import NO_TIME, PacketTable
from mediaref.video_decoder.picture import decoded

#: H.264 and HEVC allow no more.
_MAX_REORDER = 16
_SECOND = 1_000_000_000
#: Packets of a stream without a clean start that are decoded to learn which of them FFmpeg presents.
_RAGGED_START_PACKETS = 300
#: Pictures that may follow a key picture and be shown before it.
_LEADING_PACKETS = 32


def presentation(source: Source, contents: Contents) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Rows of the packets that begin a presented frame in the order shown, and when (None: the stream has no times)."""
    table, is_parsed = contents.packets, contents.parser is not None
    if contents.is_irregular:
        order = _order_of_delivery(source, table)
        return order, _ascending(table.pts[order])
    rows = np.flatnonzero(table.has_picture & ~table.is_second_field & ~table.is_discarded)
    if len(rows) and _starts_raggedly(table, rows, is_parsed):
        rows = _without_ragged_start(source, table, rows)
    if _has_presentation_times(table, rows):
        order = rows[np.argsort(table.pts[rows], kind="stable")]
        times = table.pts[order]
        if (np.diff(times) == 0).any():
            order = rows[np.lexsort((table.poc[rows], table.sequence[rows], table.pts[rows]))]
        return order, times
    if is_parsed:
        order = rows[np.lexsort((table.poc[rows], table.sequence[rows]))]
    else:
        order = _order_of_delivery(source, table)
    return order, _ascending(table.dts[order])


def _ascending(times: NDArray[np.int64]) -> NDArray[np.int64] | None:
    return None if (times == NO_TIME).any() else np.sort(times)


def _order_of_delivery(source: Source, table: PacketTable) -> NDArray[np.int64]:
    delivered = _delivered_rows(source, len(table))
    return np.array([row for row in delivered if not table.is_discarded[row]], np.int64)


def _has_presentation_times(table: PacketTable, rows: NDArray[np.int64]) -> bool:
    pts = table.pts[rows]
    if (pts == NO_TIME).any():
        return False
    if (table.scanned_from < 0).any():
        return True  # what is taken from a container's table has them
    # AVI and some broken MP4 files store no presentation times. FFmpeg then offers times that rise in decoding order:
    # where the headers ask for another order, believe the headers.
    by_headers = np.lexsort((table.poc[rows], table.sequence[rows]))
    reordered = bool((np.diff(by_headers) < 0).any())
    return not reordered or bool((np.diff(pts) < 0).any())


def _starts_raggedly(table: PacketTable, rows: NDArray[np.int64], is_parsed: bool) -> bool:
    """Whether the first pictures may depend on some before them, so that FFmpeg may not present them."""
    if not table.is_idr[np.flatnonzero(table.has_picture)[0]]:
        return True
    # Pictures shown before the key picture that they follow: those of a group cut out of the middle of a stream.
    return not is_parsed and bool((table.pts[rows[1:]] < table.pts[rows[0]]).any())


def _without_ragged_start(source: Source, table: PacketTable, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave out what FFmpeg does not present of a stream that begins in the middle: ask the decoder itself."""
    resets = np.flatnonzero(table.is_idr)
    stop = int(resets[0]) + _LEADING_PACKETS if len(resets) else len(table)
    stop = min(stop, _RAGGED_START_PACKETS)
    delivered = set(_delivered_rows(source, stop))
    return np.array([row for row in rows if row >= stop or int(row) in delivered], np.int64)


def _delivered_rows(source: Source, stop: int) -> list[int]:
    """Rows of the first `stop` packets whose pictures a plain decoder delivers, in the order of delivery."""
    delivered: list[int] = []
    with opened(source) as (container, stream):
        stream.codec_context.thread_count = 1
        for row, packet in enumerate(packet for packet in container.demux(stream) if packet.size):
            if row >= stop:
                break
            packet.pts = packet.dts = row
            delivered += [frame.pts for frame in decoded(stream, packet) if frame.pts is not None]
        delivered += [frame.pts for frame in decoded(stream, None) if frame.pts is not None]
    return delivered


def reorder_depth(packet_of: NDArray[np.int64]) -> int:
    """Most frames that are decoded before some frame and shown after it; at most 16."""
    shown = np.full(int(packet_of.max(initial=-1)) + 1, -1, np.int64)
    shown[packet_of] = np.arange(len(packet_of))
    shown = shown[shown >= 0]  # display rank of the frames in decoding order
    # Of the `at` frames decoded before one, at least `at - shown` are shown after it. There are more only where a frame
    # decoded later is shown earlier, and for that one all of these wait and this one, too: so where most do, it is so
    # many.
    return min(int((np.arange(len(shown)) - shown).max(initial=0)), _MAX_REORDER)


def nanoseconds(times: NDArray[np.int64], time_base: Fraction, name: str) -> NDArray[np.int64]:
    """Floor of `times * time_base` in nanoseconds, exactly."""
    numerator, denominator = time_base.numerator, time_base.denominator
    furthest = max(abs(int(times.min(initial=0))), abs(int(times.max(initial=0)))) * numerator
    if furthest // denominator >= (1 << 63) // _SECOND - 1:
        raise CorruptMediaError(f"{name}: its timestamps reach past 292 years; they cannot be right")
    if furthest * _SECOND < 1 << 63:
        at_once: NDArray[np.int64] = times * (numerator * _SECOND) // denominator
        return at_once
    if furthest < 1 << 63 and denominator < (1 << 63) // _SECOND:
        seconds, rest = np.divmod(times * numerator, denominator)
        result: NDArray[np.int64] = seconds * _SECOND + rest * _SECOND // denominator
        return result
    return np.array([int(time) * numerator * _SECOND // denominator for time in times], np.int64)


def end_ns(
    table: PacketTable,
    packet_of: NDArray[np.int64],
    times: NDArray[np.int64],
    time_base: Fraction,
    rate: Fraction | None,
    name: str,
) -> int:
    """Where the last frame ends: by the container's duration of it, else by the one before it, else by the rate."""
    last = int(times[-1])
    length = int(table.duration[packet_of[-1]])
    if length <= 0 and len(times) > 1:
        length = last - int(times[-2])
    if length > 0:
        return int(nanoseconds(np.array([last + length], np.int64), time_base, name)[0])
    begin = int(nanoseconds(np.array([last], np.int64), time_base, name)[0])
    return begin + (_SECOND * rate.denominator // rate.numerator if rate else 1)
