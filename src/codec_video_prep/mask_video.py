"""Two small videos that show what was kept: the frame beside its kept blocks, and the kept blocks alone."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from codec_video_prep.output import MASK_ONLY, MASK_SIDE_BY_SIDE

if TYPE_CHECKING:
    from av.container import OutputContainer


class MaskVideo:
    """Writes both videos, H.264 in MP4, one picture for each sampled frame. Use it as a context.

    Args:
        folder: Where to write.
        size: Height and width of a prepared frame.
        rate: Pictures a second.
    """

    def __init__(self, folder: Path, size: tuple[int, int], rate: float) -> None:
        height, width = size
        frames_a_second = Fraction(rate).limit_denominator(1000) or Fraction(1)
        self._side_by_side = _Track(folder / MASK_SIDE_BY_SIDE, (height, 2 * width), frames_a_second)
        self._masked_only = _Track(folder / MASK_ONLY, (height, width), frames_a_second)

    def add(self, frame: NDArray[np.uint8], kept: NDArray[np.bool_]) -> None:
        """The next prepared frame `[height, width, 3]` RGB and the pixels `[height, width]` that a canvas shows."""
        masked = frame * kept[..., None]
        self._side_by_side.add(np.concatenate([frame, masked], axis=1))
        self._masked_only.add(masked)

    def __enter__(self) -> MaskVideo:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with ExitStack() as stack:
            for track in (self._side_by_side, self._masked_only):
                stack.callback(track.finish if kind is None else track.abandon)


class _Track:
    def __init__(self, path: Path, size: tuple[int, int], rate: Fraction) -> None:
        import av

        self._container: OutputContainer = av.open(str(path), "w")
        self._stream: Any = self._container.add_stream("libx264", rate=rate, options={"preset": "veryfast"})
        # 4:2:0 has one colour sample for 2x2 pixels: an odd size gets one more row or column, repeated.
        self._extra = (size[0] % 2, size[1] % 2)
        self._stream.height, self._stream.width = size[0] + self._extra[0], size[1] + self._extra[1]
        self._stream.pix_fmt = "yuv420p"

    def add(self, picture: NDArray[np.uint8]) -> None:
        import av

        if any(self._extra):
            picture = np.pad(picture, ((0, self._extra[0]), (0, self._extra[1]), (0, 0)), mode="edge")
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))

    def finish(self) -> None:
        try:
            self._container.mux(self._stream.encode(None))
        except BaseException:
            self.abandon()
            raise
        self._container.close()

    def abandon(self) -> None:
        """Close after a failure. Nothing more is muxed: FFmpeg crashes on that where the header was not written."""
        with suppress(OSError):
            self._container.close()
