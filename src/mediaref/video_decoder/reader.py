"""Reading chosen packets of an indexed video: straight from the file where that gives the same bytes, else demuxed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence, Set
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import CorruptMediaError, FileChangedError, MediaRefError, StorageError
from mediaref.storage.ranges import Ranges
from mediaref.video_decoder.container import import_av, opened, translated_errors
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.packets import NO_TIME
from mediaref.video_decoder.padded_packet import padded_packet

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from mediaref.video_decoder.packets import VideoPacket

_log = logging.getLogger("mediaref")

#: Reading on through this many packets costs about what a seek does.
_WORTH_A_SEEK = 48
#: How much is fetched of a remote file, and read of a local one, at once.
_FETCHED_BYTES = 32 << 20
_READ_BYTES = 1 << 20
#: Containers whose packets can be found by byte offset only: they have no index of times, or no times.
_BYTE_SEEKABLE = frozenset({"mpegts", "mpeg", "h264", "hevc", "m4v"})


class PacketReader:
    """Reads packets of one video, in ascending order a call. Not to be shared by threads; use it in a `with` block."""

    def __init__(self, index: VideoIndex, ranges: Ranges | None = None) -> None:
        """`ranges` has what was fetched of a remote file; it is not closed here."""
        self._index = index
        self._resources = ExitStack()
        self._shared = ranges
        self._demuxer: _Demuxer | None = None

    def __enter__(self) -> PacketReader:
        index = self._index
        self._ranges = self._shared or self._resources.enter_context(
            Ranges(index.source, index.file_size, index.identity)
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def read(self, rows: Sequence[int], stand_ins: Set[int] = frozenset()) -> Iterator[tuple[int, VideoPacket]]:
        """Yield `(row, packet)` for rows of the packet table, which must ascend; for some of them stand-ins.

        Raises `CorruptMediaError` if a packet is no longer what the index says, and `FileChangedError`.
        """
        packets = self._read_directly(rows) if self._index.is_directly_readable else self._demuxed(rows)
        return self._with_stand_ins(packets, stand_ins) if stand_ins else packets

    def _with_stand_ins(
        self, packets: Iterator[tuple[int, VideoPacket]], stand_ins: Set[int]
    ) -> Iterator[tuple[int, VideoPacket]]:
        for row, packet in packets:
            yield row, self._stand_in(row, packet) if row in stand_ins else packet

    def _stand_in(self, row: int, packet: VideoPacket) -> VideoPacket:
        """What a decoder is fed in the place of a packet; the packet itself does, too, if there is nothing else."""
        assert self._index.parser is not None
        content = self._index.parser.stand_in(int(self._index.packets.parameter_sets[row]), bytes(packet))
        return packet if content is None else padded_packet(content)

    def read_bytes(self, rows: Sequence[int]) -> Iterator[bytes]:
        """The bytes alone of the packets of `rows`, which must ascend: those that follow each other are read in one go.

        Raises as `read`.
        """
        if self._index.is_directly_readable:
            return self._read_together(rows)
        return (bytes(packet) for _, packet in self._demuxed(rows))

    def bring(self, rows: Sequence[int]) -> None:
        """Have packets of a remote file at hand for the reads that follow, or the first of them where they are many.

        They are asked for together. `rows` must ascend.
        """
        if self._index.is_directly_readable:
            next(self._batches(rows), None)

    def read_each(self, rows: Sequence[int]) -> list[bytes | MediaRefError]:
        """The bytes of each packet of `rows`, which must ascend, or why it cannot be read.

        Raises `FileChangedError`.
        """
        packets: list[bytes | MediaRefError] = []
        try:
            packets.extend(self.read_bytes(rows))
        except FileChangedError:
            raise
        except (CorruptMediaError, StorageError) as error:
            rest = rows[len(packets) :]
            # Looking for each of them in a container would mean to read it from the start, time and again.
            each = map(self._bytes_or_error, rest) if self._index.is_directly_readable else [error] * len(rest)
            packets.extend(each)
        return packets

    def _bytes_or_error(self, row: int) -> bytes | MediaRefError:
        try:
            (content,) = self.read_bytes([row])
        except FileChangedError:
            raise
        except (CorruptMediaError, StorageError) as error:
            return error
        return content

    def _demuxed(self, rows: Sequence[int]) -> Iterator[tuple[int, VideoPacket]]:
        if self._demuxer is None:
            self._index.check_unchanged()
            self._demuxer = _Demuxer(self._index, self._resources)
        for row, packet in self._demuxer.read(rows):
            if not self._index.source.is_remote:  # where asking takes a request
                self._index.check_unchanged()
            yield row, packet

    def _read_together(self, rows: Sequence[int]) -> Iterator[bytes]:
        table = self._index.packets
        is_in_memory = self._index.source.is_remote  # what was fetched
        for batch in self._batches(rows):
            begins, sizes = table.position[batch].tolist(), table.size[batch].tolist()
            first = 0
            while first < len(batch):
                last, end = first + 1, begins[first] + sizes[first]
                while not is_in_memory and last < len(batch) and begins[last] == end:
                    end += sizes[last]
                    last += 1
                try:
                    block = self._ranges.read(begins[first], end - begins[first])
                except StorageError:
                    if last == first + 1:
                        raise
                    last = first + 1  # it may be another of them that the disk does not give
                    block = self._ranges.read(begins[first], sizes[first])
                at = 0
                for row, size in zip(batch[first:last].tolist(), sizes[first:last], strict=True):
                    content = block[at : at + size]
                    if len(content) != size:
                        raise self._cut_short(row)
                    yield content
                    at += size
                first = last

    def _read_directly(self, rows: Sequence[int]) -> Iterator[tuple[int, VideoPacket]]:
        are_keys = self._index.packets.is_key[np.asarray(rows, np.int64)].tolist()
        for row, is_key, content in zip(rows, are_keys, self._read_together(rows), strict=True):
            packet = padded_packet(content)
            packet.is_keyframe = is_key
            yield row, packet

    def _cut_short(self, row: int) -> CorruptMediaError:
        table = self._index.packets
        return CorruptMediaError(
            f"{self._index.source.name}: packet {row} (byte {int(table.position[row])}) of {int(table.size[row])} "
            "bytes is cut short: the file ends before it does"
        )

    def _batches(self, rows: Sequence[int]) -> Iterator[NDArray[np.int64]]:
        """`rows`, some at a time, with what they hold at hand if the file is a remote one."""
        table = self._index.packets
        asked = np.asarray(rows, np.int64)
        is_remote = self._index.source.is_remote
        batches = np.cumsum(table.size[asked]) // (_FETCHED_BYTES if is_remote else _READ_BYTES)
        for batch in np.split(asked, np.flatnonzero(np.diff(batches)) + 1):
            if is_remote:
                if self._shared is None:
                    self._ranges.forget(beyond=_FETCHED_BYTES)
                self._ranges.fetch(table.position[batch], table.size[batch])
            yield batch


class _Demuxer:
    """Finds packets through the container's own seeking, and believes it only after a look at what came back."""

    def __init__(self, index: VideoIndex, resources: ExitStack) -> None:
        self._index = index
        self._resources = resources
        self._own = resources.enter_context(ExitStack())
        self._keys = np.flatnonzero(index.packets.is_key)
        self._reopen()

    def _reopen(self) -> None:
        self._own.close()
        self._container: InputContainer
        self._stream: VideoStream
        self._container, self._stream = self._own.enter_context(opened(self._index.source))
        self._packets = self._demux()
        self._next = 0  # row of the packet that comes next

    def _demux(self) -> Iterator[VideoPacket]:
        with translated_errors(self._index.source.name):
            yield from (packet for packet in self._container.demux(self._stream) if packet.size)

    def read(self, rows: Sequence[int]) -> Iterator[tuple[int, VideoPacket]]:
        for row in rows:
            packet = self._take(self._approach(row), row)
            if packet is None and row:
                self._reopen()  # what the seek gave could not be placed: read from the start
                packet = self._take(None, row)
            if packet is None:
                raise _changed(self._index, row)
            yield row, packet

    def _approach(self, row: int) -> VideoPacket | None:
        """Seek where that is worth it. Gives the packet that had to be read to see where the seek led."""
        before = self._keys[: np.searchsorted(self._keys, row, side="right")]
        key = int(before[-1]) if len(before) else 0
        if self._next <= row and key < self._next + _WORTH_A_SEEK:
            return None
        for move in self._moves(key):
            if not self._seek(*move):
                continue
            for packet in self._packets:
                found = self._index.packets.match(packet, key)
                if found is None:
                    continue  # the remainder of a packet that the seek cut
                if found > row:
                    break
                self._next = found + 1
                return packet
        _log.debug("%s: cannot seek to packet %d; reading from the start", self._index.source.name, key)
        self._reopen()
        return None

    def _moves(self, key: int) -> Iterator[tuple[int, bool]]:
        table = self._index.packets
        if self._container.format.name in _BYTE_SEEKABLE and table.position[key] >= 0:
            yield int(table.position[key]), True
        for time in dict.fromkeys((int(table.pts[key]), int(table.dts[key]))):
            if time != NO_TIME:
                yield time, False

    def _seek(self, to: int, by_bytes: bool) -> bool:
        try:
            self._container.seek(to, stream=self._stream, unsupported_byte_offset=by_bytes)
        except import_av().error.FFmpegError as error:
            _log.debug("%s: cannot seek to %d: %s", self._index.source.name, to, error)
            return False
        self._packets = self._demux()
        return True

    def _take(self, packet: VideoPacket | None, row: int) -> VideoPacket | None:
        """The packet of `row`, reading on from `packet` (the one before `self._next`) or from the next one."""
        table = self._index.packets
        if packet is not None and self._next == row + 1:
            return packet
        for packet in self._packets:
            if packet.size != table.size[self._next : self._next + 1].sum():
                return None
            self._next += 1
            if self._next == row + 1:
                return packet
        return None


def _changed(index: VideoIndex, row: int) -> CorruptMediaError:
    return CorruptMediaError(
        f"{index.source.name}: packet {row} (byte {int(index.packets.position[row])}) is not where it was when the "
        f"file was indexed; if the file is being written, wait until it is complete"
    )
