"""The blocks of a Matroska or WebM file (RFC 9559): where each frame lies and when it is shown, without the frames.

Matroska has no table of its frames. The blocks say it themselves, each in a few bytes, and these are looked at one
after another; of a remote file that takes all of it. For a few frames parts are enough, which its cues tell of.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from mediaref import limits
from mediaref.errors import LimitExceededError
from mediaref.storage.ranges import ROUND_TRIP_BYTES, Ranges

# Element IDs, as they are written.
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_SEEK_HEAD, _INFO, _TRACKS, _CLUSTER, _CUES = 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1F43B675, 0x1C53BB6B
_CHAPTERS, _TAGS, _ATTACHMENTS = 0x1043A770, 0x1254C367, 0x1941A469
_VOID, _CRC_32 = 0xEC, 0xBF
_TIMESTAMP_SCALE = 0x2AD7B1
_TRACK_ENTRY, _TRACK_NUMBER, _TRACK_TYPE, _CODEC_ID = 0xAE, 0xD7, 0x83, 0x86
_DEFAULT_DURATION, _TRACK_TIMESTAMP_SCALE, _CODEC_DELAY, _CONTENT_ENCODINGS = 0x23E383, 0x23314F, 0x56AA, 0x6D80
_TIMESTAMP, _SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK, _BLOCK_DURATION = 0xE7, 0xA3, 0xA0, 0xA1, 0x9B
#: Tells, among other things, how pictures are turned.
_PROJECTION = bytes.fromhex("7670")
_SEEK, _SEEK_ID, _SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
_CUE_POINT, _CUE_TIME, _CUE_TRACK_POSITIONS, _CUE_TRACK, _CUE_CLUSTER = 0xBB, 0xB3, 0xB7, 0xF7, 0xF1
_POSITION, _PREV_SIZE, _REFERENCE_BLOCK, _REFERENCE_PRIORITY = 0xA7, 0xAB, 0xFB, 0xFA

_IN_SEGMENT = frozenset({_SEEK_HEAD, _INFO, _TRACKS, _CLUSTER, _CUES, _CHAPTERS, _TAGS, _ATTACHMENTS, _VOID, _CRC_32})
#: What else may be in a cluster, and in a group: it changes nothing of the frames.
_BESIDE_BLOCKS = frozenset({_POSITION, _PREV_SIZE, _VOID, _CRC_32})
_BESIDE_BLOCK = frozenset({_REFERENCE_PRIORITY, _VOID, _CRC_32})

_CODECS = frozenset({b"V_MPEG4/ISO/AVC", b"V_MPEGH/ISO/HEVC", b"V_VP9", b"V_AV1"})
_HAS_STREAM = frozenset({1, 2, 17})  # video, audio, subtitles

_KEYFRAME, _LACING = 0x80, 0x06
#: A cluster at time 0: FFmpeg opens no file that has none.
_NO_FRAMES = bytes.fromhex("1f43b675 83 e78100")
#: Bytes of a number whose first byte is this one; 0 for none.
_LENGTHS = bytes(9 - byte.bit_length() if byte else 0 for byte in range(256))
#: More than an element's header and a block's own take together.
_HEAD_BYTES = 40
#: What is read at once: of a file here what the system reads anyway, of a remote one enough to be worth a request.
_LOCAL_BYTES = 4 << 10
_REMOTE_BYTES = 16 << 20
#: Parts of a remote file are read only if they are together less than this, and than this share of it.
_MOST_IN_PARTS = 64 << 20
_SHARE_IN_PARTS = 1 / 4
#: Of these it shows that the frame on screen at a time is not to come behind them; of the codecs that show frames in
#: the order of decoding one is enough.
_FRAMES_BEHIND = {b"V_VP9": 2, b"V_AV1": 2}
_MOST_FRAMES_BEHIND = 20
#: Behind the clusters mostly stand the cues, and little else.
_MOST_CUES = 4 << 20


class Frame(NamedTuple):
    """One frame of a track; times in ticks of the segment."""

    position: int
    size: int
    pts: int
    #: 0 where neither the block nor the track tells.
    duration: int
    is_key: bool


class Part(NamedTuple):
    """Some clusters, one after the other, and where they lie."""

    begin: int
    end: int


class _Cue(NamedTuple):
    """A keyframe: when it is shown, in ticks, and where its cluster begins."""

    time: int
    cluster: int


class _Element(NamedTuple):
    id: int
    begin: int
    body: int
    #: None where it ends with whatever cannot be in it.
    end: int | None


class _Track(NamedTuple):
    number: int
    codec_id: bytes
    #: Nanoseconds; 0 where it is not told.
    default_duration: int
    is_plain: bool


class _UnusualError(Exception):
    """The file has what is left to FFmpeg."""


@dataclass(frozen=True)
class Segment:
    """A file without its clusters."""

    #: The EBML header and the segment's `Info` and `Tracks`: a file to FFmpeg, less the frames.
    content: bytes
    #: Of the tracks that FFmpeg makes streams of, in their order.
    tracks: tuple[_Track, ...]
    #: Nanoseconds of a tick.
    tick: int
    #: Where the clusters begin.
    _clusters: int = field(repr=False)
    #: Where the last one ends, or what comes behind it.
    end: int = field(repr=False)
    #: Where the cues are, if the file tells.
    _cues: int | None = field(repr=False)
    #: What positions are counted from.
    _base: int = field(repr=False)
    #: Clusters to read, ascending; None: all.
    parts: tuple[Part, ...] | None = None

    @classmethod
    def read(cls, ranges: Ranges) -> Segment | None:
        """Read the head of a file; None for what is no such file, or has what is left to FFmpeg."""
        try:
            return cls._read(_Window(ranges, ROUND_TRIP_BYTES if ranges.is_remote else _LOCAL_BYTES))
        except (_UnusualError, IndexError):
            return None

    @classmethod
    def _read(cls, file: _Window) -> Segment:
        header = file.element(0)
        if header.id != _EBML or header.end is None or header.end > limits.MAX_READ_BYTES:
            raise _UnusualError
        segment = file.element(header.end)
        if segment.id != _SEGMENT or (segment.end or file.size) > file.size:
            raise _UnusualError
        end = segment.end or file.size
        kept, tracks, tick, cues = b"", None, 1_000_000, None
        for element in file.elements(segment.body, end):
            if element.id == _CLUSTER and tracks is not None and end == file.size:
                body = kept + _NO_FRAMES
                head = file.bytes(0, header.end) + _SEGMENT.to_bytes(4, "big") + b"\1" + len(body).to_bytes(7, "big")
                return cls(head + body, tracks, tick, element.begin, end, cues, segment.body)
            if element.id == _CLUSTER or element.id not in _IN_SEGMENT or element.end is None:
                raise _UnusualError
            if element.id in {_INFO, _TRACKS}:
                if element.end - element.begin > limits.MAX_PACKET_BYTES:
                    raise _UnusualError
                kept += file.bytes(element.begin, element.end)
            if element.id == _INFO:
                tick = file.numbers(element, _TIMESTAMP_SCALE).get(_TIMESTAMP_SCALE, tick)
            if element.id == _TRACKS:
                tracks = tuple(_tracks(file, element))
            if element.id == _SEEK_HEAD:
                cues = _position_of(file, element, _CUES, segment.body) or cues
            if element.id == _CUES:
                cues = element.begin
        raise _UnusualError

    def around(self, ranges: Ranges, times: Sequence[int], reach: int) -> Segment:
        """The segment with only those clusters to read that tell which frames are on screen at `times` (nanoseconds).

        These are, by the cues, the cluster of the keyframe before each time up to that of the keyframe behind it, if
        that is more than `reach` nanoseconds behind the time, or else up to that of the one after, and further if that
        is soon; they are fetched. It is the whole segment where no cues say so, or it would be much of the file.
        """
        try:
            cues = self._read_cues(ranges)
        except (_UnusualError, IndexError):
            return self
        margin = max(
            _FRAMES_BEHIND.get(track.codec_id, _MOST_FRAMES_BEHIND) * track.default_duration for track in self.tracks
        )
        spans = []
        for time in times:
            at = bisect_right(cues, (time // self.tick, self.end)) - 1
            if at < 0:
                return self
            enough, far = ((time + margin + extra) // self.tick for extra in (0, reach))
            ends = (
                cue.cluster
                for before, cue in pairwise(cues[at:])
                if cue.cluster > before.cluster and cue.time >= (far if before is cues[at] else enough)
            )
            spans.append((cues[at].cluster, next(ends, self.end)))
        parts: list[Part] = []
        for begin, end in sorted(spans):
            if parts and begin <= parts[-1].end:
                parts[-1] = Part(parts[-1].begin, max(end, parts[-1].end))
            else:
                parts.append(Part(begin, end))
        total = sum(part.end - part.begin for part in parts)
        if total > min(_MOST_IN_PARTS, self.end * _SHARE_IN_PARTS):
            return self
        ranges.fetch([part.begin for part in parts], [part.end - part.begin for part in parts])
        return replace(self, parts=tuple(parts))

    def _read_cues(self, ranges: Ranges) -> list[_Cue]:
        """The keyframes of the only track of pictures, ascending."""
        numbers = [track.number for track in self.tracks if track.codec_id in _CODECS and track.is_plain]
        if self._cues is None or len(numbers) != 1 or not self.tells_durations():
            raise _UnusualError
        left = ranges.size - self._cues
        # Mostly they are the last of the file.
        ranges.read(self._cues, _HEAD_BYTES, left if left <= _MOST_CUES else ROUND_TRIP_BYTES)
        element = _Window(ranges, _HEAD_BYTES, ranges.size).element(self._cues)
        if element.id != _CUES or element.end is None or element.end - element.begin > limits.MAX_PACKET_BYTES:
            raise _UnusualError
        ranges.fetch([element.begin], [element.end - element.begin])
        file, found = _Window(ranges, element.end - element.begin, element.end), []
        for point in file.elements(element.body, element.end):
            if point.id == _CUE_POINT:
                assert point.end is not None
                time = file.numbers(point, _CUE_TIME).get(_CUE_TIME)
                for positions in file.elements(point.body, point.end):
                    if positions.id == _CUE_TRACK_POSITIONS:
                        told = file.numbers(positions, _CUE_TRACK, _CUE_CLUSTER)
                        if told.get(_CUE_TRACK) == numbers[0] and time is not None and _CUE_CLUSTER in told:
                            found.append(_Cue(time, self._base + told[_CUE_CLUSTER]))
        if not found or sorted(found, key=lambda cue: cue.cluster) != sorted(found):
            raise _UnusualError
        if not self._clusters <= min(found).cluster <= max(found).cluster < self.end:
            raise _UnusualError
        return sorted(found)

    def tells_durations(self) -> bool:
        """Whether all tracks of pictures say how long a frame is shown."""
        return all(track.default_duration for track in self.tracks if track.codec_id.startswith(b"V_"))

    def display_matrix(self, _: int) -> bytes | None:
        """How the pictures are turned, as FFmpeg says it; None where a track may say that they are."""
        return None if _PROJECTION in self.content else struct.pack("=9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)

    def description(self, _: int) -> bytes:
        """A file with the same tracks and no frames."""
        return self.content

    def frames(self, ranges: Ranges, stream: int) -> list[Frame] | None:
        """All frames of the track that FFmpeg calls `stream`; None where something is left to FFmpeg.

        Raises what reading raises, and `LimitExceededError`.
        """
        if not 0 <= stream < len(self.tracks):
            return None
        track = self.tracks[stream]
        numbers = [each.number for each in self.tracks]
        if track.codec_id not in _CODECS or not track.is_plain or len(set(numbers)) < len(numbers):
            return None
        frames: list[Frame] = []
        try:
            for frame in self._chosen(ranges, track):
                frames.append(frame)
                if len(frames) > limits.MAX_PACKETS:
                    raise LimitExceededError(
                        f"{ranges.name}: has more packets than mediaref.limits.MAX_PACKETS ({limits.MAX_PACKETS})"
                    )
        except (_UnusualError, IndexError):
            return None
        return frames or None

    def _chosen(self, ranges: Ranges, track: _Track) -> Iterator[Frame]:
        """The frames of all clusters, or of those that are to be read and before them the file's first."""
        if self.parts is None:
            window = _Window(ranges, _REMOTE_BYTES if ranges.is_remote else _LOCAL_BYTES)
            yield from self._frames(window, track, self._clusters, self.end)
            return
        first = next(self._frames(_Window(ranges, _LOCAL_BYTES, self.end), track, self._clusters, self.end))
        yield first
        for begin, end in self.parts:
            frames = self._frames(_Window(ranges, end - begin, end), track, begin, end)
            yield from (frame for frame in frames if frame.position != first.position)

    def _frames(self, file: _Window, track: _Track, begin: int, end: int) -> Iterator[Frame]:
        """The frames in the clusters between two positions."""
        at, default = begin, track.default_duration // self.tick
        while at < end:
            cluster = file.element(at)
            at = cluster.end or end
            if at > end:
                raise _UnusualError
            if cluster.id != _CLUSTER:
                if cluster.id not in _IN_SEGMENT - {_INFO, _TRACKS} or cluster.end is None:
                    raise _UnusualError
                continue
            time = None
            for element in file.elements(cluster.body, at):
                if element.id in _IN_SEGMENT and element.id not in _BESIDE_BLOCKS and cluster.end is None:
                    at = element.begin
                    break
                if element.end is None:
                    raise _UnusualError
                if element.id == _TIMESTAMP:
                    time = file.number(element)
                elif element.id == _SIMPLE_BLOCK:
                    frame = file.frame(element.body, element.end, track.number, time, default)
                    if frame is not None:
                        yield frame
                elif element.id == _BLOCK_GROUP:
                    yield from _frames_of_group(file, element, track.number, time, default)
                elif element.id not in _BESIDE_BLOCKS:
                    raise _UnusualError


