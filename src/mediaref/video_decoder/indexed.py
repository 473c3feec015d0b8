"""`IndexedVideoDecoder`: frames are chosen from the video's index; a backend only decodes them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from fractions import Fraction
from typing import Any, BinaryIO, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mediaref.arguments import whole_numbers
from mediaref.errors import InvalidReferenceError, MediaRefError, TimestampError
from mediaref.storage import Source, StorageOptions
from mediaref.video_decoder.base import (
    Backend,
    BaseVideoDecoder,
    BatchDecodingStrategy,
    FrameBatch,
    VideoStreamMetadata,
)
from mediaref.video_decoder.index import VideoIndex

_SECOND = 1_000_000_000


@runtime_checkable
class _File(Protocol):
    """What tells an open file from all else that names a video."""

    def read(self, size: int, /) -> bytes: ...

    def seek(self, offset: int, /) -> int: ...


class IndexedVideoDecoder(BaseVideoDecoder):
    """A video whose frames are chosen by its index, so that every backend chooses the same; see `VideoIndex`.

    Nothing stays open between calls: an instance may be used by any number of threads and after a fork.
    """

    #: Whether a range of times begins with the frame that is on screen already, or with the first to begin in it.
    _range_begins_on_screen = False

    def __init__(
        self,
        source: str | os.PathLike[str] | BinaryIO,
        backend: Backend,
        *,
        threads: int | None = None,
        storage_options: StorageOptions | None = None,
    ) -> None:
        super().__init__(source)
        video = _content(source) if isinstance(source, _File) else source
        self._index = VideoIndex.open(video, storage_options=storage_options)
        self._backend = backend
        self._threads = threads

    def __len__(self) -> int:
        return len(self._index)

    @property
    def metadata(self) -> VideoStreamMetadata:
        """What is known of the stream, the times taken from its frames. Raises `TimestampError` if it has none."""
        index = self._index
        begin, end = (self._seconds(time) for time in index.span_ns())
        duration = end - begin
        return VideoStreamMetadata(
            num_frames=len(index),
            duration_seconds=duration,
            average_rate=index.average_rate or Fraction(len(index)) / duration,
            width=index.width,
            height=index.height,
            begin_stream_seconds=begin,
            end_stream_seconds=end,
            pixel_format=index.pixel_format,
        )

    def __getitem__(self, key: int | slice) -> NDArray[Any]:
        """Pixels of frame `key`, uint8 [3, H, W], or of a slice of frames, uint8 [N, 3, H, W]."""
        if isinstance(key, slice):
            return self.get_frames_at(range(*key.indices(len(self)))).data
        pixels: NDArray[Any] = self.get_frames_at([key]).data[0]
        return pixels

    def get_frames_at(self, indices: Iterable[int], strategy: BatchDecodingStrategy | str | None = None) -> FrameBatch:
        """Frames by display index, in the order asked, negative ones counted from the end; a stream without timestamps
        has NaN for times.

        Raises `FrameIndexError` (an `IndexError`), `InvalidTypeError` (a `TypeError`), and `InvalidReferenceError` for
        frames of different sizes, which no one array holds. `strategy` is accepted for programs written for 0.3; see
        `BatchDecodingStrategy`.
        """
        BatchDecodingStrategy.check(strategy)
        index, count = self._index, len(self)
        numbers = whole_numbers(indices, "frame numbers")
        frames = [number + count if -count <= number < 0 else number for number in numbers]
        index.check(frames)
        data = self._pixels(frames)
        if index.pts_ns is None:
            unknown = np.full(len(frames), np.nan)
            return FrameBatch(data, unknown, unknown.copy(), self._pixel_format)
        begins, ends = (
            [self._seconds(time) for time in times.tolist()] for times in index.shown_ns(np.asarray(frames, np.int64))
        )
        durations = [end - begin for begin, end in zip(begins, ends, strict=True)]
        return FrameBatch(data, np.array(begins, float), np.array(durations, float), self._pixel_format)

    def get_frames_played_at(
        self, seconds: Sequence[float], strategy: BatchDecodingStrategy | str | None = None
    ) -> FrameBatch:
        """The frames on screen at some times, in the order asked. Raises `TimestampError` (a `ValueError`)."""
        frames = self._index.frames_at([_nanoseconds(time) for time in seconds]).tolist()
        return self.get_frames_at(frames, strategy)

    def get_frame_at_pts_ns(self, pts_ns: int) -> NDArray[Any]:
        """Pixels of the frame on screen at `pts_ns`, uint8 [3, H, W]. Raises `TimestampError` (a `ValueError`)."""
        return self[self._index.frame_at(pts_ns)]

    def get_frames_played_in_range(
        self, start_seconds: float, stop_seconds: float, fps: float | None = None
    ) -> FrameBatch:
        """The frames of `[start, stop)`, or with `fps` those on screen at `start`, `start + 1 / fps`, ...

        Without `fps`, PyAV's range begins with the first frame that begins in it; those of the other backends with
        the frame that is on screen at `start`. Raises `TimestampError` (a `ValueError`).
        """
        begin, end = self._index.span_ns()
        start, stop = _nanoseconds(start_seconds), _nanoseconds(stop_seconds)
        if start > stop:
            raise TimestampError(f"start {start_seconds} must be less than or equal to stop {stop_seconds}")
        if not begin <= start < end:
            raise TimestampError(f"Invalid start seconds: {start_seconds}; the video runs from {begin} to {end} ns")
        if stop > math.ceil(self._seconds(end) * _SECOND):
            raise TimestampError(f"Invalid stop seconds: {stop_seconds}; the video runs from {begin} to {end} ns")
        if fps is None:
            first, last = self._first_from(start), self._first_from(stop)
            if self._range_begins_on_screen and start < stop:
                first = self._index.frame_at(start)
            return self.get_frames_at(range(first, last))
        if not (math.isfinite(fps) and fps > 0):
            raise InvalidReferenceError(f"fps is {fps}; it must be above 0 and finite")
        step = _SECOND / _exact(fps)
        # A time less than a nanosecond before `stop` is `stop` itself, in the rounding.
        count = max(math.ceil((stop - start - 1) / step), int(start < stop))
        first_time = _exact(start_seconds) * _SECOND
        times = [round(first_time + number * step) for number in range(count)]
        return self.get_frames_at(self._index.frames_at(times).tolist())

    def _first_from(self, time_ns: int) -> int:
        """The first frame that begins at `time_ns` or later. Its own time may have been rounded up to `time_ns`."""
        begins = self._index.pts_ns
        assert begins is not None
        first = int(np.searchsorted(begins, time_ns))
        return first - 1 if first and self._seconds(int(begins[first - 1])) * _SECOND > time_ns - 1 else first

    def _seconds(self, time_ns: int) -> Fraction:
        """The exact time, a whole number of time bases, that `time_ns` is the floor of; or that itself."""
        time_base = self._index.time_base
        exact = -(-time_ns // (time_base * _SECOND)) * time_base
        return exact if exact * _SECOND < time_ns + 1 else Fraction(time_ns, _SECOND)

    def close(self) -> None:
        """Nothing is open; kept so that all decoders are used alike."""

    @property
    def _pixel_format(self) -> str | None:
        """FFmpeg's name of what a batch holds."""
        return "rgb24"

    def _pixels(self, frames: Sequence[int]) -> NDArray[Any]:
        """Pixels [N, channels, H, W] of `frames` in their order."""
        places: dict[int, list[int]] = {}
        for place, frame in enumerate(frames):
            places.setdefault(frame, []).append(place)
        data = np.empty((len(frames), 3, self._index.height, self._index.width), np.uint8)
        first: int | None = None
        with closing(self._backend(self._index, list(places), threads=self._threads)) as decoded:
            for frame, pixels in decoded:
                if isinstance(pixels, MediaRefError):
                    raise pixels
                planes = np.moveaxis(np.atleast_3d(pixels), -1, 0)
                if (planes.shape, planes.dtype) != (data.shape[1:], data.dtype):
                    if first is not None:
                        raise self._differing(first, data[places[first][0]], frame, planes)
                    data = np.empty((len(frames), *planes.shape), planes.dtype)
                first = frame if first is None else first
                data[places[frame]] = planes
        return data

    def _differing(self, first: int, planes: NDArray[Any], other: int, others: NDArray[Any]) -> InvalidReferenceError:
        kinds = [f"{each.shape[2]} x {each.shape[1]} ({each.shape[0]} x {each.dtype})" for each in (planes, others)]
        return InvalidReferenceError(
            f"{self._index.source.name}: frame {first} is {kinds[0]} and frame {other} {kinds[1]}, which no one array "
            "holds: the stream changes its size; ask for the frames apart, or use mediaref.video_decoder.decode_frames"
        )


def _content(file: _File) -> Source:
    """All that is left of an open file, which can then be read by many at once. Raises `LimitExceededError`."""
    from mediaref.storage.remote_file import read_bounded

    name = str(getattr(file, "name", "an open file"))
    return Source(name, data=read_bounded(file, name))


def _nanoseconds(seconds: float) -> int:
    if not math.isfinite(seconds):
        raise TimestampError(f"{seconds} s is no time at which there can be a frame")
    return round(_exact(seconds) * _SECOND)


def _exact(number: float) -> Fraction:
    """A number of Python or NumPy, as it is."""
    return Fraction(number if isinstance(number, (int, Fraction)) else float(number))
