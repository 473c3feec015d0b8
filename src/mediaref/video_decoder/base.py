"""What every video decoder offers, whichever library decodes."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import InvalidReferenceError, MediaRefError

if TYPE_CHECKING:
    from typing_extensions import Self

    from mediaref.video_decoder.index import VideoIndex

#: A frame's display index, and its pixels `(height, width[, channels])` or why it has none.
Decoded = tuple[int, NDArray[Any] | MediaRefError]


class Backend(Protocol):
    """A library that decodes chosen frames of an indexed video."""

    def __call__(
        self, index: VideoIndex, frames: Sequence[int] | NDArray[np.integer], *, threads: int | None = None
    ) -> Generator[Decoded, None, None]:
        """Decode some frames: each different one once, in display order, in an array of its own."""


class BatchDecodingStrategy(str, Enum):
    """How 0.3 was told to walk through a file for several frames.

    Accepted wherever 0.3 took one. It changes nothing: every request is planned by the frames' own dependencies, which
    never decodes more than the best of the three would.
    """

    SEPARATE = "separate"
    SEQUENTIAL_PER_KEYFRAME_BLOCK = "sequential_per_keyframe_block"
    SEQUENTIAL = "sequential"

    @classmethod
    def check(cls, strategy: BatchDecodingStrategy | str | None) -> None:
        """Raise `InvalidReferenceError` (a `ValueError`) if `strategy` is neither None nor one of ours."""
        if strategy is not None and strategy not in {each.value for each in cls}:
            choices = ", ".join(each.value for each in cls)
            raise InvalidReferenceError(f"Unknown decoding strategy: {strategy!r}; choose one of {choices}")


@dataclass
class FrameBatch:
    """Frames of one video."""

    #: uint8 [N, 3, H, W], RGB, where nothing else was asked for; else the samples as `pixel_format` names them.
    data: NDArray[Any]
    #: float64 [N]: when each frame begins.
    pts_seconds: NDArray[np.float64]
    #: float64 [N]: how long each frame stays on screen.
    duration_seconds: NDArray[np.float64]
    #: FFmpeg's name of what `data` holds: `rgb24`, `gray16le`, ...; None where the decoder does not tell.
    pixel_format: str | None = None

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return (
            f"FrameBatch(data={self.data.shape}, pts_seconds={self.pts_seconds}, "
            f"duration_seconds={self.duration_seconds}, pixel_format={self.pixel_format!r})"
        )


@dataclass
class VideoStreamMetadata:
    """What is known of a video stream."""

    num_frames: int
    duration_seconds: Fraction
    average_rate: Fraction
    width: int
    height: int
    begin_stream_seconds: Fraction = Fraction(0)
    #: Where the last frame ends; by default begin and duration together.
    end_stream_seconds: Fraction = None  # type: ignore[assignment]
    #: FFmpeg's name of the samples that the frames have before any conversion.
    pixel_format: str | None = None

    def __post_init__(self) -> None:
        if self.end_stream_seconds is None:
            self.end_stream_seconds = self.begin_stream_seconds + self.duration_seconds


class BaseVideoDecoder(ABC):
    """A video that frames can be asked from. A context manager; `close` may be called any number of times.

    A decoder of one's own must have `get_frames_played_at` and `close`; what 0.3 and 1.1 ask for beyond differs.
    """

    def __init__(self, source: str | os.PathLike[str] | BinaryIO, **options: Any) -> None:
        """Keep `source`; `options` are for subclasses to look at."""
        self.source = source

    @property
    def metadata(self) -> VideoStreamMetadata:
        """What is known of the stream."""
        raise NotImplementedError(f"{type(self).__name__} does not tell what is known of its stream")

    @abstractmethod
    def get_frames_played_at(self, seconds: Sequence[float]) -> FrameBatch:
        """The frames on screen at some times, in the order asked. Raises `TimestampError` (a `ValueError`)."""

    def get_frames_played_in_range(
        self, start_seconds: float, stop_seconds: float, fps: float | None = None
    ) -> FrameBatch:
        """The frames that begin in `[start, stop)`, or with `fps` those on screen at `start`, `start + 1 / fps`, ...

        Raises `TimestampError` (a `ValueError`).
        """
        raise NotImplementedError(f"{type(self).__name__} gives frames by single times only")

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
