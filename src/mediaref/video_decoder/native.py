"""Pictures as arrays of the very samples that the decoder gives, without a conversion of colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import InvalidReferenceError, UnsupportedBitstreamError
from mediaref.video_decoder.orientation import Orientation

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

#: What can be given as it is: one plane of whole samples. Its samples in the file, and how many a pixel has.
_FORMATS = {
    "gray": ("u1", 1),
    "gray12le": ("<u2", 1),
    "gray16le": ("<u2", 1),
    "gray16be": (">u2", 1),
    "rgb24": ("u1", 3),
    "rgba": ("u1", 4),
}


@dataclass(frozen=True)
class NativePixels:
    """Makes uint8 or uint16 arrays `(H, W)` or `(H, W, channels)` of gray, RGB and RGBA pictures, turned for display.

    Where `expected` names a pixel format of FFmpeg, pictures in another one are refused.
    """

    expected: str | None = None
    #: FFmpeg's name of the decoder that gives such pictures; None: the one that it prefers for the codec.
    decoder: str | None = None

    def __call__(self, picture: VideoFrame, orientation: Orientation, name: str) -> NDArray[Any]:
        """The samples of `picture`. Raises `UnsupportedBitstreamError` and `InvalidReferenceError`."""
        given = picture.format.name
        if self.expected not in {None, given}:
            raise InvalidReferenceError(f"{name}: Expected pixel format {self.expected}, but its frames are {given}")
        if given not in _FORMATS:
            raise UnsupportedBitstreamError(
                f"{name}: native output does not support pixel format {given}, only {', '.join(_FORMATS)}; "
                "ask for another format, such as rgb"
            )
        sample, channels = _FORMATS[given]
        plane: Any = picture.planes[0]
        samples = np.frombuffer(plane, np.uint8).view(sample).reshape(picture.height, -1)
        pixels = samples[:, : picture.width * channels].reshape(picture.height, picture.width, channels)
        pixels = orientation.apply(pixels if channels > 1 else pixels[..., 0])
        return np.array(pixels, np.dtype(sample).newbyteorder("="), order="C")  # the decoder takes its memory back