def _frames_of_group(file: _Window, group: _Element, track: int, time: int | None, default: int) -> Iterator[Frame]:
    assert group.end is not None
    frame, duration, is_key, is_plain = None, default, True, True
    for element in file.elements(group.body, group.end):
        if element.end is None:
            raise _UnusualError
        if element.id == _BLOCK:
            frame = file.frame(element.body, element.end, track, time, default)
        elif element.id == _BLOCK_DURATION:
            duration = file.number(element)
        elif element.id == _REFERENCE_BLOCK:
            is_key = False
        elif element.id not in _BESIDE_BLOCK:
            is_plain = False  # what else may come with a frame of ours: alpha, padding
    if frame is not None:
        if not is_plain:
            raise _UnusualError
        yield frame._replace(duration=duration, is_key=is_key)


def _position_of(file: _Window, seek_head: _Element, id: int, base: int) -> int | None:
    """Where a file says that an element is."""
    assert seek_head.end is not None
    for seek in file.elements(seek_head.body, seek_head.end):
        if seek.id == _SEEK and seek.end is not None:
            told = file.numbers(seek, _SEEK_ID, _SEEK_POSITION)
            if told.get(_SEEK_ID) == id and _SEEK_POSITION in told:
                return base + told[_SEEK_POSITION]
    return None


