"""Media carried in the reference itself: the `data:` URIs of RFC 2397."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import os
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, ConfigDict, model_validator

from mediaref import limits
from mediaref.errors import InvalidReferenceError, LimitExceededError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_DEFAULT_MIMETYPE = "text/plain"
#: Media types that not every Python knows.
_MIMETYPES = {
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".jp2": "image/jp2",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".webp": "image/webp",
}
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class DataURI(BaseModel):
    """The parts of a `data:` URI.

    `data` is the payload as it stands in the URI (base64 text, or percent-encoded text); `decoded_data` is what it
    means. `parameters` are those between the media type and the payload, `;charset=utf-8` for one, without `;base64`.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    mimetype: str
    is_base64: bool = True
    data: bytes
    parameters: tuple[str, ...] = ()

    def __setstate__(self, state: dict[Any, Any]) -> None:
        state["__dict__"].setdefault("parameters", ())  # pickles of 0.3 and 1.1 have none
        super().__setstate__(state)

    @model_validator(mode="after")
    def _payload_can_be_decoded(self) -> DataURI:
        _decode(self.data, self.is_base64)
        return self

    # --- making one ---------------------------------------------------------------------------------------------

    @classmethod
    def from_uri(cls, uri: str) -> DataURI:
        """Read a `data:` URI; scheme and `;base64` in any case, parameters kept, no media type meaning `text/plain`.

        Raises `InvalidReferenceError` (a `ValueError`) or `LimitExceededError`.
        """
        if not isinstance(uri, str):
            raise InvalidReferenceError(f"Invalid data URI: a {type(uri).__name__}, not a str")
        if len(uri) > limits.MAX_DATA_URI_LENGTH:
            raise LimitExceededError(
                f"a data URI of {len(uri)} characters is over "
                f"mediaref.limits.MAX_DATA_URI_LENGTH ({limits.MAX_DATA_URI_LENGTH})"
            )
        if uri[:5].lower() != "data:":
            raise InvalidReferenceError(f"Invalid data URI scheme: {uri[:20]!r} does not begin with 'data:'")
        comma = uri.find(",")
        if comma < 0:
            raise InvalidReferenceError("Invalid data URI format: no comma before the data")
        mimetype, *parameters = uri[5:comma].split(";")
        is_base64 = bool(parameters) and parameters[-1].strip().lower() == "base64"
        data = uri[comma + 1 :].encode("utf-8", "surrogatepass")
        _decode(data, is_base64)  # here for a message of one line: the model's own would be wrapped in pydantic's
        return cls(
            mimetype=mimetype.strip() or _DEFAULT_MIMETYPE,
            is_base64=is_base64,
            data=data,
            parameters=tuple(parameters[:-1] if is_base64 else parameters),
        )

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], format: str | None = None) -> DataURI:
        """The bytes of a file as they are; the media type is `image/<format>`, or follows from the file's name.

        Raises `MediaNotFoundError` (a `FileNotFoundError`), `AccessDeniedError`, `LimitExceededError`, and
        `CorruptMediaError` for a folder.
        """
        from mediaref.storage import Source
        from mediaref.storage.access import allowed_path

        content = Source(os.fspath(path), path=allowed_path(os.fspath(path))).read()
        mimetype = f"image/{format}" if format else _mimetype_of(os.fspath(path))
        return cls._of(mimetype, content)

    @classmethod
    def from_image(
        cls,
        image: NDArray[np.uint8] | Image,
        format: str = "png",
        quality: int | None = None,
        input_format: Literal["rgb", "bgr", "rgba", "bgra", "gray"] = "rgb",
    ) -> DataURI:
        """Encode an image: an array `(H, W, 3)`, `(H, W, 4)` or `(H, W)` of uint8, or a Pillow image.

        `format` is `png`, `jpeg`, `bmp`, `webp`, `gif`, `tiff` or `avif`; `quality` (1 to 100, 85 unless told) is
        for the lossy ones; `input_format` names the channels of an array. Raises `InvalidReferenceError`.
        """
        from mediaref import images

        encoder = images.check_encoder(format)
        return cls._of(f"image/{encoder}", images.encode(image, encoder, quality, input_format))

    @classmethod
    def _of(cls, mimetype: str, content: bytes) -> DataURI:
        return cls(mimetype=mimetype, is_base64=True, data=base64.b64encode(content))

    # --- what it says -------------------------------------------------------------------------------------------

    @property
    def decoded_data(self) -> bytes:
        """The payload's meaning: base64 and percent-encoding undone."""
        return _decode(self.data, self.is_base64)

    @property
    def is_image(self) -> bool:
        """Whether the media type begins with `image/`."""
        return self.mimetype.lower().startswith("image/")

    @property
    def uri(self) -> str:
        """The whole URI as one string."""
        parts = [self.mimetype, *self.parameters, *(["base64"] if self.is_base64 else [])]
        return f"data:{';'.join(parts)},{self.data.decode('ascii')}"

    def __str__(self) -> str:
        return self.uri

    def __len__(self) -> int:
        """Length of the whole URI in characters."""
        return len(self.uri)

    def to_ndarray(
        self,
        format: str = "rgb",
        *,
        image_decoder: str | None = None,
        image_decoder_options: Mapping[str, Any] | None = None,
    ) -> NDArray[Any]:
        """Decode the image: as `MediaRef.to_ndarray`. Raises `ValueError` if the media type is no image."""
        from mediaref.decoding import Decoding

        decoding = Decoding.of(format, image_decoder=image_decoder, image_decoder_options=image_decoder_options)
        return decoding.image(self._image_bytes())

    def to_rgb_array(self) -> NDArray[Any]:
        """The image as `(H, W, 3)` uint8 RGB, alpha dropped."""
        return self.to_ndarray("rgb")

    def to_pil_image(self, format: str | None = None) -> Image:
        """The image as Pillow gives it, EXIF orientation applied; `format` `rgb`, `rgba` or `gray` converts it.

        Without `format` the result is RGBA if the image has transparency and RGB otherwise.
        """
        from mediaref import images

        return images.decode_pil(self._image_bytes(), format)

    def _image_bytes(self) -> bytes:
        if not self.is_image:
            raise InvalidReferenceError(f"the data URI holds {self.mimetype!r}, not an image")
        return self.decoded_data


def _mimetype_of(path: str) -> str:
    known = _MIMETYPES.get(PurePath(path).suffix.lower())
    return known or mimetypes.guess_type(path)[0] or "application/octet-stream"


def _decode(data: bytes, is_base64: bool) -> bytes:
    if _BROKEN_ESCAPE.search(data):
        raise InvalidReferenceError("Invalid data URI: a '%' that begins no escape; write it as %25")
    if not data.isascii():
        raise InvalidReferenceError("Invalid data URI: unquoted characters outside ASCII; percent-encode them")
    plain = unquote_to_bytes(data)
    if not is_base64:
        return plain
    compact = b"".join(plain.split())
    compact += b"=" * (-len(compact) % 4)  # RFC 4648 lets an application leave the padding out
    url_safe = b"-" in compact or b"_" in compact
    try:
        return base64.b64decode(compact, altchars=b"-_" if url_safe else None, validate=True)
    except binascii.Error as error:
        raise InvalidReferenceError(f"Invalid data URI: its base64 is broken: {error}") from None
