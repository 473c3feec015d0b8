"""`DecodePlan`: which packets a decoder must be fed to give the asked frames, and no more."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mediaref.arguments import tolerance
from mediaref.errors import CorruptMediaError
from mediaref.storage.ranges import Ranges
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.packets import NO_TIME, PacketTable

_INTRA = ord("I")

#: So many stand-ins take FFmpeg as long as one packet.
_STAND_INS_A_PACKET = 5

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
        starts = _starts(index)
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
        points = _starts(self.index).points
        before = points[points < span.start]
        return _span(self.index, int(before[-1]), span.frames.tolist()) if len(before) else None

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
        return _span(index, start, frames) if frames else None

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
        return "\n".join(
            [
                *(line for span in self.spans for line in self._explain_span(span)),
                f"{total} of {len(table)} packets fed, {len(self.frames)} frames returned"
                + (f"; {stand_ins} of the packets as stand-ins" if stand_ins else ""),
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


def packets_to_feed(index: VideoIndex, frames: Iterable[int], ranges: Ranges | None = None) -> NDArray[np.int64]:
    """What each of `frames` would cost by itself: the number of packets that its own plan feeds, int64[n].

    Five stand-ins (`Span.stand_ins`) count as one packet.
    `ranges` and what it raises are those of `DecodePlan.of`.
    """
    asked = index.check(frames)
    index = index.with_headers(asked, ranges)
    starts = _starts(index)
    return np.array([_span(index, starts.of(frame), [frame]).cost for frame in asked], np.int64)


def cut_off(index: VideoIndex, frames: Sequence[int]) -> dict[int, CorruptMediaError]:
    """Those of `frames` that cannot be had whatever is decoded, and why: packets that they depend on are missing.

    Asked of the headers read so far; of H.264 they tell, by the numbers of the reference frames. What is missing before
    the packet where decoding of the frame starts does it no harm.
    """
    table = index.packets
    asked = np.array(frames, np.int64)
    first = index.packet_of[asked]
    behind = np.minimum(first + 1, len(table) - 1)  # what may be its second field
    lost: dict[int, CorruptMediaError] = {}
    for frame in asked[np.maximum(table.missing[first], table.missing[behind]) >= 0].tolist():
        for row in index.packets_of(frame):
            gap = row - int(table.missing[row])  # row + 1 where there is none
            if gap <= row and _starts(index).of(frame) < gap:
                lost[frame] = CorruptMediaError(
                    f"{index.source.name}: frame {frame} (packet {row}, byte {int(table.position[row])}) depends on "
                    f"pictures that are missing from the file: some are lost right before packet {gap}; frames before "
                    "them, and those from the next keyframe on, can be read"
                )
                break
    return lost


def nearest_cheap_frames(
    index: VideoIndex, pts_ns: ArrayLike, tolerance_ns: int, ranges: Ranges | None = None
) -> NDArray[np.int64]:
    """For each time a frame that is cheap to reach and on screen at most `tolerance_ns` nanoseconds from it: int64[n].

    Of all frames within the tolerance it is one that the decoder must be fed the fewest packets for (a keyframe, or one
    soon behind it), and of equally cheap ones the nearest. Each time is looked at by itself. `index.pts_ns[frames]`
    are the times that were chosen. A tolerance of 0 gives the frames of `VideoIndex.frames_at`. Of packets whose
    headers have not been read yet, those are keyframes that the container marks; headers are read only for times
    without a keyframe within the tolerance, from `ranges` what those have of the file.
    Raises `InvalidReferenceError` (a `ValueError`) for a negative tolerance, and `TimestampError`.
    """
    within = tolerance(tolerance_ns)
    exact = index.frames_at(pts_ns).tolist()
    begin, end = index.span_ns()
    times = [int(time) for time in np.asarray(pts_ns, dtype=object).reshape(-1)]
    first = index.frames_at([max(begin, time - within) for time in times])
    last = index.frames_at([min(end - 1, time + within) for time in times])
    alone = _decodable_alone(index)
    candidates: list[Sequence[int]] = []
    for low, at, high in zip(first.tolist(), exact, last.tolist(), strict=True):
        behind = bisect_right(alone, at)
        # None is cheaper than these, and any other of them is further off than the next on its side.
        nearest = [frame for frame in alone[max(behind - 1, 0) : behind + 1] if low <= frame <= high]
        candidates.append(nearest or range(low, high + 1))
    weighed = sorted(set().union(*(near for near in candidates if isinstance(near, range) and len(near) > 1)))
    cost = dict(zip(weighed, packets_to_feed(index, weighed, ranges).tolist(), strict=True))
    chosen = [
        min(near, key=lambda frame, at=at: (cost.get(frame, 1), abs(frame - at)))  # type: ignore[misc]
        for near, at in zip(candidates, exact, strict=True)
    ]
    return np.array(chosen, np.int64)


def _decodable_alone(index: VideoIndex) -> list[int]:
    """The frames that take no packet but their own, ascending; of headers not read yet the container is believed."""
    index = index.with_headers(())  # what is known by now
    table, rows = index.packets, index.packet_of
    is_start = np.zeros(len(table), np.bool_)
    is_start[start_points(index)] = True
    is_alone = np.where(table.scanned_from < 0, table.is_key, is_start)
    is_halved = table.is_second_field[np.minimum(rows + 1, len(table) - 1)]
    alone: list[int] = np.flatnonzero(is_alone[rows] & ~is_halved).tolist()
    return alone


class _Run(NamedTuple):
    start: int
    #: Row of the last frame.
    last: int
    frames: list[int]


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


class _Starts:
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
        self._exact_from = _exact_from(table, points)
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
            exact_from = self._exact_from[at]
            if exact_from <= row and 0 <= self._shown()[exact_from] <= frame:
                break
            at -= 1
        return int(self.points[at])


def _starts(index: VideoIndex) -> _Starts:
    """Those of an index, found once: that takes a look at all its packets."""
    found = _found.get(index)
    if found is None:
        _found[index] = found = _Starts(index)
    return found


_found: WeakKeyDictionary[VideoIndex, _Starts] = WeakKeyDictionary()


def _exact_from(table: PacketTable, points: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each start point, the row of the picture from which on all that is shown is exact; past the end if none."""
    to_decode = table.recovery_frames[points]
    if not to_decode.any():
        return points
    counted = np.flatnonzero(table.is_referenced & ~table.is_second_field)
    later = np.searchsorted(counted, points) + to_decode
    return np.where(to_decode == 0, points, np.append(counted, len(table))[np.minimum(later, len(counted))])


