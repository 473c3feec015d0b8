"""`VideoIndex`: the frames that a video presents, in display order, with the packets that hold them."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mediaref.arguments import whole_number, whole_numbers
from mediaref.errors import CorruptMediaError, FileChangedError, FrameIndexError, TimestampError
from mediaref.storage import Source, StorageOptions, locate
from mediaref.storage.ranges import Ranges
from mediaref.storage.source import content_marks
from mediaref.video_decoder import cache
from mediaref.video_decoder.container import opened, translated_errors
from mediaref.video_decoder.container_table import read_container_table, with_missing_packets
from mediaref.video_decoder.contents import Contents, check_limits
from mediaref.video_decoder.frame_decoder import keep_decoder
from mediaref.video_decoder.orientation import Orientation
from mediaref.video_decoder.packets import PacketTable, scan_packets
from mediaref.video_decoder.picture import Picture
from mediaref.video_decoder.presentation import end_ns, nanoseconds, presentation, reorder_depth

if TYPE_CHECKING:
    from av.video.stream import VideoStream

    from mediaref._native import StreamParser

_SECOND = 1_000_000_000


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """The frame table of one video: everything that choosing, reading and decoding frames needs to know.

    Arrays have one entry a frame in display order, over the frames that the container presents (edit lists are
    honoured). Make one with `VideoIndex.open`; it holds no open file and may be shared by threads.
    """

    #: Where the file is: the name that it was asked for by.
    source: Source
    #: What it is: `source.identity()` when the video was indexed.
    identity: Hashable = field(repr=False)
    #: FFmpeg's name of the codec: `h264`, `hevc`, `vp9`, `av1`, ...
    codec: str
    #: Number of the video stream among all streams of the container.
    stream: int
    #: FFmpeg's name of the samples that its frames decode to: `yuv420p`, ...; None where it is not known.
    pixel_format: str | None
    time_base: Fraction
    #: Displayed size in pixels, rotation applied.
    width: int
    height: int
    orientation: Orientation
    #: Frames a second that the container promises; None where it does not.
    average_rate: Fraction | None
    packets: PacketTable = field(repr=False)
    #: Row of each frame's (first) packet in `packets`.
    packet_of: NDArray[np.int64] = field(repr=False)
    #: int64 nanoseconds, floor of the exact time, ascending; None for a stream without timestamps.
    pts_ns: NDArray[np.int64] | None = field(repr=False)
    #: Where the last frame ends, in nanoseconds; None for a stream without timestamps.
    end_ns: int | None
    #: The packets' bytes stand in the file as the demuxer gives them.
    is_directly_readable: bool = field(repr=False)
    #: Bytes of the file, where they matter for reading it.
    file_size: int | None = field(repr=False)
    parser: StreamParser | None = field(repr=False)
    #: What the container says to the decoder: parameter sets and the like.
    extradata: bytes = field(repr=False)
    #: Some packets carry, beside their bytes, what a decoder must have.
    has_side_data: bool = field(repr=False)
    #: Headers of the packets that change the parameter sets, by row: a decoder that starts later needs them.
    headers: Mapping[int, bytes] = field(repr=False)
    #: The container promises that no parameter set comes with the packets.
    has_constant_sets: bool = field(repr=False)
    #: Most frames that are decoded before some frame and shown after it; at most 16.
    reorder_depth: int
    #: A file of the same track without its packets, for a decoder to be made from; None: that takes the file itself.
    description: bytes | None = field(repr=False)

    def __post_init__(self) -> None:
        self.packet_of.setflags(write=False)
        if self.pts_ns is not None:
            self.pts_ns.setflags(write=False)

    @classmethod
    def open(
        cls,
        video: str | os.PathLike[str] | Source | VideoIndex,
        *,
        storage_options: StorageOptions | None = None,
        sidecar: str | os.PathLike[str] | None = None,
    ) -> VideoIndex:
        """Index a video, or take the index from the cache if the file is the same.

        The tables of an MP4 or MOV file tell all that is needed at first, and so do those of its fragments and the
        blocks of a Matroska or WebM file: headers of packets are read when something depends on them (`with_headers`).
        Blocks lie all over the file, so that a remote one is read once for them. Other files take one pass over their
        packets, and MPEG-4 whose packets hold two pictures, or none, is decoded once. A `sidecar` is the path of a file
        that keeps the index: it is read if it holds that of the video as it is now, and else written. Calls that
        follow, `batch_decode` among them, use the index as long as it is in the cache. An index itself is given back,
        written to the `sidecar` if there is one.

        Raises `MediaNotFoundError`, `AccessDeniedError`, `StorageError` (storage that does not answer, or a `sidecar`
        that cannot be written: without it the next call takes the index from the cache), `StorageTimeoutError`,
        `CorruptMediaError` (no video, no frames), `UnsupportedBitstreamError`, `LimitExceededError`,
        `InvalidReferenceError` (what names no file) or `MissingDependencyError`.
        """
        if isinstance(video, VideoIndex):
            if sidecar is not None:
                video.save(sidecar)
            return video
        source = video if isinstance(video, Source) else locate(video, storage_options)
        if sidecar is None:
            return index_of(source)
        from mediaref.video_decoder import sidecar as sidecars

        identity = source.identity()
        saved = sidecars.load(sidecar, source, identity)
        with Ranges(source) as ranges:
            index = kept(source, identity, lambda: saved or _build(source, identity, ranges))
        if saved is None:
            index.save(sidecar)
        return index

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to a file, with the headers read so far, for `open(video, sidecar=path)` to read.

        The file tells the video by its size and time, or by what else its storage says, not by its path.
        Raises `StorageError` (an `OSError`), and `UnsupportedBitstreamError` for the few streams whose index cannot be
        kept.
        """
        from mediaref.video_decoder import sidecar

        sidecar.save(self, path)

    def __reduce__(self) -> tuple[Callable[..., VideoIndex], tuple[Source, Hashable]]:
        """Pickled by the file, `storage_options` included: unpickling opens it as `open` does, or takes it from the
        cache, and raises `FileChangedError` if it is another one by then.
        """
        return _reopened, (self.source, self.identity)

    def __len__(self) -> int:
        return len(self.packet_of)

    def __repr__(self) -> str:
        size = f"{self.codec}, {self.width}x{self.height}, {len(self)} frames"
        begins = "no timestamps" if self.pts_ns is None else f"{int(self.pts_ns[0])} to {self.end_ns} ns"
        return f"VideoIndex({self.source.name!r}: {size}, {begins})"

    def _repr_html_(self) -> str:
        from mediaref import notebook

        return notebook.index_html(self)

    @property
    def is_key(self) -> NDArray[np.bool_]:
        """bool[n]: the container marks the frame as a point to start from."""
        return self.packets.is_key[self.packet_of]

    def check_unchanged(self) -> None:
        """Raise `FileChangedError` if the file is not the one that was indexed, as far as its storage tells."""
        if self.source.data is None and self.source.identity() != self.identity:
            raise FileChangedError(f"{self.source.name}: has changed since it was indexed; index it again")

    def _asked_as(self, source: Source) -> VideoIndex:
        """This index for the same file by the name `source`: the one that it was indexed by may be gone."""
        return self if self.source == source else replace(self, source=source)

    def with_headers(self, frames: Iterable[int] | None = None, ranges: Ranges | None = None) -> VideoIndex:
        """This index with the headers of all packets that a plan for `frames` depends on (None: of all packets).

        It is this index itself where they have been read; the file is read for what is missing. Until then the
        packet table says what is safe to assume. What `ranges` has of the file is not read again.
        Raises `FileChangedError`, and as `check`.
        """
        from mediaref.video_decoder.headers import are_headers_read, with_headers
        from mediaref.video_decoder.reader import PacketReader

        asked = None if frames is None else self.check(frames)
        latest = cache.indexes.peek(self.identity)
        index = self if latest is None or latest.packet_of is not self.packet_of else latest._asked_as(self.source)
        if are_headers_read(index, asked):
            return index
        with PacketReader(index, ranges) as reader:
            index = with_headers(index, asked, reader)
        cache.indexes.put(index.identity, index)
        return index

    @property
    def is_referenced(self) -> NDArray[np.bool_]:
        """bool[n]: False for frames that no other frame is predicted from. All headers are read for it."""
        referenced = self.with_headers().packets.is_referenced
        return referenced[self.packet_of] | referenced[self.packets.last_of_frame(self.packet_of)]

    @property
    def picture_type(self) -> NDArray[np.uint8]:
        """uint8[n]: ASCII code of I, P or B; 0 for codecs whose headers are not read. All headers are read for it."""
        return self.with_headers().packets.picture_type[self.packet_of]

    @property
    def packet_bytes(self) -> NDArray[np.int64]:
        """int64[n]: bytes of the frame's packets, both fields' where each has its own."""
        second = self.packets.last_of_frame(self.packet_of)
        return self.packets.size[self.packet_of] + np.where(second > self.packet_of, self.packets.size[second], 0)

    @property
    def duration_ns(self) -> int | None:
        """Nanoseconds from the first frame's begin to the last one's end."""
        return None if self.pts_ns is None or self.end_ns is None else self.end_ns - int(self.pts_ns[0])

    @property
    def bit_rate(self) -> float | None:
        """Bits a second of the presented frames, counted from their packets."""
        return 8e9 * float(self.packet_bytes.sum()) / self.duration_ns if self.duration_ns else None

    def packets_of(self, frame: int) -> tuple[int, ...]:
        """Rows of the one or two packets (two when each field has its own) of a frame in `packets`.

        Raises as `check`.
        """
        return tuple(sorted(self.rows_of(self.check([frame]))))

    def rows_of(self, frames: Sequence[int] | NDArray[np.int64]) -> set[int]:
        """Rows of all packets that hold some frames, both fields' where each has its own."""
        first = self.packet_of[np.asarray(frames, np.int64)]
        return {*first.tolist(), *self.packets.last_of_frame(first).tolist()}

    def to_torchcodec_mappings(self) -> str:
        """The frame table as the JSON text that torchcodec takes: `VideoDecoder(video, stream_index=index.stream,
        custom_frame_mappings=index.to_torchcodec_mappings())`.

        torchcodec then needs no pass of its own over the file, counts the frames as this index does, and starts to
        decode where that gives the right pictures. Raises `TimestampError` for a stream without timestamps and
        `UnsupportedBitstreamError` for one whose packets do not carry their frames' times.
        """
        from mediaref.video_decoder.torchcodec import frame_mappings

        return frame_mappings(self)

    def check(self, frames: Iterable[int]) -> list[int]:
        """`frames` as a list of ints, if each is the number of a frame of this video.

        Raises `FrameIndexError` (an `IndexError`) and `InvalidTypeError` (a `TypeError` and a `ValueError`).
        """
        numbers = whole_numbers(frames, "frame numbers")
        for frame in numbers:
            if not 0 <= frame < len(self):
                raise FrameIndexError(f"{self.source.name}: has no frame {frame}; its {len(self)} frames count from 0")
        return numbers

    def frame_at(self, pts_ns: int) -> int:
        """The frame on screen at `pts_ns`: the last one that begins at or before it.

        Raises `TimestampError`, and `InvalidTypeError` for what is no whole number of nanoseconds.
        """
        return int(self.frames_at([pts_ns])[0])

    def frames_at(self, pts_ns: ArrayLike) -> NDArray[np.int64]:
        """`frame_at` for many times at once: int64[n]."""
        begin, end = self.span_ns()
        times = whole_numbers(np.asarray(pts_ns, dtype=object).reshape(-1), "times in nanoseconds")
        for time in times:
            if not begin <= time < end:
                raise TimestampError(
                    f"{self.source.name}: no frame at {time} ns ({time / _SECOND:.6f} s): "
                    f"the video runs from {begin} ns to before {end} ns"
                )
        return np.searchsorted(self._begins_ns(), np.array(times, np.int64), side="right") - 1

    def has_frame_at(self, pts_ns: int) -> bool:
        """Whether a frame is on screen at `pts_ns`. Raises `InvalidTypeError`."""
        time = whole_number(pts_ns, "a time in nanoseconds")
        if self.pts_ns is None:
            return False
        begin, end = self.span_ns()
        return begin <= time < end

    def span_ns(self) -> tuple[int, int]:
        """When the first frame begins and the last one ends, in nanoseconds. Raises `TimestampError`."""
        begins = self._begins_ns()
        assert self.end_ns is not None
        return int(begins[0]), self.end_ns

    def shown_ns(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """When each of `frames` begins and ends, in nanoseconds. Raises `TimestampError`."""
        begins = self._begins_ns()
        return begins[frames], np.append(begins[1:], self.span_ns()[1])[frames]

    def _begins_ns(self) -> NDArray[np.int64]:
        if self.pts_ns is None:
            raise TimestampError(f"{self.source.name}: the stream has no timestamps; ask for its frames by number")
        return self.pts_ns


def index_of(source: Source) -> VideoIndex:
    """The index of `source` as it is now: from the cache, or made."""
    with Ranges(source) as ranges:
        identity = identified(source, ranges)
        return kept(source, identity, lambda: _build(source, identity, ranges))


def _reopened(source: Source, identity: Hashable) -> VideoIndex:
    index = index_of(source)
    if content_marks(index.identity) != content_marks(identity):
        raise FileChangedError(f"{source.name}: has changed since its index was pickled; index it again")
    return index


def identified(source: Source, ranges: Ranges) -> Hashable:
    """What `source` is now. Of a remote file that was not indexed lately, `ranges` then has the head and the end."""
    is_new = source.is_remote and cache.identities.peek(source.key) is None
    return ranges.look().identity if is_new else source.identity()


def recalled(source: Source) -> VideoIndex | None:
    """The index of a remote file as it was when it was indexed last, if that is in the cache.

    Nobody is asked whether the file is still the same: decoding and bit costs find it out while they read, and raise
    `FileChangedError`.
    """
    identity = cache.identities.peek(source.key) if source.is_remote else None
    index = None if identity is None else cache.indexes.peek(identity)
    return None if index is None else index._asked_as(source)


def kept(source: Source, identity: Hashable, make: Callable[[], VideoIndex]) -> VideoIndex:
    """The index in the cache, or the one that `make` makes, which is kept there."""
    found = cache.indexes.get(identity, make)
    index = found._asked_as(source)
    if index is not found:
        cache.indexes.put(identity, index)  # whoever asks by this name again gets the very same
    if source.is_remote:
        cache.identities.keep(source.key, identity)
    return index


def _build(source: Source, identity: Hashable, ranges: Ranges) -> VideoIndex:
    return made(source, identity, read_container_table(source, ranges) or _demuxed(source, ranges))


def made(source: Source, identity: Hashable, contents: Contents) -> VideoIndex:
    """The index of what was found out about a video."""
    table, time_base, rate = contents.packets, contents.time_base, contents.average_rate
    packet_of, times = presentation(source, contents)
    if len(packet_of) == 0:
        raise CorruptMediaError(f"{source.name}: has no frame that can be shown")
    picture = contents.picture
    width, height = picture.orientation.apply_size(picture.width, picture.height)
    index = VideoIndex(
        source=source,
        identity=identity,
        codec=contents.codec,
        stream=contents.stream,
        pixel_format=picture.pixel_format,
        time_base=time_base,
        width=width,
        height=height,
        orientation=picture.orientation,
        average_rate=rate,
        packets=table,
        packet_of=packet_of,
        pts_ns=None if times is None else nanoseconds(times, time_base, source.name),
        end_ns=None if times is None else end_ns(table, packet_of, times, time_base, rate, source.name),
        is_directly_readable=contents.is_directly_readable,
        file_size=contents.file_size,
        parser=contents.parser,
        extradata=contents.extradata,
        has_side_data=contents.has_side_data,
        headers=contents.headers,
        has_constant_sets=contents.has_constant_sets,
        reorder_depth=reorder_depth(packet_of),
        description=contents.description,
    )
    if contents.decoder is not None:
        keep_decoder(index, contents.decoder)
    return index


def _promised_picture(stream: VideoStream) -> Picture:
    """The pictures of a stream as its container tells them, where none of the first can be decoded."""
    context = stream.codec_context
    # Not `context.pix_fmt`, at which PyAV 17 crashes where there is none.
    pixel_format = context.format.name if context.format else None
    return Picture(context.width, context.height, pixel_format, Orientation())


def _demuxed(source: Source, ranges: Ranges) -> Contents:
    """The contents of `source` by one pass over its packets."""
    with opened(source) as (container, stream):
        codec = stream.codec_context.codec.canonical_name
        extradata = stream.codec_context.extradata or b""
        scan = scan_packets(container, stream, codec, source.name)
        picture = Picture.of_first(stream, scan.head) or _promised_picture(stream)
        number, time_base, rate = stream.index, Fraction(stream.time_base or 1), stream.average_rate
        table = with_missing_packets(scan.table(), stream, source, ranges)
    check_limits(table, picture, source.name)
    return Contents(
        codec=codec,
        stream=number,
        time_base=time_base,
        average_rate=None if rate is None else Fraction(rate),
        picture=picture,
        packets=table,
        parser=scan.parser,
        extradata=extradata,
        headers=scan.headers,
        has_side_data=scan.has_side_data,
        has_constant_sets=False,
        file_size=None,
        is_directly_readable=not scan.has_side_data and _stands_in_file(source, table, scan.samples),
        description=None,
        decoder=None,
        is_irregular=scan.is_irregular,
    )


def _stands_in_file(source: Source, table: PacketTable, samples: dict[int, bytes]) -> bool:
    """Whether reading `size` bytes at `position` gives a packet: tried on packets spread over the stream."""
    if source.path is None and source.data is None:
        return False  # a look at a remote file costs a request
    with translated_errors(source.name), source.open() as file:
        for row, content in samples.items():
            if table.position[row] < 0:
                return False
            file.seek(int(table.position[row]))
            if file.read(len(content)) != content:
                return False
    return True
