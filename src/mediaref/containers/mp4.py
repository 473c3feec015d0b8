"""The boxes of an MP4 or MOV file (ISO/IEC 14496-12) that tell where its samples are, read without its media data."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from mediaref import limits
from mediaref.containers.boxes import Box, boxes, find, header_and_size, top_level
from mediaref.containers.edits import first_decoding_time
from mediaref.containers.fragments import (
    Announcements,
    Fragment,
    random_access_positions,
    referenced_positions,
    with_fragments,
)
from mediaref.containers.sample_table import SampleTable
from mediaref.errors import LimitExceededError
from mediaref.storage.ranges import ROUND_TRIP_BYTES, Ranges

_TOP_LEVEL = frozenset(
    {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"meta"}
    | {b"moof", b"mfra", b"sidx", b"ssix", b"styp", b"emsg", b"prft"}
)
_KEPT = frozenset({b"ftyp", b"moov", b"moof"})
#: What a decoder must know of a track: these boxes, and those that hold them.
_HOLDERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_DESCRIPTIONS = frozenset({b"mvhd", b"tkhd", b"mdhd", b"hdlr", b"vmhd", b"dinf", b"stsd"})

#: What tracks hold that FFmpeg makes streams of: pictures, sound, time codes, texts, data.
_HANDLERS = frozenset({b"vide", b"soun", b"tmcd", b"text", b"sbtl", b"subt", b"hint", b"meta", b"clcp"})
#: The matrix of pictures that are not turned: 16.16 and, in its last column, 2.30 fixed-point numbers.
_UPRIGHT = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)

#: What is fetched of a remote file where boxes are looked for: mostly they lie at its head, or together at its end.
_AHEAD_BYTES = 16 << 10
#: What may be left of it behind the media data to be fetched whole: the table of contents, most likely.
_END_BYTES = 4 << 20
#: What is looked at of its end for a table of fragments.
_TAIL_BYTES = 2 << 10


class Track(NamedTuple):
    """One `trak` box."""

    box: Box
    id: int
    #: What it holds: `vide`, `soun`, ...
    handler: bytes


class PlainTrack(NamedTuple):
    """The only track of pictures of a file, all of whose samples are shown, once each: a stream of FFmpeg's."""

    #: Among all tracks, from 0.
    number: int
    id: int
    samples: SampleTable
    #: When FFmpeg takes the first sample to be decoded.
    first_dts: int


@dataclass(frozen=True)
class Movie:
    """A file without its media data."""

    #: The `ftyp` box if there is one, the `moov` box and all `moof` boxes: a file to FFmpeg, less the pictures.
    content: bytes = field(repr=False)
    #: The `moov` box.
    movie: Box
    tracks: tuple[Track, ...]
    #: The `moof` boxes.
    fragments: tuple[Fragment, ...] = field(repr=False)

    @classmethod
    def read(cls, ranges: Ranges) -> Movie | None:
        """Find these boxes. None for what is no such file.

        Raises `CorruptMediaError`, and `LimitExceededError` for more than `limits.MAX_READ_BYTES`.
        """
        walk, announcements = _Walk(ranges), Announcements(ranges.name, ranges.size)
        kept: list[bytes] = []
        fragments: list[Fragment] = []
        size, is_fragmented = 0, None
        for box in top_level(walk.head, ranges.size):
            if box.kind not in _TOP_LEVEL:
                return None
            if box.kind in _KEPT:
                content = walk.whole(box, size)
                if len(content) < box.end - box.begin or (box.kind == b"moof" and is_fragmented is None):
                    return None
                if box.kind == b"moov":
                    header, _ = header_and_size(content, 0, len(content))
                    is_fragmented = any(each.kind == b"mvex" for each in boxes(content, header, len(content)))
                elif box.kind == b"moof":
                    announcements.add(content, box.begin)
                    here = Box(b"moof", size, size + box.body - box.begin, size + len(content))
                    fragments.append(Fragment(here, box.begin))
                kept.append(content)
                size += len(content)
            walk.look_ahead(box)
            if is_fragmented is False:
                break
        if is_fragmented is None:
            return None
        content = b"".join(kept)
        movie = next(box for box in boxes(content, 0, len(content)) if box.kind == b"moov")
        return cls(content, movie, tuple(_tracks(content, movie)), tuple(fragments))

    def plain_track(self) -> PlainTrack | None:
        """The track of pictures whose boxes alone say what FFmpeg would; None where FFmpeg has to be asked."""
        pictures = [number for number, track in enumerate(self.tracks) if track.handler == b"vide"]
        if len(pictures) != 1 or not self._has_tracks_first():
            return None
        track = self.tracks[pictures[0]]
        try:
            samples = SampleTable.of(self.content, track.box)
            if not samples or samples.is_key is None:
                return None
            first_dts = first_decoding_time(self.content, self.movie, track.box, samples)
            return None if first_dts is None else PlainTrack(pictures[0], track.id, samples, first_dts)
        except (struct.error, ValueError, KeyError):
            return None

    def _has_tracks_first(self) -> bool:
        """Whether the file's tracks, of kinds that are known, are FFmpeg's streams, in the same order."""
        inner = list(boxes(self.content, self.movie.body, self.movie.end))
        last = self.tracks[-1].box
        references = (find(self.content, track.box, b"tref") for track in self.tracks)
        return (
            # Others may hold pictures of their own.
            {box.kind for box in inner if box.begin < last.begin} <= {b"mvhd", b"iods", b"trak"}
            and all(box.kind != b"mvex" for box in inner)
            and all(track.handler in _HANDLERS for track in self.tracks)
            # A track of chapters may have pictures that are no video.
            and not any(box and find(self.content, box, b"chap") for box in references)
        )

    def samples(self, track_id: int) -> SampleTable | None:
        """The samples of a track; None where its boxes contradict each other, or say more than is read here."""
        try:
            table = SampleTable.of(self.content, self._track(track_id))
            if table is None or not self.fragments:
                return table if table else None
            return with_fragments(table, self.content, self.fragments, self.movie, track_id)
        except (struct.error, ValueError, KeyError):
            return None

    def display_matrix(self, track_id: int) -> bytes | None:
        """How the pictures of a track are turned, as FFmpeg says it: nine 32-bit integers in this machine's order.

        None where the movie's own matrix has a say in it.
        """
        whole, own = find(self.content, self.movie, b"mvhd"), find(self.content, self._track(track_id), b"tkhd")
        if whole is None or own is None or self._matrix(whole, 36) != _UPRIGHT:
            return None
        matrix = self._matrix(own, 40)
        return None if matrix is None else struct.pack("=9i", *matrix)

    def _matrix(self, box: Box, at: int) -> tuple[int, ...] | None:
        """The matrix in a header, whose version 0 has it at byte `at`; in version 1 it stands 12 later."""
        body = self.content[box.body : box.end]
        try:
            return struct.unpack_from(">9i", body, at + 12 * body[0])
        except (struct.error, IndexError):
            return None

    def description(self, track_id: int) -> bytes:
        """A file with one track and no samples, which tells FFmpeg's decoder what the track's own description does."""
        track = self._track(track_id)
        return b"".join(self._described(box, track) for box in boxes(self.content, 0, len(self.content)))

    def _described(self, box: Box, track: Box) -> bytes:
        if box.kind == b"ftyp" or box.kind in _DESCRIPTIONS:
            return self.content[box.begin : box.end]
        if box.kind not in _HOLDERS or (box.kind == b"trak" and box != track):
            return b""
        body = b"".join(self._described(inner, track) for inner in boxes(self.content, box.body, box.end))
        return struct.pack(">I4s", 8 + len(body), box.kind) + body

    def _track(self, track_id: int) -> Box:
        """The `trak` box of a track. Raises `ValueError`."""
        for track in self.tracks:
            if track.id == track_id:
                return track.box
        raise ValueError


