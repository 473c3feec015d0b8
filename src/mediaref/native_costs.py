"""From an indexed video and some frames to what the native parser says of their bits, in bounded memory.

A picture of H.264 or HEVC is read from its own packets. One of VP9 or AV1 takes over from those before it: its packets
are parsed in a chain from the last one where decoding can start.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mediaref.errors import MediaRefError
from mediaref.video_decoder import cache
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.reader import PacketReader

if TYPE_CHECKING:
    from mediaref._native import ChainParser, FrameCosts, ParseError

#: The frames that a packet holds, the hidden ones first, or why it cannot be read or parsed.
Costs: TypeAlias = "list[FrameCosts] | MediaRefError | ParseError"

#: Codecs whose bits are read.
COSTED_CODECS = ("h264", "hevc", "vp9", "av1")

#: Maps of frames that are parsed in one go may take this much memory, as far as each thread still has some to do.
_WINDOW_BYTES = 64 << 20
_FEWEST_A_THREAD = 4
_MOST_A_THREAD = 64
#: Bytes of the maps of one luma sample, roughly: 4 for each 4x4 cell and some 26 for each block.
_BYTES_A_SAMPLE = 0.35
#: What a parser of chains holds: the maps of eight frames, motion vectors and segments; and probabilities, four sets of
#: VP9 and eight of AV1.
_STATE_BYTES_A_SAMPLE = 9 * _BYTES_A_SAMPLE
_STATE_BYTES = {"vp9": 16 << 10, "av1": 192 << 10}
_MOST_CHECKPOINTS = 8


def frame_costs(index: VideoIndex, frames: Sequence[int], threads: int, hidden: bool) -> Iterator[Costs]:
    """For each of `frames` (display indices, any order, repeats allowed) its costs, on up to `threads` threads.

    With `hidden`, frames that are never shown come before the shown one that follows them.
    """
    assert index.parser is not None
    has_packet_access = index.parser.has_packet_access
    if not (has_packet_access and index.has_constant_sets):
        index = index.with_headers(frames)
    if has_packet_access:
        return _from_packets(index, frames, threads)
    return _from_chains(index, frames, threads, hidden)


def _from_packets(index: VideoIndex, frames: Sequence[int], threads: int) -> Iterator[Costs]:
    # Where there are threads, they parse one window while the maps of the one before are made use of.
    ahead = 1 if threads > 1 else 0
    in_memory = _frames_in_memory(index) // ((1 + ahead) * threads)
    at_once = max(_FEWEST_A_THREAD, min(in_memory, _MOST_A_THREAD)) * threads
    under_way: deque[_Window] = deque()
    with PacketReader(index) as reader:
        for asked in _windows(frames, at_once):
            under_way.append(_Window(index, reader, asked, threads))
            if len(under_way) > ahead:
                yield from under_way.popleft().costs()
        while under_way:
            yield from under_way.popleft().costs()


class _Window:
    """Some frames whose costs are under way."""

    def __init__(self, index: VideoIndex, reader: PacketReader, asked: list[int], threads: int) -> None:
        assert index.parser is not None
        table = index.packets
        self._asked = index.packet_of[asked]
        firsts = np.unique(self._asked)
        after = np.minimum(firsts + 1, len(table) - 1)
        counts = (1 + (table.is_second_field[after] & (after > firsts))).tolist()
        rows = [first + n for first, count in zip(firsts.tolist(), counts, strict=True) for n in range(count)]
        packets = iter(reader.read_each(rows))
        sets = table.parameter_sets[firsts].tolist()
        self._made: dict[int, Costs] = {}
        requests: dict[int, tuple[int, list[bytes]]] = {}
        for first, handle, count in zip(firsts.tolist(), sets, counts, strict=True):
            of_frame = list(islice(packets, count))
            unread = [packet for packet in of_frame if isinstance(packet, MediaRefError)]
            if unread:
                self._made[first] = unread[0]
            else:
                requests[first] = handle, [packet for packet in of_frame if isinstance(packet, bytes)]
        self._parsed = list(requests)
        self._pending = index.parser.start_bit_costs(list(requests.values()), threads)

    def costs(self) -> list[Costs]:
        """Wait for the costs of all frames, in the order asked."""
        from mediaref._native import ParseError

        for row, costs in zip(self._parsed, self._pending.results(), strict=True):
            self._made[row] = costs if isinstance(costs, ParseError) else [costs]
        return [self._made[row] for row in self._asked.tolist()]


def _from_chains(index: VideoIndex, frames: Sequence[int], threads: int, hidden: bool) -> Iterator[Costs]:
    from mediaref._native import ParseError

    chains = _Chains(index, frames, hidden)
    # Chains are shared out whole, so as many frames as may be are taken together.
    at_once = max(_frames_in_memory(index), _FEWEST_A_THREAD * threads)
    with PacketReader(index) as reader:
        for asked in _windows(frames, at_once):
            jobs = chains.jobs(asked)
            for job in jobs:
                job.read(reader)
            made: dict[int, Costs] = {}
            for job, results in zip(jobs, _results(jobs, threads), strict=True):
                if job.goes_on_from_before and any(isinstance(costs, ParseError) for costs in results):
                    # It was not damage, perhaps, but something that was passed over then.
                    job = chains.anew(job)
                    job.read(reader)
                    results = job.run()
                made.update(zip(job.rows, results, strict=True))
                chains.remember(job)
            for frame in asked:
                yield chains.of_frame(frame, made)


def _results(jobs: list[_Job], threads: int) -> list[list[Costs]]:
    """What each job gives.

    One thread needs no other beside the caller's, which has memory at hand from maps that were let go. More of them are
    gone before any frame is handed out: an iterator that is dropped half-way may be closed by the garbage collector,
    where waiting for a thread may be waiting for ever.
    """
    if min(threads, len(jobs)) == 1:
        return [job.run() for job in jobs]
    with ThreadPoolExecutor(threads, thread_name_prefix="mediaref-chain") as pool:
        return list(pool.map(_Job.run, jobs))


def _frames_in_memory(index: VideoIndex) -> int:
    return int(_WINDOW_BYTES / (_BYTES_A_SAMPLE * max(1, index.width * index.height)))


def _windows(frames: Sequence[int], size: int) -> Iterator[list[int]]:
    for begin in range(0, len(frames), size):
        yield list(frames[begin : begin + size])


class _Job:
    """Consecutive packets of one chain, to be parsed on one thread."""

    def __init__(self, parser: ChainParser, begin: int, wanted: list[int], goes_on: bool, from_before: bool) -> None:
        self.rows = range(begin, wanted[-1] + 1)
        self.wanted = wanted
        #: It begins at a checkpoint of an earlier call.
        self.goes_on_from_before = from_before
        #: Where later calls can go on: numbers of packets and the parsers behind them.
        self.checkpoints: list[tuple[int, ChainParser]] = []
        self._parser = parser
        self._goes_on = goes_on
        self._packets: list[bytes] = []
        self._unread: dict[int, MediaRefError] = {}

    def read(self, reader: PacketReader) -> None:
        """Fetch the packets. One that cannot be read is empty: the parser finds it as damaged as what depends on it."""
        packets = reader.read_each(self.rows)
        self._packets = [packet if isinstance(packet, bytes) else b"" for packet in packets]
        self._unread = {
            row: packet for row, packet in zip(self.rows, packets, strict=True) if isinstance(packet, MediaRefError)
        }

    def run(self) -> list[Costs]:
        wanted = set(self.wanted)
        is_wanted = [row in wanted for row in self.rows]
        costs: Sequence[Costs]
        if self._goes_on:
            costs = self._parser.parse(self._packets, is_wanted)
        else:
            costs, self.checkpoints = self._parser.parse_last(self._packets, is_wanted)
        return [self._unread.get(row, own) for row, own in zip(self.rows, costs, strict=True)]


class _Chains:
    """The chains that some frames lie in, and how far each was parsed."""

    def __init__(self, index: VideoIndex, frames: Sequence[int], hidden: bool) -> None:
        table = index.packets
        self._index = index
        self._hidden = hidden
        self._state_bytes = int(_STATE_BYTES_A_SAMPLE * index.width * index.height) + _STATE_BYTES[index.codec]
        starts = table.is_recovery_point.copy()
        starts[0] = True
        self._starts: list[int] = np.flatnonzero(starts).tolist()
        #: Last row that is asked for of each chain.
        self._ends: dict[int, int] = {}
        for row in (row for frame in frames for row in self._rows(frame)):  # hidden ones may end the chain before
            start = self._start(row)
            self._ends[start] = max(self._ends.get(start, 0), row)
        #: Parsers of chains that go on, and the row that each comes to next.
        self._parsers: dict[int, tuple[ChainParser, int]] = {}

    def jobs(self, frames: Sequence[int]) -> list[_Job]:
        """What must be parsed for `frames`."""
        rows = sorted({row for frame in frames for row in self._rows(frame)})
        return [self._job(start, list(members)) for start, members in groupby(rows, self._start)]

    def of_frame(self, frame: int, made: dict[int, Costs]) -> Costs:
        """The costs of a frame's packet, behind those of the hidden ones before it."""
        *before, row = self._rows(frame)
        own = made[row]
        if not isinstance(own, list):
            return own
        hidden = [costs for earlier in before for costs in _listed(made[earlier])]
        # The last one shown is what the packet presents; spatial layers below it are not.
        shown = [costs for costs in own if costs.is_shown][-1:]
        return hidden + own if self._hidden else shown

    def remember(self, job: _Job) -> None:
        """Keep the job's checkpoints for later calls; the last ones of a chain if there are many."""
        key = self._key(self._start(job.wanted[0]))
        known = {checkpoint.row: checkpoint for checkpoint in cache.checkpoints.peek(key) or ()}
        for count, parser in job.checkpoints:
            row = job.rows[0] + count
            known[row] = cache.Checkpoint(row, parser, self._state_bytes)
        if job.checkpoints:
            cache.checkpoints.keep(key, tuple(known[row] for row in sorted(known)[-_MOST_CHECKPOINTS:]))

    def _key(self, start: int) -> Hashable:
        return self._index.identity, start

    def _start(self, row: int) -> int:
        return self._starts[bisect_right(self._starts, row) - 1]

    def _rows(self, frame: int) -> range:
        """The frame's packet; with hidden frames, also the packets before it that show nothing."""
        row = first = int(self._index.packet_of[frame])
        if self._hidden:
            while first > 0 and not self._index.packets.has_picture[first - 1]:
                first -= 1
        return range(first, row + 1)

    def anew(self, job: _Job) -> _Job:
        """The same from the chain's first packet on."""
        start = self._start(job.wanted[0])
        cache.checkpoints.keep(self._key(start), ())
        self._parsers.pop(start, None)
        return self._job(start, job.wanted)

    def _job(self, start: int, members: list[int]) -> _Job:
        assert self._index.parser is not None
        parser, begin = self._parsers.pop(start, (None, start))
        from_before = False
        if parser is None or begin > members[0]:
            parser, begin = self._index.parser.chain(), start
            for checkpoint in cache.checkpoints.peek(self._key(start)) or ():
                if begin < checkpoint.row <= members[0]:
                    parser, begin, from_before = checkpoint.parser.copy(), checkpoint.row, True
        goes_on = self._ends[start] > members[-1]
        if goes_on:
            self._parsers[start] = (parser, members[-1] + 1)
        return _Job(parser, begin, members, goes_on, from_before)


def _listed(costs: Costs) -> list[FrameCosts]:
    return costs if isinstance(costs, list) else []
