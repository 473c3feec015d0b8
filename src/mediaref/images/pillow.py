"""Image bytes to arrays and back, with Pillow."""

from __future__ import annotations

import io
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mediaref import limits
from mediaref.errors import (
    CorruptMediaError,
    InvalidReferenceError,
    LimitExceededError,
    MediaRefError,
    UnsupportedBitstreamError,
)
from mediaref.images.deep import colour_samples, gray_samples, is_deep
from mediaref.images.jpeg_scans import has_more_scans

PixelFormat = Literal["rgb", "bgr", "rgba", "bgra", "gray"]

_FORMATS = ("rgb", "bgr", "rgba", "bgra", "gray")
_SIXTEEN_BIT_MODES = {"I;16", "I;16L", "I;16B", "I;16N", "I"}
_LOSSY = {"jpeg", "webp", "avif"}
_WITHOUT_ALPHA = {"jpeg", "bmp"}
_ENCODERS = ("png", "jpeg", "bmp", "webp", "gif", "tiff", "avif")


def check_format(format: str) -> PixelFormat:
    """`format` itself if it is one that arrays can have. Raises `InvalidReferenceError`."""
    if format not in _FORMATS:
        raise InvalidReferenceError(f"Unsupported format: {format!r}; choose one of {', '.join(_FORMATS)}")
    return cast(PixelFormat, format)


def decode(data: bytes, format: str = "rgb", output_dtype: str = "uint8") -> NDArray[Any]:
    """Decode an image: uint8 `(H, W, 3)` for rgb and bgr, `(H, W, 4)` for rgba and bgra, `(H, W)` for gray.

    EXIF orientation is applied, the first frame of an animation taken, 16 bits reduced to 8 by their high byte, or
    kept as uint16 if `output_dtype` is `auto`; alpha is kept for rgba and bgra, and dropped (not blended) for the
    others.
    Raises `InvalidReferenceError`, `CorruptMediaError`, `LimitExceededError` or `UnsupportedBitstreamError`, and for
    `auto` on coloured images `MissingDependencyError`: it takes PyAV to read them.
    """
    wanted = check_format(format)
    with _errors_of_ours():
        image = read_header(data)
        if output_dtype != "auto" or not is_deep(image):
            return from_rgb(np.array(_rgb(_upright(image))), wanted)  # a copy: Pillow's own memory is read-only
        if image.mode in _SIXTEEN_BIT_MODES:
            return from_rgb(np.repeat(gray_samples(_upright(image))[..., None], 3, axis=2), wanted)
        return from_rgb(colour_samples(image, data), wanted)


def decode_pil(data: bytes, format: str | None = None) -> Image.Image:
    """Decode an image for Pillow: RGBA if it has transparency and RGB otherwise, or as `format` (rgb, rgba, gray)."""
    if format is None:
        with _errors_of_ours():
            return _rgb(_upright(read_header(data)))
    return to_pil(decode(data, check_pil_format(format)), format)


def check_pil_format(format: str) -> PixelFormat:
    """`format` itself if Pillow knows that order of channels. Raises `InvalidReferenceError`."""
    if check_format(format) in {"bgr", "bgra"}:
        raise InvalidReferenceError(f"Unsupported format: {format!r}; a Pillow image is rgb, rgba or gray")
    return cast(PixelFormat, format)


def to_pil(pixels: NDArray[Any], format: str) -> Image.Image:
    """A Pillow image of an array in `format` `rgb`, `rgba` or `gray`. Raises `InvalidReferenceError`."""
    check_pil_format(format)
    if pixels.dtype != np.uint8:
        raise InvalidReferenceError(f"a Pillow image requires uint8 output, not {pixels.dtype}")
    return Image.fromarray(np.ascontiguousarray(pixels))


def from_rgb(pixels: NDArray[Any], format: PixelFormat) -> NDArray[Any]:
    """Rearrange `(H, W, 3)` RGB or `(H, W, 4)` RGBA into `format`; a missing alpha is opaque.

    Samples are uint8 or uint16; for rgb and bgr they may be of any kind.
    """
    if format == "gray":
        return _gray(pixels)
    if format in {"rgb", "bgr"}:
        kept = pixels[..., :3]
        return np.ascontiguousarray(kept if format == "rgb" else kept[..., ::-1])
    result = np.full((*pixels.shape[:2], 4), np.iinfo(pixels.dtype).max, pixels.dtype)
    result[..., : pixels.shape[2]] = pixels
    return result if format == "rgba" else np.ascontiguousarray(result[..., [2, 1, 0, 3]])