def _tracks(file: _Window, tracks: _Element) -> Iterator[_Track]:
    assert tracks.end is not None
    for entry in file.elements(tracks.body, tracks.end):
        if entry.id != _TRACK_ENTRY or entry.end is None:
            if entry.id in {_VOID, _CRC_32}:
                continue
            raise _UnusualError
        wanted = (_TRACK_NUMBER, _TRACK_TYPE, _DEFAULT_DURATION, _CODEC_DELAY)
        told = file.numbers(entry, *wanted)
        inner = {element.id: element for element in file.elements(entry.body, entry.end)}
        if told.get(_TRACK_TYPE) not in _HAS_STREAM or _CODEC_ID not in inner:
            raise _UnusualError
        codec = inner[_CODEC_ID]
        is_plain = not ({_TRACK_TIMESTAMP_SCALE, _CONTENT_ENCODINGS} & set(inner)) and not told.get(_CODEC_DELAY)
        duration = told.get(_DEFAULT_DURATION, 0)
        codec_id = file.bytes(codec.body, codec.end or codec.body).rstrip(b"\0")
        yield _Track(told.get(_TRACK_NUMBER, 0), codec_id, duration, is_plain)


class _Window:
    """Some bytes of a file, moved along as they are asked for."""

    def __init__(self, ranges: Ranges, step: int, end: int | None = None) -> None:
        """At least `step` bytes are read at once, where they are none behind `end`; then nothing is forgotten."""
        self._ranges = ranges
        self._step = step
        self._begin, self._data = 0, b""
        self._forgets = end is None
        self.size = ranges.size if end is None else min(end, ranges.size)

    def _at(self, position: int, count: int) -> int:
        """Move to where `count` bytes at `position` are at hand, or all up to the end: its place in `_data`."""
        at = position - self._begin
        if at < 0 or at + count > len(self._data):
            self._data = self._ranges.read(position, min(max(count, self._step), self.size - position))
            if self._forgets:
                self._ranges.forget(beyond=_REMOTE_BYTES)
            self._begin, at = position, 0
        return at

    def bytes(self, begin: int, end: int) -> bytes:
        """What stands between two positions. Raises `_UnusualError` where that is behind the file's end."""
        if not begin <= end <= self.size:
            raise _UnusualError
        at = self._at(begin, end - begin)
        return self._data[at : at + end - begin]

    def element(self, position: int) -> _Element:
        """The element that begins at `position`. Raises `_UnusualError` or `IndexError` where none does."""
        at = self._at(position, _HEAD_BYTES)
        data = self._data
        length = _LENGTHS[data[at]]
        body = at + length
        count = _LENGTHS[data[body]]
        if not 1 <= length <= 4 or not count or body + count > len(data):
            raise _UnusualError
        id = data[at] if length == 1 else int.from_bytes(data[at:body], "big")
        size = int.from_bytes(data[body : body + count], "big") & ((1 << 7 * count) - 1)
        begin = position + length + count
        if size == (1 << 7 * count) - 1:
            return _Element(id, position, begin, None)
        return _Element(id, position, begin, begin + size)

    def elements(self, begin: int, end: int) -> Iterator[_Element]:
        """The elements from `begin` to `end`; behind one whose end is not known there is none."""
        at = begin
        while at < end:
            element = self.element(at)
            yield element
            if element.end is None:
                return
            if element.end > end:
                raise _UnusualError
            at = element.end

    def number(self, element: _Element) -> int:
        """The unsigned number that an element holds."""
        if element.end is None or element.end - element.body > 8:
            raise _UnusualError
        return int.from_bytes(self.bytes(element.body, element.end), "big")

    def numbers(self, parent: _Element, *ids: int) -> dict[int, int]:
        """The unsigned numbers that the elements of these kinds in `parent` hold."""
        assert parent.end is not None
        return {
            element.id: self.number(element) for element in self.elements(parent.body, parent.end) if element.id in ids
        }

    def frame(self, begin: int, end: int, track: int, time: int | None, duration: int) -> Frame | None:
        """The frame in the block between two positions; None if it is of another track."""
        at = self._at(begin, _HEAD_BYTES)
        data = self._data
        count = _LENGTHS[data[at]]
        number = (
            data[at] & 0x7F if count == 1 else int.from_bytes(data[at : at + count], "big") & ((1 << 7 * count) - 1)
        )
        if number != track:
            return None
        flags = data[at + count + 2]
        body = begin + count + 3
        if time is None or flags & _LACING or end <= body:
            raise _UnusualError
        relative = int.from_bytes(data[at + count : at + count + 2], "big", signed=True)
        return Frame(body, end - body, time + relative, duration, bool(flags & _KEYFRAME))
