"""Headers of packets that were indexed by the container's own table: read when something depends on them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import CorruptMediaError, FileChangedError, StorageError
from mediaref.video_decoder.packets import HEADER_COLUMNS, PacketTable
from mediaref.video_decoder.parameter_sets import decoder_headers

if TYPE_CHECKING:
    from mediaref._native import PictureFormat, StreamParser
    from mediaref.video_decoder.index import VideoIndex
    from mediaref.video_decoder.reader import PacketReader

_Columns = dict[str, NDArray[Any]]
_Rows = NDArray[np.int64]

_log = logging.getLogger("mediaref")

_CHUNK_PACKETS = 512
_CHUNK_BYTES = 16 << 20
_INTRA = ord("I")


@dataclass(frozen=True, eq=False)
class FirstHeaders:
    """What the first packet's headers say, and the parameter sets that hold from there on."""

    parser: StreamParser
    columns: _Columns
    #: That of the first picture, where its headers tell all of it.
    format: PictureFormat | None
    #: Handle of the parameter sets in force after the packet.
    steady_sets: int

    @classmethod
    def read(cls, codec: str, extradata: bytes, first: bytes) -> FirstHeaders:
        """Read them with a parser of their own."""
        from mediaref._native import StreamParser

        parser = StreamParser(codec, extradata)
        headers = parser.scan([first, b""])
        columns = {name: getattr(headers, name)[:1] for name in HEADER_COLUMNS}
        return cls(parser, columns, headers.picture_format(0), int(headers.parameter_sets[1]))

    def put_into(self, table: PacketTable) -> PacketTable:
        """The table with these headers, and with the parameter sets that later packets are promised to have."""
        first = self.columns | {"scanned_from": np.zeros(1, np.int32)}
        later = {name: getattr(table, name)[-1:] for name in first}
        later["parameter_sets"] = np.array([self.steady_sets], np.int32)
        return replace(table, **{name: _first_and_later(first[name], later[name], len(table)) for name in first})


def _first_and_later(first: NDArray[Any], later: NDArray[Any], count: int) -> NDArray[Any]:
    """A column of `count` rows with one value in the first and one in all others; it takes no memory if they agree."""
    column = np.broadcast_to(later, count)
    if first[0] != later[0]:
        column = column.copy()
        column[0] = first[0]
    return column


def with_headers(index: VideoIndex, frames: Iterable[int] | None, reader: PacketReader) -> VideoIndex:
    """`index` with the headers that a plan for `frames` depends on, or with all.

    They are read from the last keyframe on that the container marks before each frame: decoding can start there with
    what the sample entry says, or it would be no keyframe (ISO/IEC 14496-12). Where that does not hold, or the
    parameter sets change after all, the headers of all packets are read in order. Raises `CorruptMediaError`.
    """
    runs = [range(len(index.packets))] if frames is None else unread_runs(index, frames)
    table = index.packets
    columns: _Columns = {name: getattr(table, name).copy() for name in (*HEADER_COLUMNS, "scanned_from")}
    reader.bring([row for run in runs for row in run])
    try:
        for run in runs:
            before = columns["scanned_from"][run.start : run.stop]
            # Of a packet that was read together with more of those before it, more is known.
            better = run.start + np.flatnonzero((before < 0) | (before > run.start))
            found = _read_run(index, run, reader)
            better = better[better < run.start + len(found["poc"])]
            for name, values in found.items():
                columns[name][better] = values[better - run.start]
            columns["scanned_from"][better] = run.start
    except _FalsePromiseError:
        return _with_all_headers(index, reader)
    return replace(index, packets=replace(table, **columns))


def are_headers_read(index: VideoIndex, frames: Iterable[int] | None) -> bool:
    """Whether `index` has the headers that a plan for `frames` depends on, or all."""
    return bool((index.packets.scanned_from >= 0).all()) if frames is None else not unread_runs(index, frames)


class _FalsePromiseError(Exception):
    """A keyframe is none, or parameter sets change in mid-stream."""


def decoding_runs(index: VideoIndex, frames: Iterable[int]) -> list[tuple[int, range]]:
    """For each different one of `frames`, in decoding order: its packet, and all from a keyframe to it.

    The keyframe, as the container marks it, is one that decoding of the frame may start at.
    """
    rows, starts = _decoding_starts(index, frames)
    return [(row, range(start, row + 1)) for row, start in zip(rows.tolist(), starts.tolist(), strict=True)]


