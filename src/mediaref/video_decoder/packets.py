"""The packet table, and how a pass over a video stream makes it: what container and headers say of each packet."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mediaref import limits
from mediaref.errors import CorruptMediaError, LimitExceededError
from mediaref.video_decoder.container import import_av
from mediaref.video_decoder.parameter_sets import decoder_headers
from mediaref.video_decoder.unparsed import headers_before_picture, is_irregular, is_shown

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from mediaref._native import StreamParser

    VideoPacket = Packet[VideoStream]

_log = logging.getLogger("mediaref")

#: A time that the container does not tell.
NO_TIME = np.iinfo(np.int64).min

#: Codecs whose headers the native module reads.
PARSED_CODECS = frozenset({"h264", "hevc", "vp9", "av1"})

_DECODER_SIDE_DATA = frozenset({"new_extradata", "palette", "param_change"})

_CHUNK_PACKETS = 512
_HEAD_PACKETS = 16
_MAX_SAMPLES = 64
_CHUNK_BYTES = 16 << 20


@dataclass(frozen=True, eq=False)
class PacketTable:
    """One row a packet, in decoding order; times in units of the stream's time base, `NO_TIME` where unknown."""

    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    duration: NDArray[np.int64]
    #: Byte offset that the demuxer gives; -1 where it gives none. `is_directly_readable` tells if it stands there.
    position: NDArray[np.int64]
    size: NDArray[np.int64]
    #: Marked by the container as a point to start from.
    is_key: NDArray[np.bool_]
    #: To be decoded and not shown: outside the edit list.
    is_discarded: NDArray[np.bool_]
    has_picture: NDArray[np.bool_]
    is_second_field: NDArray[np.bool_]
    is_referenced: NDArray[np.bool_]
    #: What a decoder must have been fed: bit k stands for the packet k + 1 rows before, the sign for all further back.
    depends_on: NDArray[np.int64]
    #: What the picture is predicted from, likewise, for a decoder that is fed all that is referenced, or stand-ins.
    predicted_from: NDArray[np.int64]
    #: There is a stand-in to feed in its place, H.264 only: see `StreamParser.stand_in`.
    has_stand_in: NDArray[np.bool_]
    #: How many rows back the latest packets are missing from the file that the picture depends on, at any remove, H.264
    #: only: see `dependencies.cut_off`. 0: right before this one; -1 where none are known to be missing.
    missing: NDArray[np.int32]
    is_idr: NDArray[np.bool_]
    is_recovery_point: NDArray[np.bool_]
    #: Reference frames to decode after a recovery point until what is shown is exact.
    recovery_frames: NDArray[np.int32]
    #: ASCII code of I, P or B; 0 where it is not known.
    picture_type: NDArray[np.uint8]
    parameter_sets: NDArray[np.int32]
    poc: NDArray[np.int32]
    sequence: NDArray[np.int32]
    #: Row that the headers of this one were read from on, without a gap; -1 where they have not been read: then the
    #: columns from `has_picture` on say what is safe to assume.
    scanned_from: NDArray[np.int32]

    def __post_init__(self) -> None:
        for column in fields(self):  # the table is shared by threads, and kept for later calls
            getattr(self, column.name).setflags(write=False)

    def __len__(self) -> int:
        return len(self.size)

    def last_of_frame(self, first: NDArray[np.int64]) -> NDArray[np.int64]:
        """For the rows that frames begin with, those that they end with: the next where each field has its own."""
        after = np.minimum(first + 1, len(self) - 1)
        return np.where(self.is_second_field[after], after, first)

    def match(self, packet: VideoPacket, expected: int) -> int | None:
        """Row of a packet that a demuxer gave after a seek; `expected` wins where several rows are alike."""
        dts = NO_TIME if packet.dts is None else packet.dts
        alike = self.size == packet.size
        if packet.pos is not None and packet.pos >= 0:
            alike &= self.position == packet.pos
        else:
            alike &= self.dts == dts
        rows = np.flatnonzero(alike)
        if len(rows) > 1:  # an edit list may present the same bytes twice
            rows = rows[self.dts[rows] == dts]
        if len(rows) == 0:
            return None
        return expected if expected in rows else int(rows[0])


