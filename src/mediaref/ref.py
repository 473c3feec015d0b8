"""`MediaRef`: a picture, or one frame of a video, named by `(uri, pts_ns)`."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mediaref.data_uri import DataURI
from mediaref.errors import InvalidReferenceError
from mediaref.normal_form import normal_form
from mediaref.storage import StorageOptions, cut, join, locate, scheme_of, shorten

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from typing_extensions import Self

    from mediaref.bitcost import BitCost
    from mediaref.decoding import Options


class MediaRef(BaseModel):
    """Where a picture is: `uri` alone for an image, `uri` and `pts_ns` for the frame of a video on screen at that time.

    Nothing is read until pixels or bits are asked for, so a reference is cheap to make, to store and to send around.
    It is immutable and hashable; fields other than the two are dropped on input.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    uri: str = Field(description="A path, or a uri with the scheme file, data, http(s) or any that fsspec knows.")
    pts_ns: int | None = Field(default=None, description="Time of the frame in nanoseconds; None for an image.")

    @field_validator("uri", mode="before")
    @classmethod
    def _uri_as_text(cls, value: object) -> object:
        if isinstance(value, DataURI):
            return value.uri
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    # --- what kind of reference ---------------------------------------------------------------------------------

    @property
    def is_embedded(self) -> bool:
        """Whether the uri carries the data itself (`data:`)."""
        return scheme_of(self.uri) == "data"

    @property
    def is_video(self) -> bool:
        """Whether the reference points at a frame of a video: it has a `pts_ns`."""
        return self.pts_ns is not None

    @property
    def is_remote(self) -> bool:
        """Whether the uri is `http://` or `https://`."""
        return scheme_of(self.uri) in {"http", "https"}

    @property
    def is_cloud_uri(self) -> bool:
        """Whether the uri has a scheme other than `file` and `data`; `http` counts."""
        return scheme_of(self.uri) not in {"", "file", "data"}

    @property
    def is_relative_path(self) -> bool:
        """Whether the uri is a path that is not absolute."""
        return not scheme_of(self.uri) and not Path(self.uri).is_absolute()

    # --- reading ------------------------------------------------------------------------------------------------

    def to_ndarray(
        self,
        format: str = "rgb",
        *,
        decoder: str | None = None,
        decoder_options: Options | None = None,
        image_decoder: str | None = None,
        image_decoder_options: Options | None = None,
        tolerance_ns: int = 0,
        threads: int | None = None,
        storage_options: StorageOptions | None = None,
    ) -> NDArray[Any]:
        """The pixels: uint8 `(H, W, 3)` for `rgb` and `bgr`, `(H, W, 4)` for `rgba` and `bgra`, `(H, W)` for `gray`.

        EXIF orientation and a video's rotation are applied. `native` gives a video's samples as they are stored,
        where that is gray (uint8 or uint16), RGB or RGBA.

        `decoder` reads videos: `pyav` (the default), `torchcodec` or `tensorcodec`. All choose the same frame.
        `decoder_options` are `expected_pixel_format` for `native`, and for the latter two `device`,
        `num_ffmpeg_threads`, `transforms` and `output_dtype`. `image_decoder` reads images: `pillow` (the default),
        `torchcodec` or `tensorcodec`; of `image_decoder_options` there is `output_dtype="auto"`, which keeps 16-bit
        images as uint16.

        With a `tolerance_ns` the frame may be another one that is on screen at most so many nanoseconds from `pts_ns`:
        the one that is cheapest to decode. `mediaref.nearby` tells which that is.

        Raises `MediaNotFoundError` (a `FileNotFoundError`), `TimestampError` (no frame at that time),
        `InvalidReferenceError` (an unknown option, ...), other kinds of `MediaRefError` that are `ValueError`s, and
        `MissingDependencyError` (an `ImportError`).
        """
        from mediaref import batch
        from mediaref.arguments import tolerance
        from mediaref.decoding import Decoding

        decoding = Decoding.of(format, decoder, decoder_options, image_decoder, image_decoder_options)
        within = tolerance(tolerance_ns)
        return batch.load(self, decoding, tolerance_ns=within, threads=threads, storage_options=storage_options)

    def to_rgb_array(
        self, *, keep_av_open: bool = False, storage_options: StorageOptions | None = None
    ) -> NDArray[np.uint8]:
        """The pixels as uint8 `(H, W, 3)` RGB, as `to_ndarray("rgb")` gives them.

        `keep_av_open` is accepted for programs written for 0.3: what is known of a file is kept in any case, and no
        file is.
        """
        return self.to_ndarray("rgb", storage_options=storage_options)

    def to_pil_image(
        self,
        format: str = "rgb",
        *,
        decoder: str | None = None,
        decoder_options: Options | None = None,
        image_decoder: str | None = None,
        image_decoder_options: Options | None = None,
        keep_av_open: bool = False,
        storage_options: StorageOptions | None = None,
    ) -> Image:
        """The pixels as a Pillow image; `format` is `rgb`, `rgba` or `gray`. The rest is as for `to_ndarray`.

        `keep_av_open` is accepted as in `to_rgb_array`.
        """
        from mediaref import images

        pixels = self.to_ndarray(
            images.check_pil_format(format),
            decoder=decoder,
            decoder_options=decoder_options,
            image_decoder=image_decoder,
            image_decoder_options=image_decoder_options,
            storage_options=storage_options,
        )
        return images.to_pil(pixels, format)

    def to_bit_cost(self, *, storage_options: StorageOptions | None = None) -> BitCost:
        """The bits that the encoder spent on each block of the frame, from its own packet, without decoding.

        Raises as `to_ndarray`, and `UnsupportedBitstreamError` for codecs whose bits are not read.
        """
        from mediaref import batch

        return batch.load_bit_cost(self, storage_options=storage_options)

    # --- the uri itself -----------------------------------------------------------------------------------------

    def normalized(self) -> Self:
        """This reference with its uri in normal form: the case of scheme and host folded, needless escapes undone,
        dot segments removed. Embedded data stays verbatim.
        """
        uri = normal_form(self.uri)
        return self if uri == self.uri else self.model_copy(update={"uri": uri})

    def is_equivalent(self, other: MediaRef) -> bool:
        """Whether both name the same picture by the specification's section 4: the same `pts_ns`, and uris with the
        same normal form. (`==` compares the fields as they are written.)
        """
        return self.pts_ns == other.pts_ns and normal_form(self.uri) == normal_form(other.uri)

    def validate_uri(self, *, storage_options: StorageOptions | None = None) -> bool:
        """Whether the file exists (embedded data always does). Raises `MissingDependencyError` for a scheme that
        needs a package, and `StorageError` or `AccessDeniedError` where it cannot be found out.
        """
        return self.is_embedded or (bool(self.uri) and locate(self.uri, storage_options).exists())

    def resolve_relative_path(
        self,
        base_path: str | os.PathLike[str],
        on_unresolvable: Literal["error", "warn", "ignore"] = "warn",
    ) -> Self:
        """This reference with a relative path put under `base_path`: a folder, a `file:` uri or a cloud uri.

        Absolute paths and `file:` uris are returned as they are; so are embedded and cloud uris, after an error or
        a warning as `on_unresolvable` says. Raises `InvalidReferenceError` for a path that leads out of the base
        by `..`.
        """
        if on_unresolvable not in {"error", "warn", "ignore"}:
            raise InvalidReferenceError(f"on_unresolvable is {on_unresolvable!r}; choose error, warn or ignore")
        if self.is_relative_path:
            return self.model_copy(update={"uri": join(os.fspath(base_path), self.uri)})
        if self.is_embedded or self.is_cloud_uri:
            kind = "embedded" if self.is_embedded else "cloud"
            message = f"Cannot resolve unresolvable URI ({kind}): {shorten(self.uri)}"
            if on_unresolvable == "error":
                raise InvalidReferenceError(message)
            if on_unresolvable == "warn":
                warnings.warn(message, UserWarning, stacklevel=2)
        return self

    def _repr_html_(self) -> str:
        from mediaref import notebook

        return notebook.ref_html(self)

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, cut(self.uri) if name == "uri" else value