def _span(index: VideoIndex, start: int, frames: list[int]) -> Span:
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
    is_needed[np.array(_needed(table, rows, targets, table.predicted_from), np.int64) - start] = True
    is_stand_in = table.has_stand_in[window] & ~is_needed
    packets = start + np.flatnonzero(is_needed | table.is_referenced[window])
    return Span(packets, frames, start + np.flatnonzero(is_stand_in))


def packets_for(index: VideoIndex, start: int, targets: set[int]) -> Sequence[int]:
    """Rows of the packets that a decoder must be fed from row `start` on to give the pictures of the rows `targets`."""
    rows = range(start, max(targets) + 1)
    if index.parser is None:
        return _without_leading(index.packets, rows, targets)
    # What comes as side data reaches a decoder with its packet alone.
    return rows if index.has_side_data else _needed(index.packets, rows, targets, index.packets.depends_on)


def _without_leading(table: PacketTable, rows: range, targets: set[int]) -> Sequence[int]:
    """`rows` without those right behind the first that are shown before it: they depend on what was before it.

    FFmpeg does not show them, but its decoder of MPEG-4 learns from their times how far fields are apart, falsely, and
    then leaves out others.
    """
    if rows.start == 0:
        return rows
    at = rows.start + 1
    while at < rows.stop and at not in targets and NO_TIME < table.pts[at] < table.pts[rows.start]:
        at += 1
    return [rows.start, *range(at, rows.stop)]


def _needed(table: PacketTable, rows: range, targets: set[int], links: NDArray[np.int64]) -> list[int]:
    """Those of `rows` that the targets need by `links`, at any remove; always the first one."""
    window = slice(rows.start, rows.stop)
    linked = links[window].tolist()
    is_second = table.is_second_field[window].tolist()
    is_fed = table.picture_type[window] == 0  # whatever such a packet is there for
    is_fed[[0, *(row - rows.start for row in targets)]] = True
    if table.recovery_frames[rows.start]:
        # Decoders show nothing before the picture that completes a gradual refresh, which they find by counting.
        complete = int(_exact_from(table, np.array([rows.start]))[0])
        is_fed[: complete + 1 - rows.start] |= table.is_referenced[rows.start : min(complete + 1, rows.stop)]
    is_referenced = table.is_referenced[window].copy()
    second = np.flatnonzero(is_second[1:]) + 1
    is_referenced[second] |= is_referenced[second - 1]
    is_referenced[second - 1] = is_referenced[second]

    needed = []
    waited_for = 0  # bit k: something fed depends on the packet k rows before; the sign: on all further back
    for at in range(len(rows) - 1, -1, -1):
        # A frame is fed with both its fields or not at all.
        own = 3 if is_second[at] else 1
        feed = is_fed[at] or (waited_for & own and is_referenced[at])
        if feed:
            needed.append(rows[at])
            waited_for |= own
        waited_for >>= 1
        if feed:
            waited_for |= linked[at]
    return needed[::-1]
