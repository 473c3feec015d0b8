"""`DecodePlan`: which packets a decoder must be fed to give the asked frames, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaref.storage.ranges import Ranges
from mediaref.video_decoder.dependencies import cut_off, needed, packets_for
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.packets import PacketTable
from mediaref.video_decoder.starts import starts_of

#: So many stand-ins take FFmpeg as long as one packet.
_STAND_INS_A_PACKET = 5

#: Of frames that cannot be had `explain` names the first.
_MOST_NAMED = 3

_NO_ROWS = np.empty(0, np.int64)
_NO_ROWS.setflags(write=False)


@dataclass(frozen=True, eq=False)
class Span:
    """A run of packets that a decoder, freshly reset, is fed to get some of the frames."""

    #: Rows of the packets to feed, ascending; the first is a point where decoding can start.
    packets: NDArray[np.int64]
    #: The frames wanted from this run, in display order.
    frames: NDArray[np.int64]
    #: Those of `packets` in whose place stand-ins are fed: reference pictures that none of the others need, without
    #: which the decoder would lose count of them (H.264).
    stand_ins: NDArray[np.int64] = field(default_factory=_NO_ROWS.copy)

    @property
    def cost(self) -> int:
        """What decoding takes, in packets."""
        return len(self.packets) - len(self.stand_ins) * (_STAND_INS_A_PACKET - 1) // _STAND_INS_A_PACKET

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
    def of(cls, index: VideoIndex, frames: Iterable[int], ranges: Ranges | None = None) -> DecodePlan:
        """Plan for `frames` (display indices, in any order, repeats allowed). Raises `FrameIndexError`
        and, for what is no whole number, `InvalidTypeError`.

        For each frame, decoding starts at the last packet from which it comes out exactly: an IDR picture, or an
        intra picture with a recovery point if the frame is shown after it, or the beginning of a gradual refresh that
        is complete by then. From there on, only those packets are fed that the frames depend on, where the codec's
        headers are read: by the reference lists and marking of H.264, the reference picture sets of HEVC, the reference
        slots and contexts of VP9, the reference slots of AV1. For reference pictures of H.264 that the frames are not
        predicted from stand-ins are fed where that is cheaper (`Span.stand_ins`). Headers that matter and have not been
        read yet are read now; see `VideoIndex.with_headers`, also for `ranges`.
        """
        asked = index.check(frames)
        index = index.with_headers(asked, ranges)
        wanted = np.unique(np.array(asked, np.int64))
        starts = starts_of(index)
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
        return cls(index, tuple(span_for(index, run.start, run.frames) for run in runs))

    @property
    def packets(self) -> NDArray[np.int64]:
        """Rows of all packets fed, in the order in which they are fed."""
        return np.concatenate([span.packets for span in self.spans]) if self.spans else _NO_ROWS

    @property
    def frames(self) -> NDArray[np.int64]:
        """The frames that the plan is for, each once, ascending."""
        return np.sort(np.concatenate([span.frames for span in self.spans])) if self.spans else _NO_ROWS

    @property
    def cost(self) -> int:
        """What decoding takes, in packets (`Span.cost`)."""
        return sum(span.cost for span in self.spans)

    @property
    def packet_bytes(self) -> int:
        """Bytes of all packets fed, which is what is read of the file."""
        return int(self.index.packets.size[self.packets].sum())

    def earlier(self, span: Span) -> Span | None:
        """`span` begun at the start point before its own, for when its own proves false; None if it is the first."""
        points = starts_of(self.index).points
        before = points[points < span.start]
        return span_for(self.index, int(before[-1]), span.frames.tolist()) if len(before) else None

    def in_doubt(self, span: Span) -> Span | None:
        """What to try for frames that `span` did not give: every packet from its start, or an earlier start."""
        table = self.index.packets
        whole = np.arange(span.start, int(span.packets[-1]) + 1)
        if len(whole) > len(span.packets) or len(span.stand_ins):
            return Span(whole, span.frames)
        return self.earlier(span) if table.recovery_frames[span.start] else None

    def without(self, row: int, span: Span) -> Span | None:
        """What gives those frames of `span` that do not depend on the packet `row`, which cannot be read, if any."""
        index, start = self.index, span.start
        frames = [n for n in span.frames.tolist() if row not in packets_for(index, start, index.rows_of([n]))]
        return span_for(index, start, frames) if frames else None

    def __reduce__(self) -> tuple[Callable[..., DecodePlan], tuple[VideoIndex, NDArray[np.int64]]]:
        return DecodePlan.of, (self.index, self.frames)

    def __repr__(self) -> str:
        fed = f"{len(self.packets)} of {len(self.index.packets)} packets fed"
        return f"DecodePlan({self.index.source.name!r}: {len(self.frames)} frames from {len(self.spans)} starts, {fed})"

    def _repr_html_(self) -> str:
        from mediaref import notebook

        return notebook.plan_html(self)

    def explain(self) -> str:
        """What is read and why, for a person to read: a paragraph for each span, and the sum."""
        table = self.index.packets
        total = len(self.packets)
        stand_ins = sum(len(span.stand_ins) for span in self.spans)
        end = max((int(span.packets[-1]) for span in self.spans), default=-1)
        lost = cut_off(self.index, self.frames)
        return "\n".join(
            [
                *(line for span in self.spans for line in self._explain_span(span)),
                f"{total} of {len(table)} packets fed, {len(self.frames) - len(lost)} frames returned"
                + (f"; {stand_ins} of the packets as stand-ins" if stand_ins else ""),
                *(f"not returned: {error}" for error in islice(lost.values(), _MOST_NAMED)),
                *([f"not returned: {len(lost) - _MOST_NAMED} others"] if len(lost) > _MOST_NAMED else []),
                f"{self.packet_bytes} of {int(table.size.sum())} bytes read; the "
                f"{len(table) - 1 - end} packets behind the last frame are not looked at",
            ]
        )

    def _explain_span(self, span: Span) -> Iterator[str]:
        table, end = self.index.packets, int(span.packets[-1]) + 1
        rows = np.arange(span.start, end)
        left_out = np.setdiff1d(rows, span.packets)
        targets = self.index.rows_of(span.frames)
        helpers = np.setdiff1d(span.packets, [*targets, *span.stand_ins])
        asked = ", ".join(map(str, span.frames[:8].tolist())) + (", ..." if len(span.frames) > 8 else "")
        yield f"packets {span.start}..{end - 1} for frames {asked}"
        yield f"  start at packet {span.start}: {self._kind_of_start(span.start)}"
        yield f"  feed {len(span.packets)} ({_bytes(table, span.packets)}): {len(targets)} that hold the frames"
        if len(helpers):
            yield f"    and {len(helpers)} ({_bytes(table, helpers)}) that these depend on, or may"
        if len(span.stand_ins):
            yield (
                f"    and {len(span.stand_ins)} ({_bytes(table, span.stand_ins)}) that these do not depend on: the "
                "decoder gets pictures of skipped blocks for them, to number and order the others rightly"
            )
        if len(left_out):
            unreferenced = int((~table.is_referenced[left_out]).sum())
            reasons = [
                f"{unreferenced} that no picture refers to" if unreferenced else "",
                f"{len(left_out) - unreferenced} serving other frames alone" if unreferenced < len(left_out) else "",
            ]
            yield f"  leave out {len(left_out)} ({_bytes(table, left_out)}): {', '.join(filter(None, reasons))}"

    def _kind_of_start(self, row: int) -> str:
        table = self.index.packets
        if self.index.parser is None:
            return "a keyframe by the container, which is checked"
        if table.is_idr[row]:
            return "a picture that resets the decoder"
        if not table.is_recovery_point[row]:
            return "the first packet, for there is no better start before the frames"
        if table.recovery_frames[row]:
            return f"a gradual refresh that is complete {table.recovery_frames[row]} reference frames later"
        return "an intra picture that all later ones can be shown from"


def _bytes(table: PacketTable, rows: NDArray[np.int64]) -> str:
    return f"{int(table.size[rows].sum())} bytes"


class _Run(NamedTuple):
    start: int
    #: Row of the last frame.
    last: int
    frames: list[int]


def span_for(index: VideoIndex, start: int, frames: list[int]) -> Span:
    """What gives `frames` from the packet of row `start` on, by whichever way is cheaper."""
    targets = index.rows_of(frames)
    span = Span(np.array(packets_for(index, start, targets), np.int64), np.array(sorted(frames), np.int64))
    other = _span_of_stand_ins(index, start, targets, span.frames)
    return other if other is not None and other.cost < span.cost else span


def _span_of_stand_ins(index: VideoIndex, start: int, targets: set[int], frames: NDArray[np.int64]) -> Span | None:
    """The span with each reference picture that the targets are not predicted from fed as a stand-in, if there is one.

    It begins at an IDR picture, behind which the decoder's buffer is the same as in a full decode, picture by picture.
    """
    table = index.packets
    rows = range(start, max(targets) + 1)
    window = slice(rows.start, rows.stop)
    if index.has_side_data or not table.is_idr[start] or not table.has_stand_in[window].any():
        return None
    is_needed = np.zeros(len(rows), np.bool_)
    is_needed[np.array(needed(table, rows, targets, table.predicted_from), np.int64) - start] = True
    is_stand_in = table.has_stand_in[window] & ~is_needed
    packets = start + np.flatnonzero(is_needed | table.is_referenced[window])
    return Span(packets, frames, start + np.flatnonzero(is_stand_in))
