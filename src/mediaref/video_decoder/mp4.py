"""The boxes of an MP4 or MOV file (ISO/IEC 14496-12) that tell where its samples are, read without its media data."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediaref import limits
from mediaref.errors import LimitExceededError

#: Reads `size` bytes at a position; fewer where the file ends.
Read = Callable[[int, int], bytes]

_TOP_LEVEL = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"meta", b"sidx"})
#: What a decoder must know of a track: these boxes, and those that hold them.
_HOLDERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_DESCRIPTIONS = frozenset({b"mvhd", b"tkhd", b"mdhd", b"hdlr", b"vmhd", b"dinf", b"stsd"})
#: FFmpeg takes composition offsets beyond this for damage.
_FURTHEST_OFFSET = 1 << 28


@dataclass(frozen=True)
class _Box:
    kind: bytes
    begin: int
    #: Where its content begins and ends.
    body: int
    end: int


@dataclass(frozen=True)
class Movie:
    """The head of a file without its media data."""

    #: The `ftyp` box if there is one, and the `moov` box: a file to FFmpeg, less the pictures.
    content: bytes

    @classmethod
    def read(cls, read: Read) -> Movie | None:
        """Find the `moov` box. None for what is no such file, or has its pictures in fragments.

        Raises `LimitExceededError` for one over `limits.MAX_READ_BYTES`.
        """
        at, kept = 0, b""
        while True:
            head = read(at, 16)
            if len(head) < 8 or head[4:8] not in _TOP_LEVEL:
                return None
            header, size = _sizes(head, 0, len(head))
            if size < header:
                return None
            if head[4:8] in {b"ftyp", b"moov"}:
                if size > limits.MAX_READ_BYTES:
                    raise LimitExceededError(
                        f"its table of contents of {size} bytes is over "
                        f"mediaref.limits.MAX_READ_BYTES ({limits.MAX_READ_BYTES})"
                    )
                box = read(at, size)
                if len(box) < size:
                    return None
                kept += box
                if head[4:8] == b"moov":
                    has_fragments = any(each.kind == b"mvex" for each in _boxes(box, header, size))
                    return None if has_fragments else cls(kept)
            at += size

    def samples(self, track_id: int) -> SampleTable | None:
        """The samples of a track; None where its boxes contradict each other, or say more than is read here."""
        track = self._track(track_id)
        if track is None:
            return None
        try:
            return SampleTable.of(self.content, track)
        except (struct.error, ValueError, KeyError):
            return None

    def description(self, track_id: int) -> bytes:
        """A file with one track and no samples, which tells FFmpeg's decoder what the track's own description does."""
        track = self._track(track_id)
        return b"".join(self._described(box, track) for box in _boxes(self.content, 0, len(self.content)))

    def _described(self, box: _Box, track: _Box | None) -> bytes:
        if box.kind == b"ftyp" or box.kind in _DESCRIPTIONS:
            return self.content[box.begin : box.end]
        if box.kind not in _HOLDERS or (box.kind == b"trak" and box != track):
            return b""
        body = b"".join(self._described(inner, track) for inner in _boxes(self.content, box.body, box.end))
        return struct.pack(">I4s", 8 + len(body), box.kind) + body

    def _track(self, track_id: int) -> _Box | None:
        for movie in _boxes(self.content, 0, len(self.content)):
            for box in _boxes(self.content, movie.body, movie.end) if movie.kind == b"moov" else ():
                header = _find(self.content, box, b"tkhd") if box.kind == b"trak" else None
                if header is not None:
                    version = self.content[header.body]
                    at = header.body + (20 if version == 1 else 12)
                    if int.from_bytes(self.content[at : at + 4], "big") == track_id:
                        return box
        return None


@dataclass(frozen=True, eq=False)
class SampleTable:
    """One row a sample of a track, in decoding order; times in units of its time scale."""

    position: NDArray[np.int64]
    size: NDArray[np.int64]
    duration: NDArray[np.int64]
    #: Presentation time less decoding time; None where the file has no such times.
    composition_offset: NDArray[np.int64] | None
    #: What FFmpeg takes from all decoding times so that none is later than its presentation time.
    decode_shift: int

    @classmethod
    def of(cls, content: bytes, track: _Box) -> SampleTable | None:
        """Read the boxes of `track`; raises `ValueError`, `KeyError` or `struct.error` where they do not fit."""
        stbl = _find(content, track, b"mdia", b"minf", b"stbl")
        if stbl is None:
            return None
        boxes = {box.kind: content[box.body : box.end] for box in _boxes(content, stbl.body, stbl.end)}
        if int.from_bytes(boxes[b"stsd"][4:8], "big") != 1:
            return None  # the description changes in mid-stream
        size = _sample_sizes(boxes)
        position = _sample_positions(boxes, size)
        duration = _run_lengths(boxes[b"stts"], len(size), ">u4")
        offset, shift = _composition_offsets(boxes.get(b"ctts"), len(size))
        if len(size) == 0 or (size <= 0).any() or (duration <= 0).any() or (duration >= 1 << 31).any():
            return None
        return cls(position, size, duration, offset, shift)


def _sample_sizes(boxes: dict[bytes, bytes]) -> NDArray[np.int64]:
    if b"stsz" in boxes:
        box = boxes[b"stsz"]
        common, count = struct.unpack_from(">II", box, 4)
        if common:
            _check(count <= limits.MAX_PACKETS)
            return np.broadcast_to(np.int64(common), (count,))
        return _entries(box, ">u4", count, at=12).astype(np.int64)
    box = boxes[b"stz2"]
    bits, count = struct.unpack_from(">II", box, 4)
    if bits & 255 == 4:
        pairs = _entries(box, "u1", -(-count // 2), at=12)
        return np.stack([pairs >> 4, pairs & 15], axis=1).reshape(-1)[:count].astype(np.int64)
    return _entries(box, {8: "u1", 16: ">u2"}[bits & 255], count, at=12).astype(np.int64)


def _sample_positions(boxes: dict[bytes, bytes], size: NDArray[np.int64]) -> NDArray[np.int64]:
    box, kind = (boxes[b"stco"], ">u4") if b"stco" in boxes else (boxes[b"co64"], ">i8")
    chunks = _entries(box, kind, int.from_bytes(box[4:8], "big"), at=8).astype(np.int64)
    box = boxes[b"stsc"]
    runs = _entries(box, ">u4", 3 * int.from_bytes(box[4:8], "big"), at=8).astype(np.int64).reshape(-1, 3)
    first, in_chunk = runs[:, 0] - 1, runs[:, 1]
    _check(len(first) > 0 and first[0] == 0 and bool((np.diff(first) > 0).all()) and first[-1] < len(chunks))
    _check(bool((in_chunk <= len(size)).all()))
    in_chunk = np.repeat(in_chunk, np.diff(np.append(first, len(chunks))))
    _check(int(in_chunk.sum()) == len(size))
    before = np.cumsum(size) - size
    begins = np.cumsum(in_chunk) - in_chunk
    filled = in_chunk > 0
    base = chunks[filled] - before[begins[filled]]
    positions: NDArray[np.int64] = np.repeat(base, in_chunk[filled]) + before
    return positions


def _composition_offsets(box: bytes | None, samples: int) -> tuple[NDArray[np.int64] | None, int]:
    if box is None:
        return None, 0
    offsets = _run_lengths(box, samples, ">i4")
    _check(bool((np.abs(offsets) < _FURTHEST_OFFSET).all()))
    # FFmpeg leaves the last two entries out of account here.
    entries = _entries(box, ">i4", 2 * int.from_bytes(box[4:8], "big"), at=8)[1::2][:-2]
    return offsets, max(0, -int(entries.min(initial=0)))


def _run_lengths(box: bytes, samples: int, kind: str) -> NDArray[np.int64]:
    """Values that the box gives as (how many samples, value), one for each sample."""
    entries = int.from_bytes(box[4:8], "big")
    counts = _entries(box, ">u4", 2 * entries, at=8)[0::2].astype(np.int64)
    values = _entries(box, kind, 2 * entries, at=8)[1::2].astype(np.int64)
    _check(int(counts.sum()) == samples)
    return np.repeat(values, counts)


def _entries(box: bytes, kind: str, count: int, at: int) -> NDArray[Any]:
    return np.frombuffer(box, kind, count, at)  # a ValueError if the box is too short


def _check(holds: bool) -> None:
    if not holds:
        raise ValueError


def _find(content: bytes, box: _Box, *path: bytes) -> _Box | None:
    for kind in path:
        inner = next((each for each in _boxes(content, box.body, box.end) if each.kind == kind), None)
        if inner is None:
            return None
        box = inner
    return box


def _boxes(content: bytes, begin: int, end: int) -> Iterator[_Box]:
    while begin + 8 <= end:
        header, size = _sizes(content, begin, end)
        if size < header or begin + size > end:
            return
        yield _Box(content[begin + 4 : begin + 8], begin, begin + header, begin + size)
        begin += size


def _sizes(content: bytes, begin: int, end: int) -> tuple[int, int]:
    """Bytes of a box's header, and of the whole box."""
    size = int.from_bytes(content[begin : begin + 4], "big")
    if size == 1:
        return 16, int.from_bytes(content[begin + 8 : begin + 16], "big")
    return 8, size or end - begin
