"""The packet table: one demux pass over a video stream, without decoding, and what each packet's headers say."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import CorruptMediaError, LimitExceededError
from mediaref.video_decoder.container import import_av

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from mediaref._native import StreamParser

    VideoPacket = Packet[VideoStream]

_log = logging.getLogger("mediaref")

#: Most packets a video stream may have. Assign another number to allow more.
MAX_PACKETS = 1 << 25

#: A time that the container does not tell.
NO_TIME = np.iinfo(np.int64).min

#: Codecs whose headers and bits the native module reads.
PARSED_CODECS = frozenset({"h264"})

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
    #: Byte offset that the demuxer gives; -1 where it gives none. `holds_raw_bytes` tells if the data stands there.
    position: NDArray[np.int64]
    size: NDArray[np.int64]
    #: Marked by the container as a point to start from.
    is_key: NDArray[np.bool_]
    #: To be decoded and not shown: outside the edit list.
    is_discarded: NDArray[np.bool_]
    has_picture: NDArray[np.bool_]
    is_second_field: NDArray[np.bool_]
    is_referenced: NDArray[np.bool_]
    is_idr: NDArray[np.bool_]
    is_recovery_point: NDArray[np.bool_]
    #: ASCII code of I, P or B; 0 where it is not known.
    picture_type: NDArray[np.uint8]
    parameter_sets: NDArray[np.int32]
    poc: NDArray[np.int32]
    sequence: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.size)

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


@dataclass
class Scan:
    """A packet table, and what else the pass over the packets found out."""

    table: PacketTable
    parser: StreamParser | None
    #: Some packet carries side data (a palette, a new sample description) that its bytes alone do not have.
    has_side_data: bool
    #: The first packets, to decode the first frame from.
    head: list[VideoPacket]
    #: Row and content of a few packets spread over the stream.
    samples: dict[int, bytes]


def scan_packets(container: InputContainer, stream: VideoStream, codec: str, name: str) -> Scan:
    """Demux all packets of `stream` once. Memory is bounded by the table: packets are let go chunk by chunk.

    A container that breaks off is read up to there, with a warning in the log.
    Raises `CorruptMediaError` if there is no packet at all, and `LimitExceededError`.
    """
    parser = None
    if codec in PARSED_CODECS:
        from mediaref._native import StreamParser

        parser = StreamParser(codec, stream.codec_context.extradata or b"")
    parts: list[dict[str, NDArray[np.generic]]] = []
    has_side_data = False
    head: list[VideoPacket] = []
    samples: dict[int, bytes] = {}
    total = 0
    for chunk in _chunks(container, stream, name):
        new_extradata = _new_extradata(chunk[0])
        has_side_data = has_side_data or new_extradata is not None or _has_side_data(chunk)
        if parser is not None and new_extradata is not None:
            parser.set_extradata(new_extradata)
        parts.append(_container_columns(chunk) | _header_columns(chunk, parser))
        if not head:
            head = chunk[:_HEAD_PACKETS]
        if len(samples) < _MAX_SAMPLES:
            samples[total] = bytes(chunk[0])
        total += len(chunk)
        if total > MAX_PACKETS:
            raise LimitExceededError(
                f"{name}: has more packets than mediaref.video_decoder.packets.MAX_PACKETS ({MAX_PACKETS})"
            )
    if not parts:
        raise CorruptMediaError(f"{name}: its video stream has no data")
    columns = {field.name: np.concatenate([part[field.name] for part in parts]) for field in fields(PacketTable)}
    return Scan(PacketTable(**columns), parser, has_side_data, head, samples)


def _chunks(container: InputContainer, stream: VideoStream, name: str) -> Iterator[list[VideoPacket]]:
    """The stream's packets in decoding order; one that brings new extradata begins a chunk."""
    chunk: list[VideoPacket] = []
    held = count = 0
    av = import_av()
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if chunk and (len(chunk) == _CHUNK_PACKETS or held >= _CHUNK_BYTES or _new_extradata(packet) is not None):
                yield chunk
                chunk, held = [], 0
            chunk.append(packet)
            held += packet.size
            count += 1
    except av.error.FFmpegError as error:
        if not count:
            raise
        _log.warning("%s: the container breaks off after %d packets: %s", name, count, error)
    if chunk:
        yield chunk


def _new_extradata(packet: VideoPacket) -> bytes | None:
    return bytes(packet.get_sidedata("new_extradata")) if packet.has_sidedata("new_extradata") else None


def _has_side_data(chunk: list[VideoPacket]) -> bool:
    return any(True for packet in chunk for _ in packet.iter_sidedata())


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


def _header_columns(chunk: list[VideoPacket], parser: StreamParser | None) -> dict[str, NDArray[np.generic]]:
    count = len(chunk)
    if parser is not None:
        headers = parser.scan([bytes(packet) for packet in chunk])
        return {name: getattr(headers, name) for name in _HEADER_COLUMNS}
    key = np.array([packet.is_keyframe for packet in chunk], np.bool_)
    return {
        "has_picture": np.ones(count, np.bool_),
        "is_second_field": np.zeros(count, np.bool_),
        "is_referenced": np.array([not packet.is_disposable for packet in chunk], np.bool_),
        "is_idr": key,
        "is_recovery_point": key,
        "picture_type": np.zeros(count, np.uint8),
        "parameter_sets": np.zeros(count, np.int32),
        "poc": np.zeros(count, np.int32),
        "sequence": np.zeros(count, np.int32),
    }


_HEADER_COLUMNS = (
    "has_picture",
    "is_second_field",
    "is_referenced",
    "is_idr",
    "is_recovery_point",
    "picture_type",
    "parameter_sets",
    "poc",
    "sequence",
)
