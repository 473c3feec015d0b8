"""One camera's pictures as an H.264 video in which every picture has its own time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

#: Nanoseconds of a tick of the video's clock. MP4 has 32 bits for the ticks between two pictures: 71 minutes.
_TICK = 1_000
_LONGEST_GAP = (1 << 32) - 1
_SECOND = 1_000_000_000


class CameraVideo:
    """Encodes pictures of one size as they come. Use it in a `with` block."""

    def __init__(self, path: Path, size: tuple[int, int], keyframe_interval: float, crf: int) -> None:
        """A video of `size` (width, height) with a key frame at least every `keyframe_interval` seconds."""
        self.size = size
        self._every = int(keyframe_interval * _SECOND)
        self._container = av.open(str(path), "w")
        # Key frames are asked for by time, below: at a variable rate a count of frames says nothing.
        options = {"crf": str(crf), "bf": "0", "g": str(1 << 30), "forced-idr": "1"}
        self._stream: Any = self._container.add_stream("libx264", rate=30, options=options)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p" if size[0] % 2 == size[1] % 2 == 0 else "yuv444p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(_TICK, _SECOND)
        self._first: int | None = None
        self._last_tick = -1
        self._last_key = 0

    def add(self, pixels: NDArray[np.uint8], time: int) -> int:
        """Add a picture, uint8 `(H, W, 3)` RGB, recorded at `time` in nanoseconds.

        Returns the nanoseconds into the video at which it is shown. Raises `ValueError` for a gap of over 71 minutes.
        """
        if self._first is None:
            self._first = time
        tick = max((time - self._first) // _TICK, self._last_tick + 1)
        if tick - self._last_tick > _LONGEST_GAP:
            raise ValueError(
                f"{(tick - self._last_tick) * _TICK / _SECOND:.0f} s between two pictures; MP4 has no room"
            )
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = tick, self._stream.time_base
        if self._last_tick < 0 or tick * _TICK - self._last_key >= self._every:
            frame.pict_type = PictureType.I
            self._last_key = tick * _TICK
        self._container.mux(self._stream.encode(frame))
        self._last_tick = tick
        return tick * _TICK

    def __enter__(self) -> CameraVideo:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()
