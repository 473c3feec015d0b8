"""The samples that the movie fragments of an MP4 file tell of (ISO/IEC 14496-12, 8.8), and where fragments are."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaref import limits
from mediaref.containers.boxes import Box, Read, boxes, check, entries, find, header_and_size, top_level
from mediaref.containers.sample_table import FURTHEST_OFFSET, SampleTable
from mediaref.errors import CorruptMediaError, LimitExceededError

# Flags of `tfhd`.
_BASE_DATA_OFFSET = 0x1
_SAMPLE_DESCRIPTION_INDEX = 0x2
_DEFAULT_BASE_IS_MOOF = 0x20000
_DEFAULTS = {"duration": 0x8, "size": 0x10, "flags": 0x20}
# Flags of `trun`.
_DATA_OFFSET = 0x1
_FIRST_SAMPLE_FLAGS = 0x4
_FIELDS = {"duration": 0x100, "size": 0x200, "flags": 0x400, "composition_offset": 0x800}


class Fragment(NamedTuple):
    """One `moof` box."""

    #: Its place in the bytes at hand, which need not be those of the file.
    box: Box
    #: Where it begins in the file.
    position: int


class _Defaults(NamedTuple):
    """What holds for the samples of a track in a fragment where their runs do not say otherwise."""

    duration: int
    size: int
    #: What the offsets of runs count from, in the file.
    base: int
    #: How far behind that of the bytes at hand.
    displacement: int


class _Run(NamedTuple):
    """Samples whose data follows each other."""

    first: int
    displacement: int
    size: NDArray[np.int64]
    duration: NDArray[np.int64]
    composition_offset: NDArray[np.int64] | None


def with_fragments(
    table: SampleTable, content: bytes, fragments: Sequence[Fragment], movie: Box, track_id: int
) -> SampleTable | None:
    """The samples of `table`, and behind them those of the track in all fragments.

    None where they say more than is read here. Raises `ValueError` or `struct.error` where they do not fit together.
    """
    described = _track_defaults(content, movie, track_id)
    runs: list[_Run] = []
    shift = table.decode_shift
    for fragment in fragments:
        found = list(_runs(content, fragment, track_id, described))
        needed = max([0, *(-int(run.composition_offset.min()) for run in found if run.composition_offset is not None)])
        if needed > shift and (runs or len(table)):
            return None  # FFmpeg finds out fragment by fragment, and gives the first ones other times than the later
        shift = max(shift, needed)
        runs += found
    sizes, durations = [run.size for run in runs], [run.duration for run in runs]
    if not runs or any((size <= 0).any() for size in sizes) or any((length <= 0).any() for length in durations):
        return None
    starts = [run.first + np.cumsum(run.size) - run.size for run in runs]
    displaced = [np.full(len(run.size), run.displacement) for run in runs]
    return SampleTable(
        position=np.concatenate([table.position, *starts]),
        size=np.concatenate([table.size, *sizes]),
        duration=np.concatenate([table.duration, *durations]),
        composition_offset=_joined_offsets(table, runs),
        decode_shift=shift,
        in_fragments=sum(map(len, sizes)),
        displacement=np.concatenate([np.zeros(len(table), np.int64), *displaced]),
    )


def _joined_offsets(table: SampleTable, runs: list[_Run]) -> NDArray[np.int64] | None:
    """Composition offsets of all; None if no sample has one. Where others have, to have none is to have 0."""
    parts = [(table.composition_offset, len(table)), *((run.composition_offset, len(run.size)) for run in runs)]
    if all(offsets is None for offsets, _ in parts):
        return None
    joined = np.concatenate([np.zeros(count, np.int64) if offsets is None else offsets for offsets, count in parts])
    check(bool((np.abs(joined) < FURTHEST_OFFSET).all()))
    return joined


def _track_defaults(content: bytes, movie: Box, track_id: int) -> dict[str, int]:
    extends = find(content, movie, b"mvex")
    for box in boxes(content, extends.body, extends.end) if extends else ():
        if box.kind == b"trex":
            track, description, duration, size, flags = struct.unpack_from(">5I", content, box.body + 4)
            if track == track_id:
                return {"description": description, "duration": duration, "size": size, "flags": flags}
    raise ValueError


def _runs(content: bytes, fragment: Fragment, track_id: int, described: dict[str, int]) -> Iterator[_Run]:
    tracks = [box for box in boxes(content, fragment.box.body, fragment.box.end) if box.kind == b"traf"]
    for number, track in enumerate(tracks):
        header = find(content, track, b"tfhd")
        check(header is not None)
        assert header is not None
        flags, track_of_fragment = struct.unpack_from(">II", content, header.body)
        if track_of_fragment != track_id:
            continue
        at, displacement = header.body + 8, fragment.position - fragment.box.begin
        if flags & _BASE_DATA_OFFSET:
            base, displacement = struct.unpack_from(">Q", content, at)[0], 0
            at += 8
        else:
            check(number == 0 or bool(flags & _DEFAULT_BASE_IS_MOOF))  # else it is where another track's data ends
            base = fragment.position
        description = described["description"]
        if flags & _SAMPLE_DESCRIPTION_INDEX:
            (description,) = struct.unpack_from(">I", content, at)
            at += 4
        check(description == 1)
        own = dict(described)
        for name, flag in _DEFAULTS.items():
            if flags & flag:
                (own[name],) = struct.unpack_from(">I", content, at)
                at += 4
        defaults = _Defaults(own["duration"], own["size"], base, displacement)
        runs = [box for box in boxes(content, track.body, track.end) if box.kind == b"trun"]
        yield from (_run(content, box, defaults, is_first=place == 0) for place, box in enumerate(runs))


def _run(content: bytes, box: Box, defaults: _Defaults, *, is_first: bool) -> _Run:
    head = _RunHead.read(content, box)
    check(is_first or head.data_offset is not None)
    values = entries(content[: box.end], ">u4", head.samples * len(head.fields), head.body)
    columns = dict(zip(head.fields, values.reshape(head.samples, -1).T, strict=False))

    def column(name: str, default: int) -> NDArray[np.int64]:
        return columns[name].astype(np.int64) if name in columns else np.full(head.samples, default, np.int64)

    offset = columns.get("composition_offset")
    return _Run(
        defaults.base + (head.data_offset or 0),
        defaults.displacement,
        column("size", defaults.size),
        column("duration", defaults.duration),
        # Signed in either version of the box, as FFmpeg reads it.
        None if offset is None or head.samples == 0 else offset.astype(">u4").view(">i4").astype(np.int64),
    )


class _RunHead(NamedTuple):
    samples: int
    data_offset: int | None
    #: Names of the fields that each sample has, in order, and where those of the first one begin.
    fields: list[str]
    body: int

    @classmethod
    def read(cls, content: bytes, box: Box) -> _RunHead:
        flags, count = struct.unpack_from(">II", content, box.body)
        at, data_offset = box.body + 8, None
        if flags & _DATA_OFFSET:
            (data_offset,) = struct.unpack_from(">i", content, at)
            at += 4
        at += 4 if flags & _FIRST_SAMPLE_FLAGS else 0
        return cls(count, data_offset, [name for name, flag in _FIELDS.items() if flags & flag], at)


class Announcements:
    """What the fragments of a file announce, held to what there can be: FFmpeg makes room for all of it."""

    def __init__(self, name: str, size: int) -> None:
        """`name` is what messages call the file, of `size` bytes."""
        self._name, self._size = name, size
        self._samples = 0

    def add(self, fragment: bytes, position: int) -> None:
        """Look at the `moof` box that begins at byte `position` of the file.

        Raises `CorruptMediaError` for a run of more samples than its box can hold, or than the file has bytes, and
        `LimitExceededError` for more in all than `limits.MAX_PACKETS`.
        """
        for box, head in _run_heads(fragment):
            self._samples += head.samples
            _, room = header_and_size(fragment, box.begin, len(fragment))  # there may be less of it, in a file cut off
            if self._samples > self._size or head.body + 4 * head.samples * len(head.fields) > box.begin + room:
                raise CorruptMediaError(
                    f"{self._name}: a fragment's table at byte {position + box.begin} announces {head.samples} "
                    "samples, more than there is room for"
                )
            if self._samples > limits.MAX_PACKETS:
                raise LimitExceededError(
                    f"{self._name}: its fragments announce {self._samples} samples or more, over "
                    f"mediaref.limits.MAX_PACKETS ({limits.MAX_PACKETS})"
                )


def check_announcements(read: Read, size: int, name: str) -> None:
    """Look at all fragments of a file of `size` bytes. Raises as `Announcements.add`."""
    announcements = Announcements(name, size)
    for box in top_level(read, size):
        if box.kind == b"moof":
            announcements.add(read(box.begin, min(box.end - box.begin, limits.MAX_READ_BYTES)), box.begin)


def _run_heads(content: bytes) -> Iterator[tuple[Box, _RunHead]]:
    """Each `trun` box of a `moof` box, and what it begins with."""
    # FFmpeg believes in boxes that are cut off as well.
    for fragment in boxes(content, 0, len(content), cut=True):
        for track in boxes(content, fragment.body, fragment.end, cut=True):
            for box in boxes(content, track.body, track.end, cut=True) if track.kind == b"traf" else ():
                if box.kind == b"trun" and box.end - box.body >= 12:
                    yield box, _RunHead.read(content, box)


def referenced_positions(content: bytes, end: int) -> list[int]:
    """Where the parts of the file begin that a `sidx` box, `content`, tells of; in the file it ends at byte `end`."""
    (box,) = boxes(content, 0, len(content))
    version, count_at = content[box.body], box.body + (30 if content[box.body] else 22)
    (first,) = struct.unpack_from(">Q" if version else ">I", content, count_at - (10 if version else 6))
    (count,) = struct.unpack_from(">H", content, count_at)
    sizes = entries(content, ">u4", 3 * count, count_at + 2)[0::3].astype(np.int64) & 0x7FFFFFFF
    return [end + first + offset for offset in (np.cumsum(sizes) - sizes).tolist()]


def random_access_positions(content: bytes) -> list[int]:
    """Where fragments begin that an `mfra` box, `content`, tells of."""
    positions: set[int] = set()
    for outer in boxes(content, 0, len(content)):
        for box in boxes(content, outer.body, outer.end):
            if box.kind == b"tfra":
                wide = 8 if content[box.body] else 4
                _, lengths, count = struct.unpack_from(">3I", content, box.body + 4)
                stride = 2 * wide + sum((lengths >> bits & 3) + 1 for bits in (4, 2, 0))
                rows = entries(content, "u1", count * stride, box.body + 16).reshape(count, stride)
                positions.update(rows[:, wide : 2 * wide].copy().view(f">u{wide}").reshape(-1).tolist())
    return sorted(positions)
