"""Pictures with the transparency that a video carries."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mediaref.video_decoder.base import Decoded
from mediaref.video_decoder.container import import_av
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.native import NativePixels
from mediaref.video_decoder.orientation import Orientation
from mediaref.video_decoder.picture import ALPHA_DECODERS
from mediaref.video_decoder.pyav import frames_or_errors

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


def frames_with_alpha(
    index: VideoIndex, frames: Sequence[int], *, threads: int | None = None
) -> Generator[Decoded, None, None]:
    """As `frames_or_errors`, of a video that `has_alpha`: RGBA."""
    decoder = ALPHA_DECODERS.get(index.codec)
    if decoder is not None:
        # The alpha is a second stream beside the packets' bytes, and what its frames depend on is not in the headers:
        # every packet is fed, and where nothing comes of a start decoding begins earlier.
        index = index.with_headers()
        own = index.packet_of.copy()  # by it the cache tells that this is another index
        index = replace(index, packet_of=own, parser=None, is_directly_readable=False)
    return frames_or_errors(index, frames, threads=threads, native=AlphaPixels(decoder=decoder))
