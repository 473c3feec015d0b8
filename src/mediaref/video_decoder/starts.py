"""Where in a video decoding can start."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.packets import PacketTable

_INTRA = ord("I")


def start_points(index: VideoIndex) -> NDArray[np.int64]:
    """Rows of the packets where decoding can start, exact at once; the first packet is always one."""
    table = index.packets
    if index.parser is None:
        clean = table.is_key.copy()
    else:
        clean = table.is_recovery_point & table.is_key & (table.picture_type == _INTRA) & (table.recovery_frames == 0)
        clean |= table.is_idr
        if index.has_side_data:
            # Parameter sets that come as side data reach a decoder only with their packet: start before them.
            clean &= table.parameter_sets <= table.parameter_sets[:2].max()
    clean &= table.has_picture & ~table.is_second_field
    clean[0] = True
    return np.flatnonzero(clean)


class Starts:
    """The packets of a video where decoding can start, and which of them serves a frame."""

    def __init__(self, index: VideoIndex) -> None:
        self._table = table = index.packets  # not the index itself, by which these are found: it may go
        self._packet_of = index.packet_of
        self._is_parsed = index.parser is not None
        points = start_points(index)
        if index.parser is not None and not index.has_side_data:
            # A refresh picture by picture: the stream promises exact pictures once it is complete.
            refresh = table.is_recovery_point & (table.recovery_frames > 0)
            points = np.union1d(points, np.flatnonzero(refresh & table.has_picture & ~table.is_second_field))
        self.points = points
        self._exact_from = exact_from(table, points)
        if not self._is_parsed and (np.diff(table.pts[index.packet_of]) < 0).any():
            # Packets that hold other pictures than their times tell, as DivX packs B-VOPs: what a decoder makes of them
            # right behind a start is not certain before the next one.
            self._exact_from = np.append(points[1:], len(table))
        self._frame_of: NDArray[np.int64] | None = None

    def _shown(self) -> NDArray[np.int64]:
        """The frame in each packet; -1 for none. Not every stream needs it."""
        if self._frame_of is None:
            frame_of = np.full(len(self._table), -1, np.int64)
            frame_of[self._packet_of] = np.arange(len(self._packet_of))
            self._frame_of = frame_of
        return self._frame_of

    def of(self, frame: int) -> int:
        """Row of the packet to start from to get `frame` exactly."""
        table = self._table
        row = self._packet_of[frame]
        at = int(np.searchsorted(self.points, row, side="right")) - 1
        while at > 0:
            # Pictures shown before a start point and decoded after it may refer to what was before it, unless the
            # point resets the decoder.
            if self._is_parsed and table.is_idr[self.points[at]]:
                break
            exact = self._exact_from[at]
            if exact <= row and 0 <= self._shown()[exact] <= frame:
                break
            at -= 1
        return int(self.points[at])


def starts_of(index: VideoIndex) -> Starts:
    """The starts of a video, found once for an index: that takes a look at all its packets."""
    found = _found.get(index)
    if found is None:
        _found[index] = found = Starts(index)
    return found


_found: WeakKeyDictionary[VideoIndex, Starts] = WeakKeyDictionary()


def exact_from(table: PacketTable, points: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each start point, the row of the picture from which on all that is shown is exact; past the end if none."""
    to_decode = table.recovery_frames[points]
    if not to_decode.any():
        return points
    counted = np.flatnonzero(table.is_referenced & ~table.is_second_field)
    later = np.searchsorted(counted, points) + to_decode
    return np.where(to_decode == 0, points, np.append(counted, len(table))[np.minimum(later, len(counted))])
