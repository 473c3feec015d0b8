"""Pictures with the transparency that a video carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mediaref.video_decoder.container import import_av
from mediaref.video_decoder.native import NativePixels
from mediaref.video_decoder.orientation import Orientation

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


class AlphaPixels(NativePixels):
    """Makes uint8 arrays `(H, W, 4)`, RGBA, of pictures in a pixel format that has alpha, turned for display."""

    def __call__(self, picture: VideoFrame, orientation: Orientation, name: str) -> NDArray[Any]:
        """The picture's colours and its alpha, not multiplied with each other."""
        return np.array(orientation.apply(picture.to_ndarray(format="rgba")), order="C")


def has_alpha(pixel_format: str | None) -> bool:
    """Whether a pixel format of FFmpeg, by its name, has an alpha channel."""
    return bool(pixel_format) and any(part.is_alpha for part in import_av().VideoFormat(pixel_format).components)