def check_encoder(format: str) -> str:
    """The name of the image format to encode in: `jpeg` for `JPG`. Raises `InvalidReferenceError`."""
    name = str(format).lower()
    name = {"jpg": "jpeg", "tif": "tiff"}.get(name, name)
    if name not in _ENCODERS:
        raise InvalidReferenceError(f"Unsupported format: {format!r}; choose one of {', '.join(_ENCODERS)}")
    return name


def encode(
    image: NDArray[np.uint8] | Image.Image, format: str, quality: int | None = None, input_format: str = "rgb"
) -> bytes:
    """Encode an array or a Pillow image; see `DataURI.from_image` for the arguments. Raises `InvalidReferenceError`."""
    name = check_encoder(format)
    quality = 85 if quality is None else operator.index(quality)
    if not 1 <= quality <= 100:
        raise InvalidReferenceError(f"quality is {quality}; it must be from 1 to 100")
    picture = ImageOps.exif_transpose(image) if isinstance(image, Image.Image) else _picture(image, input_format)
    if picture.mode not in {"L", "RGB", "RGBA"}:
        picture = _rgb(picture)
    if name in _WITHOUT_ALPHA and picture.mode == "RGBA":
        picture = picture.convert("RGB")
    options: dict[str, Any] = {"quality": quality} if name in _LOSSY else {}
    buffer = io.BytesIO()
    picture.save(buffer, format=name, **options)
    return buffer.getvalue()


def _picture(array: NDArray[np.uint8], input_format: str) -> Image.Image:
    array = np.asarray(array)
    if array.dtype != np.uint8:
        raise InvalidReferenceError(f"the image array is {array.dtype}; it must be uint8 (0 to 255)")
    if array.size == 0:
        raise InvalidReferenceError(f"the image array {array.shape} is empty")
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 and array.shape[2] > 1 else 0
    allowed = {1: ("gray",), 3: ("rgb", "bgr"), 4: ("rgb", "bgr", "rgba", "bgra")}.get(channels, ())
    if input_format not in allowed:
        raise InvalidReferenceError(f"Invalid input_format {input_format!r} for {channels}-channel array {array.shape}")
    if input_format.startswith("bgr"):
        array = array[..., [2, 1, 0, 3][:channels]]
    return Image.fromarray(np.ascontiguousarray(array))


def read_header(data: bytes) -> Image.Image:
    """An image of which only the header has been read. Raises `LimitExceededError`, or what Pillow raises."""
    if not data:
        raise CorruptMediaError("the image is empty")
    try:
        image = _identified(data, Image.preinit)
    except UnidentifiedImageError:
        image = _identified(data, Image.init)  # to import the rarer formats takes a while
    _check_size(image)
    if image.format in {"JPEG", "MPO"} and has_more_scans(data, limits.MAX_JPEG_SCANS):
        raise LimitExceededError(f"the image has scans over mediaref.limits.MAX_JPEG_SCANS ({limits.MAX_JPEG_SCANS})")
    return image


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > limits.MAX_IMAGE_PIXELS:
        raise LimitExceededError(
            f"an image of {image.width}x{image.height} pixels is over "
            f"mediaref.limits.MAX_IMAGE_PIXELS ({limits.MAX_IMAGE_PIXELS})"
        )


def _identified(data: bytes, import_formats: Callable[[], object]) -> Image.Image:
    import_formats()
    return Image.open(io.BytesIO(data), formats=[name for name in Image.OPEN if name in limits.IMAGE_FORMATS])


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    _check_size(image)  # an icon may hold a larger picture than it says
    return ImageOps.exif_transpose(image)


def _rgb(image: Image.Image) -> Image.Image:
    """RGBA if the image has transparency, else RGB."""
    if image.mode == "F":
        raise UnsupportedBitstreamError("an image of floating-point samples has no 8-bit form")
    if image.mode in _SIXTEEN_BIT_MODES:
        image = Image.fromarray((gray_samples(image) >> 8).astype(np.uint8))
    if image.mode == "LAB":
        raise UnsupportedBitstreamError("an image in the colours LAB is not converted to RGB")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


@contextmanager
def _errors_of_ours() -> Iterator[None]:
    try:
        yield
    except (MediaRefError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise CorruptMediaError(
            "not an image in one of mediaref.limits.IMAGE_FORMATS (is it a video? then it needs a pts_ns)"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise LimitExceededError(f"{error} See PIL.Image.MAX_IMAGE_PIXELS, Pillow's own limit") from None
    except Exception as error:  # Pillow's plugins raise what the damage led them to
        raise CorruptMediaError(f"the image is damaged: {error}") from error


def _gray(pixels: NDArray[Any]) -> NDArray[Any]:
    # BT.601 weights in 14-bit fixed point, rounded to nearest: they add up to 1 << 14, so grey stays what it was.
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    return ((red * 4899 + green * 9617 + blue * 1868 + (1 << 13)) >> 14).astype(pixels.dtype)
