"""`DecodePlan`: which packets a decoder must be fed to give the asked frames, and no more. Pure: it reads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaref.video_decoder.index import VideoIndex

_INTRA = ord("I")


@dataclass(frozen=True, eq=False)
class Span:
    """A run of packets that a decoder, freshly reset, is fed to get some of the frames."""

    #: Rows of the packets to feed, ascending; the first is a point where decoding can start.
    packets: NDArray[np.int64]
    #: The frames wanted from this run, in display order.
    frames: NDArray[np.int64]

    @property
    def start(self) -> int:
        """Row of the first packet."""
        return int(self.packets[0])


@dataclass(frozen=True, eq=False)
class DecodePlan:
    """The spans of packets that give the asked frames, in decoding order. Make one with `DecodePlan.of`."""

    index: VideoIndex = field(repr=False)
    spans: tuple[Span, ...]

    @classmethod
    def of(cls, index: VideoIndex, frames: Sequence[int] | NDArray[np.integer]) -> DecodePlan:
        """Plan for `frames` (display indices, in any order, repeats allowed). Raises `FrameIndexError`.

        For each frame, decoding starts at the last packet from which it comes out exactly: an IDR picture, or an
        intra picture with a recovery point if the frame is shown after it. From there on, packets are left out
        that no other picture is predicted from and nobody asked for (where the codec's headers are read).
        """
        index.check([int(frame) for frame in frames])
        wanted = np.unique(np.asarray(frames, np.int64))
        starts = _Starts(index)
        runs: list[_Run] = []
        for frame in sorted(wanted.tolist(), key=lambda frame: index.packet_of[frame]):
            start, row = starts.of(frame), int(index.packet_of[frame])
            if runs and start <= runs[-1].last:
                # The last run passes this start anyway; or the frame is shown before the run's start, needs what came
                # before it, and takes the run along.
                runs[-1] = _Run(min(start, runs[-1].start), row, [*runs[-1].frames, frame])
            else:
                runs.append(_Run(start, row, [frame]))
            while len(runs) > 1 and runs[-1].start <= runs[-2].last:
                later = runs.pop()
                runs[-1] = _Run(min(later.start, runs[-1].start), later.last, runs[-1].frames + later.frames)
        return cls(index, tuple(_span(index, run.start, run.frames) for run in runs))

    @property
    def packets(self) -> NDArray[np.int64]:
        """Rows of all packets fed, in the order in which they are fed."""
        return np.concatenate([span.packets for span in self.spans]) if self.spans else np.empty(0, np.int64)

    def earlier(self, span: Span) -> Span | None:
        """`span` begun at the start point before its own, for when its own proves false; None if it is the first."""
        points = _Starts(self.index).points
        before = points[points < span.start]
        return _span(self.index, int(before[-1]), span.frames.tolist()) if len(before) else None

    def __repr__(self) -> str:
        frames = sum(len(span.frames) for span in self.spans)
        fed = f"{len(self.packets)} of {len(self.index.packets)} packets fed"
        return f"DecodePlan({self.index.source.name!r}: {frames} frames from {len(self.spans)} starts, {fed})"

    def _repr_html_(self) -> str:
        from mediaref import notebook

        return notebook.plan_html(self)

    def explain(self) -> str:
        """What is read and why, for a person to read."""
        table = self.index.packets
        lines = []
        for span in self.spans:
            end = int(span.packets[-1]) + 1
            kind = "IDR picture" if table.is_idr[span.start] else "point of recovery"
            asked = ", ".join(map(str, span.frames[:8].tolist())) + (", ..." if len(span.frames) > 8 else "")
            lines.append(
                f"packets {span.start}..{end - 1}: start at the {kind}, feed {len(span.packets)} "
                f"({int(table.size[span.packets].sum())} bytes), "
                f"leave out {end - span.start - len(span.packets)} that nothing depends on -> frames {asked}"
            )
        total = len(self.packets)
        share = f"{total} of {len(table)} packets fed, {sum(len(span.frames) for span in self.spans)} frames returned"
        return "\n".join([*lines, share])


class _Run(NamedTuple):
    start: int
    #: Row of the last frame.
    last: int
    frames: list[int]


def start_points(index: VideoIndex) -> NDArray[np.int64]:
    """Rows of the packets where decoding can start; the first packet is always one."""
    table = index.packets
    if index.parser is None:
        clean = table.is_key.copy()
    else:
        # A recovery point on a P picture (intra refresh) promises exact pictures only later on; how much later
        # the table does not say, so it is no start.
        clean = table.is_recovery_point & table.is_key & (table.picture_type == _INTRA)
        clean |= table.is_idr
        if index.has_side_data:
            # Parameter sets that come as side data reach a decoder only with their packet: start before them.
            clean &= table.parameter_sets <= table.parameter_sets[:2].max()
    clean &= table.has_picture & ~table.is_second_field
    clean[0] = True
    return np.flatnonzero(clean)


class _Starts:
    """The packets of a video where decoding can start, and which of them serves a frame."""

    def __init__(self, index: VideoIndex) -> None:
        self._index = index
        table = index.packets
        self.points = start_points(index)
        self._shown = np.full(len(table), -1, np.int64)
        self._shown[index.packet_of] = np.arange(len(index))

    def of(self, frame: int) -> int:
        """Row of the packet to start from to get `frame` exactly."""
        table = self._index.packets
        at = int(np.searchsorted(self.points, self._index.packet_of[frame], side="right")) - 1
        while at > 0:
            point = int(self.points[at])
            # Pictures shown before a start point and decoded after it may refer to what was before it, unless the
            # point resets the decoder.
            resets = self._index.parser is not None and table.is_idr[point]
            if resets or 0 <= self._shown[point] <= frame:
                break
            at -= 1
        return int(self.points[at])


def _span(index: VideoIndex, start: int, frames: list[int]) -> Span:
    table = index.packets
    targets = np.array([row for frame in frames for row in index.packets_of(frame)], np.int64)
    end = int(targets.max()) + 1
    fed = np.ones(end - start, np.bool_)
    if index.parser is not None:
        rows = slice(start, end)
        fed = table.is_referenced[rows] | ~table.has_picture[rows]
        # A picture whose one field is referenced is fed with both.
        second = np.flatnonzero(table.is_second_field[rows])
        second = second[second > 0]
        fed[second] |= fed[second - 1]
        fed[second - 1] |= fed[second]
        fed[targets - start] = True
        fed[0] = True
    return Span(start + np.flatnonzero(fed), np.array(sorted(frames), np.int64))