def _decoding_starts(index: VideoIndex, frames: Iterable[int]) -> tuple[_Rows, _Rows]:
    """The packets of `frames`, ascending, and the keyframe that decoding of each may start at."""
    table = index.packets
    rows = np.unique(index.packet_of[np.fromiter(frames, np.int64)])
    keys = np.flatnonzero(table.is_key)
    if len(keys) == 0:
        return rows, np.zeros_like(rows)
    at = np.maximum(np.searchsorted(keys, rows, side="right") - 1, 0)
    # Shown before the keyframe that it follows: it may refer to what was before.
    while (early := (table.pts[keys[at]] > table.pts[rows]) & (at > 0)).any():
        at -= early
    return rows, keys[at]


def unread_runs(index: VideoIndex, frames: Iterable[int]) -> list[range]:
    """What is not read yet of the packets that decoding of `frames` may need."""
    rows, starts = _decoding_starts(index, frames)
    read_from = index.packets.scanned_from[rows]
    unread = (read_from < 0) | (read_from > starts)
    ends: dict[int, int] = {}
    for start, row in zip(starts[unread].tolist(), rows[unread].tolist(), strict=True):
        ends[start] = row + 1
    runs: list[range] = []
    for start, end in sorted(ends.items()):
        if runs and start < runs[-1].stop:
            runs[-1] = range(runs[-1].start, max(end, runs[-1].stop))
        else:
            runs.append(range(start, end))
    return runs


def _read_run(index: VideoIndex, run: range, reader: PacketReader) -> _Columns:
    from mediaref._native import StreamParser

    parser = StreamParser(index.codec, index.extradata)
    known = index.headers.get(0, b"") if run.start else b""
    if known:
        parser.scan([known])
    columns = _scanned(parser, _chunks(index, run, reader))
    sets = columns["parameter_sets"]
    if len(sets) == 0:
        return columns
    clean = columns["is_idr"][0] or (columns["is_recovery_point"][0] and columns["picture_type"][0] == _INTRA)
    steady = parser.scan([b""]).parameter_sets[0]
    if not clean or (sets[1:] != steady).any() or steady != index.packets.parameter_sets[-1]:
        raise _FalsePromiseError
    return columns


def _with_all_headers(index: VideoIndex, reader: PacketReader) -> VideoIndex:
    from mediaref._native import StreamParser

    parser = StreamParser(index.codec, index.extradata)
    columns = _scanned(parser, _chunks(index, range(len(index.packets)), reader))
    if columns["is_second_field"].any():
        raise CorruptMediaError(
            f"{index.source.name}: packet {int(columns['is_second_field'].argmax())} holds half a frame, which the "
            "file's description rules out; put the stream into another container to read it"
        )
    sets = columns["parameter_sets"]
    changes = np.flatnonzero(sets[1:] != sets[:-1]).tolist()
    headers = {
        row: decoder_headers(index.codec, bytes(packet), index.extradata) for row, packet in reader.read(changes)
    }
    columns["scanned_from"] = np.zeros(len(sets), np.int32)
    table = index.packets
    columns = {name: np.append(values, getattr(table, name)[len(sets) :]) for name, values in columns.items()}
    return replace(index, packets=replace(table, **columns), parser=parser, headers=headers)


def _scanned(parser: StreamParser, chunks: Iterator[list[bytes]]) -> _Columns:
    parts = [parser.scan(chunk) for chunk in chunks] or [parser.scan([])]
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in HEADER_COLUMNS}


def _chunks(index: VideoIndex, rows: Sequence[int], reader: PacketReader) -> Iterator[list[bytes]]:
    """The packets as far as they can be read; who needs one beyond will be told why it cannot."""
    chunk: list[bytes] = []
    size = 0
    try:
        for packet in reader.read_bytes(rows):
            chunk.append(packet)
            size += len(packet)
            if len(chunk) == _CHUNK_PACKETS or size >= _CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
    except FileChangedError:
        raise
    except (CorruptMediaError, StorageError) as error:
        _log.debug("%s", error)
    if chunk:
        yield chunk