class Scan:
    """What one pass over the packets of a stream finds out."""

    def __init__(self, codec: str, extradata: bytes) -> None:
        #: Reads the packets' headers; None for a codec whose headers are not read.
        self.parser: StreamParser | None = None
        if codec in PARSED_CODECS:
            from mediaref._native import StreamParser

            self.parser = StreamParser(codec, extradata)
        #: Some packet carries, beside its bytes, what a decoder must have: a palette, a new sample description.
        self.has_side_data = False
        #: Some packet may hold two pictures, or none, where headers are not read.
        self.is_irregular = False
        #: Row and headers of the packets that bring parameter sets which change what is in force.
        self.headers: dict[int, bytes] = {}
        #: The first packets, to decode the first frame from.
        self.head: list[VideoPacket] = []
        #: Row and content of a few packets spread over the stream.
        self.samples: dict[int, bytes] = {}
        self._codec = codec
        self._extradata = extradata
        self._parts: list[dict[str, NDArray[np.generic]]] = []
        self._count = 0
        self._last: VideoPacket | None = None

    def __len__(self) -> int:
        return self._count

    def add(self, chunk: _Chunk) -> None:
        """Take note of the next packets."""
        packets = chunk.packets
        self.has_side_data |= chunk.has_side_data
        if self.parser is not None and chunk.new_extradata is not None:
            self.parser.set_extradata(chunk.new_extradata)
        read = {"scanned_from": np.zeros(len(packets), np.int32)}
        self._parts.append(_container_columns(packets) | self._header_columns(packets) | read)
        self._keep_headers(packets)
        if not self.head:
            self.head = packets[:_HEAD_PACKETS]
        if len(self.samples) < _MAX_SAMPLES:
            self.samples[self._count] = bytes(packets[0])
        self._count += len(packets)
        self._last = packets[-1]

    def table(self) -> PacketTable:
        """All packets seen."""
        names = [column.name for column in fields(PacketTable)]
        return PacketTable(**{name: np.concatenate([part[name] for part in self._parts]) for name in names})

    def _header_columns(self, packets: list[VideoPacket]) -> dict[str, NDArray[np.generic]]:
        if self.parser is None:
            self.is_irregular |= any(is_irregular(self._codec, packet) for packet in packets)
            return _assumed_columns(self._codec, packets)
        headers = self.parser.scan([bytes(packet) for packet in packets])
        return {name: getattr(headers, name) for name in HEADER_COLUMNS}

    def _keep_headers(self, packets: list[VideoPacket]) -> None:
        """Keep the headers of the packets after which other parameter sets are in force than before."""
        if self.parser is None:
            first = b"" if self._count else headers_before_picture(self._codec, packets[0])
            self.headers |= {0: first} if first else {}
            return
        in_force = self._parts[-1]["parameter_sets"]
        changes = [int(row) for row in np.flatnonzero(in_force[1:] != in_force[:-1])]
        kept = [(self._count + row, packets[row]) for row in changes]
        if self._last is not None and self._parts[-2]["parameter_sets"][-1] != in_force[0]:
            kept.append((self._count - 1, self._last))
        for row, packet in kept:
            self.headers[row] = decoder_headers(self._codec, bytes(packet), self._extradata)


def scan_packets(container: InputContainer, stream: VideoStream, codec: str, name: str) -> Scan:
    """Demux all packets of `stream` once. Memory is bounded by the table: packets are let go chunk by chunk.

    A container that breaks off is read up to there, with a warning in the log.
    Raises `CorruptMediaError` if there is no packet at all, and `LimitExceededError`.
    """
    scan = Scan(codec, stream.codec_context.extradata or b"")
    for chunk in _chunks(container, stream, name):
        scan.add(chunk)
        check_count(len(scan), name)
    if not len(scan):
        raise CorruptMediaError(f"{name}: its video stream has no data")
    return scan


