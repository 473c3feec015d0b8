"""`SpanDecoder`: what a decoder makes of the packets of one span after another; frames as arrays, or their errors."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Set
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import (
    CorruptMediaError,
    FileChangedError,
    MediaRefError,
    StorageError,
    UnsupportedBitstreamError,
)
from mediaref.read_stats import count
from mediaref.storage.ranges import Ranges
from mediaref.video_decoder.base import Decoded
from mediaref.video_decoder.container import import_av
from mediaref.video_decoder.dependencies import cut_off, packets_for
from mediaref.video_decoder.frame_decoder import frame_decoder
from mediaref.video_decoder.native import NativePixels
from mediaref.video_decoder.plan import DecodePlan, Span
from mediaref.video_decoder.reader import PacketReader

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from mediaref.video_decoder.packets import VideoPacket

_log = logging.getLogger("mediaref")

#: Pictures that wait for one that was decoded before them and is shown later: no codec has more.
_MOST_HELD = 16


class SpanDecoder:
    """One decoder of one video. Not to be shared by threads; use it in a `with` block."""

    def __init__(
        self, plan: DecodePlan, *, threads: int, native: NativePixels | None = None, ranges: Ranges | None = None
    ) -> None:
        """`ranges` has what was fetched of a remote file."""
        self._plan = plan
        self._ranges = ranges
        self._native = native
        self._index = plan.index
        self._frame_of = {int(self._index.packet_of[f]): int(f) for span in plan.spans for f in span.frames}
        self._threads = threads
        #: The first packet of the latest attempt that could not be read, and why.
        self._unread: tuple[int, MediaRefError] | None = None
        self._resources = ExitStack()

    def __enter__(self) -> SpanDecoder:
        av = import_av()
        with ExitStack() as stack:
            self._reader = stack.enter_context(PacketReader(self._index, self._ranges))
            name = self._native.decoder if self._native is not None else None
            self._decoder = stack.enter_context(frame_decoder(self._index, self._threads, name))
            self._reformatter = av.video.reformatter.VideoReformatter()
            self._scaler = av.video.reformatter.VideoReformatter()
            self._area = av.video.reformatter.Interpolation.AREA
            self._resources = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def decode(self, span: Span, size: tuple[int, int] | None = None) -> Iterator[Decoded]:
        """Yield `(frame, pixels)` for each of the span's frames: in display order, then errors for those that failed.

        Pixels are uint8 `(height, width, 3)` RGB or native ones, turned for display; `size` is (width, height) before
        turning.
        """
        lost = cut_off(self._index, span.frames.tolist())
        wanted = {int(self._index.packet_of[frame]) for frame in span.frames.tolist() if frame not in lost}
        unread: dict[int, MediaRefError] = {}  # why packets cannot be read
        because: dict[int, MediaRefError] = {}  # and of which frames that is the reason, by their packets
        following: Span | None = span
        while following is not None and wanted:
            attempt, following, self._unread = following, None, None
            try:
                for row, picture in self._sound_pictures(attempt, wanted):
                    wanted.discard(row)
                    count(frames_returned=1)
                    yield self._frame_of[row], self._to_array(picture, size)
                following = self._plan.in_doubt(attempt)
            except _FalseStartError:
                _log.debug("%s: packet %d is no place to start; starting earlier", self._name, attempt.start)
                following = self._plan.earlier(attempt)
            if self._unread is not None:
                row, error = self._unread
                following = None if row in unread else self._plan.without(row, attempt)
                unread[row] = error
                others = [] if following is None else self._index.packet_of[following.frames].tolist()
                because = dict.fromkeys(wanted.difference(others), error) | because
        if wanted:
            self._decoder.is_sound = False
        yield from lost.items()
        for row in sorted(wanted):
            yield self._frame_of[row], self._error(row, because.get(row))

    def _error(self, row: int, cause: MediaRefError | None) -> MediaRefError:
        """Why the frame of packet `row` does not come; its `cause` is that of a packet which cannot be read."""
        frame = self._frame_of[row]
        if cause is not None:
            return type(cause)(f"frame {frame} of {cause}")
        return CorruptMediaError(
            f"{self._name}: frame {frame} (packet {row}, byte {int(self._index.packets.position[row])}) does not "
            "decode: the data is damaged, or pictures that it depends on are missing"
        )

    def _to_array(self, picture: VideoFrame, size: tuple[int, int] | None) -> NDArray[Any] | MediaRefError:
        try:
            if self._native is not None:
                return self._native(picture, self._index.orientation, self._name)
            return self._to_rgb(picture, size)
        except MediaRefError as error:
            return error
        except import_av().error.FFmpegError as error:
            return UnsupportedBitstreamError(
                f"{self._name}: FFmpeg does not turn its pictures ({picture.format.name}, {picture.width} x "
                f"{picture.height}, colours as the stream describes them) into RGB: {error.strerror or error}"
            )

    def _to_rgb(self, picture: VideoFrame, size: tuple[int, int] | None) -> NDArray[np.uint8]:
        width, height = size or (picture.width, picture.height)
        if (width, height) != (picture.width, picture.height) and picture.format.name.startswith("yuv"):
            # Planes first, colours after: FFmpeg is three times faster at it, and as near to the averages of RGB.
            picture = self._scaler.reformat(picture, width, height, interpolation=self._area, threads=1)
        scaled = (width, height) != (picture.width, picture.height)
        rgb = self._reformatter.reformat(
            picture, width, height, "rgb24", interpolation=self._area if scaled else None, threads=1
        )
        plane = rgb.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)
        pixels = rows[:, : width * 3].reshape(height, width, 3)
        # Nobody else has this memory, so where it is laid out plainly it becomes the array's own without a copy.
        return np.ascontiguousarray(self._index.orientation.apply(pixels))

    @property
    def _name(self) -> str:
        return self._index.source.name

    def _sound_pictures(self, span: Span, wanted: Set[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Row and picture of those `wanted`, but of none that came out damaged or depends on one that did.

        Each is held until those that were decoded before it have come out: damage in them is damage in it.
        """
        if self._index.packets.recovery_frames[span.start]:
            # They are not exact at first, and that does no harm.
            yield from ((row, picture) for row, picture in self._pictures(span) if row in wanted)
            return
        held: deque[tuple[int, VideoFrame, int]] = deque()  # with how many had come out before it
        damaged: set[int] = set()
        decoded: set[int] = set()
        refused = self._decoder.refused
        table = self._index.packets
        has_own_picture = table.has_picture[span.packets] & ~table.is_second_field[span.packets]
        to_come = deque(span.packets[has_own_picture].tolist())
        for number, (row, picture) in enumerate(self._pictures(span)):
            (damaged if picture.is_corrupt else decoded).add(row)
            if row in wanted:
                held.append((row, picture, number))
            if not held:
                continue
            while to_come and (to_come[0] in decoded or to_come[0] in damaged or to_come[0] in refused):
                to_come.popleft()
            while held and (not to_come or held[0][0] < to_come[0] or number - held[0][2] >= _MOST_HELD):
                first, picture, _ = held.popleft()
                if self._is_sound(first, span, damaged, decoded):
                    yield first, picture
        for last, picture, _ in held:
            if self._is_sound(last, span, damaged, decoded):
                yield last, picture

    def _is_sound(self, row: int, span: Span, damaged: set[int], decoded: set[int]) -> bool:
        """Whether the picture of a packet depends on none that came out `damaged`, nor on a packet that was refused."""
        refused = self._decoder.refused - decoded
        if not damaged and not refused:
            return True
        resets = span.start + np.flatnonzero(self._index.packets.is_idr[span.start : row + 1])
        start = int(resets.max(initial=span.start))
        if any(start <= other < row for other in refused):
            return False  # its headers may be damaged, too: who depends on it is not known
        return damaged.isdisjoint(packets_for(self._index, start, {row}))

    def _pictures(self, span: Span) -> Iterator[tuple[int, VideoFrame]]:
        """All pictures that the span's packets decode to, with the rows of their (first) packets."""
        trusted = self._index.parser is not None or span.start == 0
        self._decoder.refused.clear()
        try:
            for picture in self._fed(span):
                if picture.pts is not None:
                    trusted = trusted or self._is_clean_start(picture.pts, picture, span)
                    yield picture.pts, picture
            if not trusted:
                raise _FalseStartError
        finally:
            self._decoder.reset()

    def _fed(self, span: Span) -> Iterator[VideoFrame]:
        """What the decoder gives for the span's packets."""
        stand_ins = frozenset(span.stand_ins.tolist())
        for row, packet in self._packets(span, stand_ins):
            count(packets_fed=1, stand_ins_fed=row in stand_ins)
            yield from self._decoder.feed(row, packet)
        yield from self._decoder.finish()

    def _packets(self, span: Span, stand_ins: Set[int]) -> Iterator[tuple[int, VideoPacket]]:
        """The span's packets, as far as they can be read."""
        at = 0
        try:
            for packet in self._reader.read(span.packets.tolist(), stand_ins):
                yield packet
                at += 1
        except FileChangedError:
            raise
        except (CorruptMediaError, StorageError) as error:
            if isinstance(error, StorageError) and not self._index.is_directly_readable:
                raise  # every other attempt would open the file anew, and wait as long
            self._unread = int(span.packets[at]), error

    def _is_clean_start(self, row: int, picture: VideoFrame, span: Span) -> bool:
        """Containers mark keyframes falsely at times: where only they tell, ask the decoder about the first picture."""
        if row != span.start:
            return False
        if not picture.key_frame:
            raise _FalseStartError
        return True


class _FalseStartError(Exception):
    """A packet that the container marks as a keyframe is none."""
