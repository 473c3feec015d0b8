"""The image decoders by name: which library turns the bytes of an image into pixels."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from mediaref import images
from mediaref.errors import CorruptMediaError, InvalidReferenceError, MissingDependencyError

#: Bytes of an image file and a format to an array.
ImageDecoder = Callable[[bytes, images.PixelFormat], NDArray[Any]]

#: `pillow` where a call names none.
IMAGE_DECODERS = ("pillow", "torchcodec", "tensorcodec")


def find_image_decoder(name: str | None, options: Mapping[str, Any] | None) -> ImageDecoder:
    """The image decoder `name`, set up with `options` (a call's `image_decoder_options`).

    `output_dtype` is the one option: `"uint8"`, or `"auto"` to keep the 16 bits of an image that has them, in uint16.
    Raises `InvalidReferenceError` for what it does not know and `MissingDependencyError`.
    """
    name = name or "pillow"
    if name not in IMAGE_DECODERS:
        raise InvalidReferenceError(f"Unknown image decoder: {name!r}; choose one of {', '.join(IMAGE_DECODERS)}")
    for option in options or {}:
        if option != "output_dtype":
            hint = "; the format is that of the call" if option == "mode" else "; it has output_dtype"
            raise InvalidReferenceError(f"the image decoder {name} has no option {option!r}{hint}")
    dtype = (options or {}).get("output_dtype", "uint8")
    dtype = dtype if dtype == "auto" else np.dtype(getattr(dtype, "name", None) or str(dtype).rpartition(".")[2]).name
    if dtype not in {"uint8", "auto"}:
        raise InvalidReferenceError(f"output_dtype is {dtype!r}; choose uint8 or auto")
    if name == "pillow":
        return images.decode if dtype == "uint8" else partial(images.decode, output_dtype=dtype)
    try:
        library = importlib.import_module(f"{name}.decoders")
    except (ImportError, RuntimeError, OSError) as error:
        raise MissingDependencyError(f"image_decoder={name!r} needs that package: pip install {name}") from error
    return partial(_decode, library, dtype)


def _decode(library: ModuleType, dtype: str, data: bytes, format: images.PixelFormat) -> NDArray[Any]:
    """Decode by the function `decode_image` that torchcodec and tensorcodec have alike."""
    arrays = importlib.import_module("torch" if library.__name__.startswith("torchcodec") else "numpy")
    output_dtype = "auto" if dtype == "auto" else arrays.uint8
    mode = "RGB_ALPHA" if format in {"rgba", "bgra"} else "RGB"
    with suppress(UnidentifiedImageError):  # HEIC, for one: then the library has to know what it can stand
        images.read_header(data)
    try:
        decoded = library.decode_image(data, mode=mode, output_dtype=output_dtype)
    except (RuntimeError, ValueError, TypeError) as error:
        raise CorruptMediaError(f"{library.__name__} cannot decode the image: {error}") from error
    samples = np.asarray(decoded.numpy() if hasattr(decoded, "numpy") else decoded)
    return images.from_rgb(np.moveaxis(samples.reshape(-1, *samples.shape[-3:])[0], 0, -1), format)