def check_count(packets: int, name: str) -> None:
    """Raise `LimitExceededError` if a stream of that many packets is too long."""
    if packets > limits.MAX_PACKETS:
        raise LimitExceededError(f"{name}: has more packets than mediaref.limits.MAX_PACKETS ({limits.MAX_PACKETS})")


@dataclass
class _Chunk:
    packets: list[VideoPacket] = field(default_factory=list)
    #: Brought by the first packet: parameter sets that hold from it on.
    new_extradata: bytes | None = None
    has_side_data: bool = False
    size: int = 0


def _chunks(container: InputContainer, stream: VideoStream, name: str) -> Iterator[_Chunk]:
    """The stream's packets in decoding order; one that brings new extradata begins a chunk."""
    chunk = _Chunk()
    count = 0
    av = import_av()
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            side_data = {}
            for side in packet.iter_sidedata():  # nearly always none, and cheaper than asking for one kind by name
                side_data[side.data_type] = bytes(side)
            new_extradata = side_data.get("new_extradata")
            full = len(chunk.packets) == _CHUNK_PACKETS or chunk.size >= _CHUNK_BYTES
            if chunk.packets and (full or new_extradata is not None):
                yield chunk
                chunk = _Chunk()
            chunk.new_extradata = new_extradata or chunk.new_extradata
            chunk.has_side_data |= not _DECODER_SIDE_DATA.isdisjoint(side_data)
            chunk.packets.append(packet)
            chunk.size += packet.size
            count += 1
    except av.error.FFmpegError as error:
        if not count:
            raise
        _log.warning("%s: the container breaks off after %d packets: %s", name, count, error)
    if chunk.packets:
        yield chunk


def _container_columns(chunk: list[VideoPacket]) -> dict[str, NDArray[np.generic]]:
    def times(values: list[int | None]) -> NDArray[np.int64]:
        return np.array([NO_TIME if value is None else value for value in values], np.int64)

    return {
        "pts": times([packet.pts for packet in chunk]),
        "dts": times([packet.dts for packet in chunk]),
        "duration": np.array([packet.duration or 0 for packet in chunk], np.int64),
        "position": np.array([-1 if packet.pos is None else packet.pos for packet in chunk], np.int64),
        "size": np.array([packet.size for packet in chunk], np.int64),
        "is_key": np.array([packet.is_keyframe for packet in chunk], np.bool_),
        "is_discarded": np.array([packet.is_discard for packet in chunk], np.bool_),
    }


def _assumed_columns(codec: str, chunk: list[VideoPacket]) -> dict[str, NDArray[np.generic]]:
    """What is safe to assume where headers are not read."""
    count = len(chunk)
    key = np.array([packet.is_keyframe for packet in chunk], np.bool_)
    return {
        "has_picture": np.array([is_shown(codec, packet) for packet in chunk], np.bool_),
        "is_second_field": np.zeros(count, np.bool_),
        "is_referenced": np.array([not packet.is_disposable for packet in chunk], np.bool_),
        "depends_on": np.full(count, -1, np.int64),
        "predicted_from": np.full(count, -1, np.int64),
        "has_stand_in": np.zeros(count, np.bool_),
        "missing": np.full(count, -1, np.int32),
        "is_idr": key,
        "is_recovery_point": key,
        "recovery_frames": np.zeros(count, np.int32),
        "picture_type": np.zeros(count, np.uint8),
        "parameter_sets": np.zeros(count, np.int32),
        "poc": np.zeros(count, np.int32),
        "sequence": np.zeros(count, np.int32),
    }


HEADER_COLUMNS = (
    "has_picture",
    "is_second_field",
    "is_referenced",
    "depends_on",
    "predicted_from",
    "has_stand_in",
    "missing",
    "is_idr",
    "is_recovery_point",
    "recovery_frames",
    "picture_type",
    "parameter_sets",
    "poc",
    "sequence",
)
