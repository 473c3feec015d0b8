"""Images of 16 bits a sample, with all of them: Pillow keeps those of gray images only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mediaref.errors import CorruptMediaError, UnsupportedBitstreamError

#: FFmpeg's decoders of the formats that may have 16 bits, by Pillow's names.
_DECODERS = {"PNG": "png", "TIFF": "tiff"}
_CHANNELS = {"gray16": 1, "ya16": 2, "rgb48": 3, "rgba64": 4}
_EXIF_ORIENTATION = 0x0112
#: Whether an EXIF orientation transposes, and then mirrors rows and columns.
_TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def is_deep(image: Image.Image) -> bool:
    """Whether an image of which only the header was read has 16 bits a sample."""
    return any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))


def gray_samples(image: Image.Image) -> NDArray[np.uint16]:
    """uint16 `(H, W)`: the samples of a loaded gray image. Raises `UnsupportedBitstreamError`."""
    samples = np.asarray(image)
    if samples.min(initial=0) < 0 or samples.max(initial=0) > 0xFFFF:
        raise UnsupportedBitstreamError("an image of samples over 16 bits has no 8-bit form")
    return samples.astype(np.uint16)


def colour_samples(image: Image.Image, data: bytes) -> NDArray[np.uint16]:
    """uint16 `(H, W, 3)` RGB or `(H, W, 4)` RGBA of an image of which only the header was read, turned for display.

    FFmpeg's decoder gives them. Raises `MissingDependencyError`, `CorruptMediaError` and `UnsupportedBitstreamError`.
    """
    from mediaref.video_decoder.container import import_av, translated_errors
    from mediaref.video_decoder.orientation import Orientation
    from mediaref.video_decoder.padded_packet import padded_packet

    av = import_av()
    if image.format not in _DECODERS:
        raise UnsupportedBitstreamError(
            f"16 bits of {image.format} images are not read; only of {', '.join(_DECODERS)}"
        )
    turn = Orientation(*_TURNS.get(image.getexif().get(_EXIF_ORIENTATION, 1), ()))
    decoder = av.CodecContext.create(_DECODERS[image.format], "r")
    with translated_errors("the image"):
        pictures = decoder.decode(padded_packet(data)) + decoder.decode(None)
    if not pictures:
        raise CorruptMediaError("the image is damaged: it gives no picture")
    return np.ascontiguousarray(turn.apply(_as_colours(_samples(pictures[0]))))


def _samples(picture: Any) -> NDArray[np.uint16]:
    kind, order = picture.format.name[:-2], picture.format.name[-2:]
    if kind not in _CHANNELS:
        raise UnsupportedBitstreamError(f"an image with samples as {picture.format.name} is not read with all its bits")
    plane = picture.planes[0]
    rows = np.frombuffer(plane, "<u2" if order == "le" else ">u2").reshape(picture.height, plane.line_size // 2)
    channels = _CHANNELS[kind]
    pixels = rows[:, : picture.width * channels].reshape(picture.height, picture.width, channels)
    return pixels.astype(np.uint16)


def _as_colours(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    channels = pixels.shape[2]
    return pixels if channels > 2 else pixels[..., [0, 0, 0, 1] if channels == 2 else [0, 0, 0]]