def _tracks(content: bytes, movie: Box) -> Iterator[Track]:
    for box in boxes(content, movie.body, movie.end):
        if box.kind == b"trak":
            header, handler = find(content, box, b"tkhd"), find(content, box, b"mdia", b"hdlr")
            at = 0 if header is None else header.body + (20 if content[header.body : header.body + 1] == b"\1" else 12)
            track_id = 0 if header is None else int.from_bytes(content[at : at + 4], "big")
            yield Track(box, track_id, b"" if handler is None else content[handler.body + 8 : handler.body + 12])


class _Walk:
    """Reads the boxes of a file one after another; of a remote one it fetches together what lies scattered."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self._ahead_bytes = _AHEAD_BYTES
        #: Where parts of the file begin, as far as it has been told.
        self._told: list[int] = []
        #: Where the last fragment begins; 0 before the first.
        self._fragment = 0
        self._has_moov = False
        #: Behind it, and the table of contents has not come yet.
        self._is_behind_media = False

    def head(self, position: int, size: int) -> bytes:
        """The begin of a box."""
        left = self._ranges.size - position
        return self._ranges.read(
            position, size, left if self._is_behind_media and left <= _END_BYTES else self._ahead_bytes
        )

    def whole(self, box: Box, held: int) -> bytes:
        """All of `box`. Raises `LimitExceededError` if that is too much with the `held` bytes that are kept."""
        if held + box.end - box.begin > limits.MAX_READ_BYTES:
            raise LimitExceededError(
                f"{self._ranges.name}: its tables of contents of {held + box.end - box.begin} bytes are "
                f"over mediaref.limits.MAX_READ_BYTES ({limits.MAX_READ_BYTES})"
            )
        size = box.end - box.begin
        # Behind a table of contents mostly stands the first picture, which is looked at next.
        return self._ranges.read(box.begin, size, size + ROUND_TRIP_BYTES if box.kind == b"moov" else 0)

    def look_ahead(self, box: Box) -> None:
        """Fetch the begins of all fragments that the file's own tables tell of, once it is known how large one is."""
        if not self._ranges.is_remote or (self._fragment and self._told):
            return
        self._has_moov |= box.kind == b"moov"
        self._is_behind_media = box.kind == b"mdat" and not self._has_moov
        if box.kind == b"sidx":
            content = self.whole(box, 0)
            self._told += _positions(lambda: referenced_positions(content, box.end))
        if box.kind == b"moof" and self._fragment:
            if box.begin - self._fragment < ROUND_TRIP_BYTES // 4:  # to read on is better than to wait for each
                self._ahead_bytes = ROUND_TRIP_BYTES
            self._fragment = box.begin
        elif box.kind == b"moof":
            self._fragment = box.begin
            size = box.end - box.begin
            self._ahead_bytes = size + size // 4 + 64
            if not any(position >= box.end for position in self._told):
                self._told = _positions(lambda: random_access_positions(self._last_box()))
            positions = [position for position in self._told if box.end <= position < self._ranges.size]
            self._ranges.fetch(positions, [self._ahead_bytes] * len(positions))

    def _last_box(self) -> bytes:
        """The `mfra` box, if the file ends with one."""
        end = self._ranges.size
        tail = self._ranges.read(max(end - _TAIL_BYTES, 0), _TAIL_BYTES)
        size = int.from_bytes(tail[-4:], "big") if tail[-12:-8] == b"mfro" else 0
        return self._ranges.read(end - size, size) if 0 < size <= end else b""


def _positions(read: Callable[[], list[int]]) -> list[int]:
    try:
        return read()
    except (struct.error, ValueError, IndexError):
        return []  # it only would have been faster
