"""What the preparation needs to know of a video as a whole, with an answer where the container leaves a gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import CorruptMediaError
from mediaref.video_decoder.index import VideoIndex

RATE_WITHOUT_TIMES = 25.0
"""Frames a second of a stream that carries no times at all: what FFmpeg plays it at."""


@dataclass(frozen=True, eq=False)
class VideoFacts:
    """Times in seconds, rates per second, sizes in pixels."""

    index: VideoIndex
    fps: float
    duration: float
    """From the first frame's start to the last one's end."""
    starts: NDArray[np.float64]
    """`[frames]`: each frame's start, counted from the first one's."""
    bit_rate: float

    @classmethod
    def of(cls, index: VideoIndex) -> VideoFacts:
        """Raises `CorruptMediaError` if nobody can tell how large the pictures are."""
        if not index.width or not index.height:
            raise CorruptMediaError(f"{index.source.name}: none of its first pictures decodes; its size is not known")
        total = len(index)
        seconds = index.duration_ns / 1e9 if index.duration_ns else None
        counted = total / seconds if seconds else RATE_WITHOUT_TIMES
        fps = float(index.average_rate) if index.average_rate else counted
        starts = np.arange(total) / fps if index.pts_ns is None else (index.pts_ns - index.pts_ns[0]) / 1e9
        duration = seconds or total / fps
        return cls(index, fps, duration, starts, 8.0 * float(index.packet_bytes.sum()) / duration)

    @property
    def bits_per_frame(self) -> float:
        return self.bit_rate / self.fps

    @property
    def bits_per_pixel(self) -> float:
        """Bits per pixel per frame."""
        return self.bits_per_frame / (self.index.height * self.index.width)
