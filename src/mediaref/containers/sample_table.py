"""The samples of a track that the `stbl` box of an MP4 or MOV file tells of (ISO/IEC 14496-12, 8.5 to 8.7)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediaref import limits
from mediaref.containers.boxes import Box, boxes, check, entries, find

#: FFmpeg takes composition offsets beyond this for damage.
FURTHEST_OFFSET = 1 << 28


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
    #: Which samples the file marks as keyframes; None where it says more of them than that.
    is_key: NDArray[np.bool_] | None = None
    #: How many of the samples, the last ones, are in movie fragments.
    in_fragments: int = 0
    #: How far behind the place where FFmpeg takes each sample to be, which is shown a file without its media data.
    displacement: NDArray[np.int64] | int = 0

    @classmethod
    def of(cls, content: bytes, track: Box) -> SampleTable | None:
        """Read the boxes of `track`. None where they say more than is read here.

        Raises `ValueError`, `KeyError` or `struct.error` where they do not fit together.
        """
        stbl = find(content, track, b"mdia", b"minf", b"stbl")
        if stbl is None:
            return None
        inner = {box.kind: content[box.body : box.end] for box in boxes(content, stbl.body, stbl.end)}
        if int.from_bytes(inner[b"stsd"][4:8], "big") != 1:
            return None  # the description changes in mid-stream
        size = _sample_sizes(inner)
        if len(size) == 0:  # all samples are in fragments
            return cls(size, size, size, None, 0)
        position = _sample_positions(inner, size)
        duration = _run_lengths(inner[b"stts"], len(size), ">u4")
        offset, shift = _composition_offsets(inner.get(b"ctts"), len(size))
        if (size <= 0).any() or (duration <= 0).any() or (duration >= 1 << 31).any():
            return None
        return cls(position, size, duration, offset, shift, _keys(inner, len(size)))

    def __len__(self) -> int:
        return len(self.size)

    def presentation_times(self) -> NDArray[np.int64]:
        """When samples are shown, if the first one is decoded at 0."""
        times = np.cumsum(self.duration) - self.duration
        return times if self.composition_offset is None else times + (self.decode_shift + self.composition_offset)


def _sample_sizes(inner: dict[bytes, bytes]) -> NDArray[np.int64]:
    if b"stsz" in inner:
        box = inner[b"stsz"]
        common, count = struct.unpack_from(">II", box, 4)
        if common:
            check(count <= limits.MAX_PACKETS)
            return np.broadcast_to(np.int64(common), (count,))
        return entries(box, ">u4", count, at=12).astype(np.int64)
    box = inner[b"stz2"]
    bits, count = struct.unpack_from(">II", box, 4)
    if bits & 255 == 4:
        pairs = entries(box, "u1", -(-count // 2), at=12)
        return np.stack([pairs >> 4, pairs & 15], axis=1).reshape(-1)[:count].astype(np.int64)
    return entries(box, {8: "u1", 16: ">u2"}[bits & 255], count, at=12).astype(np.int64)


def _sample_positions(inner: dict[bytes, bytes], size: NDArray[np.int64]) -> NDArray[np.int64]:
    box, kind = (inner[b"stco"], ">u4") if b"stco" in inner else (inner[b"co64"], ">i8")
    chunks = entries(box, kind, int.from_bytes(box[4:8], "big"), at=8).astype(np.int64)
    box = inner[b"stsc"]
    runs = entries(box, ">u4", 3 * int.from_bytes(box[4:8], "big"), at=8).astype(np.int64).reshape(-1, 3)
    first, in_chunk = runs[:, 0] - 1, runs[:, 1]
    check(len(first) > 0 and first[0] == 0 and bool((np.diff(first) > 0).all()) and first[-1] < len(chunks))
    check(bool((in_chunk <= len(size)).all()))
    in_chunk = np.repeat(in_chunk, np.diff(np.append(first, len(chunks))))
    check(int(in_chunk.sum()) == len(size))
    before = np.cumsum(size) - size
    begins = np.cumsum(in_chunk) - in_chunk
    filled = in_chunk > 0
    base = chunks[filled] - before[begins[filled]]
    positions: NDArray[np.int64] = np.repeat(base, in_chunk[filled]) + before
    return positions


def _keys(inner: dict[bytes, bytes], samples: int) -> NDArray[np.bool_] | None:
    """Which of the samples are sync samples; None where other boxes have a say in it."""
    if not {b"sbgp", b"stps"}.isdisjoint(inner):
        return None
    box = inner.get(b"stss")
    if box is None:
        return np.ones(samples, np.bool_)
    numbers = entries(box, ">u4", int.from_bytes(box[4:8], "big"), at=8).astype(np.int64)
    check(len(numbers) > 0 and numbers[0] >= 1 and numbers[-1] <= samples and bool((np.diff(numbers) > 0).all()))
    is_key = np.zeros(samples, np.bool_)
    is_key[numbers - 1] = True
    return is_key


def _composition_offsets(box: bytes | None, samples: int) -> tuple[NDArray[np.int64] | None, int]:
    if box is None:
        return None, 0
    values = entries(box, ">i4", 2 * int.from_bytes(box[4:8], "big"), at=8)[1::2].astype(np.int64)
    check(bool((np.abs(values) < FURTHEST_OFFSET).all()))
    # FFmpeg leaves the last two entries out of account here.
    return _run_lengths(box, samples, ">i4"), max(0, -int(values[:-2].min(initial=0)))


def _run_lengths(box: bytes, samples: int, kind: str) -> NDArray[np.int64]:
    """Values that the box gives as (how many samples, value), one for each sample."""
    runs = int.from_bytes(box[4:8], "big")
    counts = entries(box, ">u4", 2 * runs, at=8)[0::2].astype(np.int64)
    values = entries(box, kind, 2 * runs, at=8)[1::2].astype(np.int64)
    check(int(counts.sum()) == samples)
    return np.repeat(values, counts)
