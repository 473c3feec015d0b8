"""`Decoding`: how the pixels of a call are wanted, and which libraries make them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mediaref import images
from mediaref.errors import InvalidReferenceError, MediaRefError
from mediaref.images.decoders import ImageDecoder, find_image_decoder

if TYPE_CHECKING:
    from mediaref.storage.ranges import Ranges
    from mediaref.video_decoder.base import Decoded
    from mediaref.video_decoder.index import VideoIndex

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Decoding:
    """The arguments of `MediaRef.to_ndarray` that say how pixels are made. Make one with `Decoding.of`."""

    #: An order of channels that `images.from_rgb` knows, or `native`: a video's samples as they are stored.
    format: str
    decoder: str | None
    decoder_options: Options | None
    image_decoder: ImageDecoder

    @classmethod
    def of(
        cls,
        format: str = "rgb",
        decoder: str | None = None,
        decoder_options: Options | None = None,
        image_decoder: str | None = None,
        image_decoder_options: Options | None = None,
    ) -> Decoding:
        """Check the arguments that need no library; those of the video decoder are checked when a video is decoded.

        Raises `InvalidReferenceError` and, for an image decoder that is not installed, `MissingDependencyError`.
        """
        if format != "native":
            images.check_format(format)
        if decoder is not None:
            from mediaref.video_decoder.backends import check_backend

            check_backend(decoder)
        return cls(format, decoder, decoder_options, find_image_decoder(image_decoder, image_decoder_options))

    def image(self, data: bytes) -> NDArray[Any]:
        """The pixels of an image file."""
        if self.format == "native":
            raise InvalidReferenceError("native output is for frames of videos; ask for another format, such as rgb")
        return self.image_decoder(data, images.check_format(self.format))

    def frames(
        self,
        index: VideoIndex,
        frames: Sequence[int],
        *,
        threads: int | None = None,
        ranges: Ranges | None = None,
        are_kept: bool = False,
    ) -> Generator[Decoded, None, None]:
        """The pixels of some frames of a video, or their errors, each different one once, in display order.

        An error that ends all is that of each frame that is left. Where it `is_by_packets`, what `ranges` has of the
        file is not read again, and of frames that `are_kept` any number may be decoded ahead.
        """
        return _to_the_end(self._frames(index, frames, threads, ranges, are_kept), frames)

    def _frames(
        self, index: VideoIndex, frames: Sequence[int], threads: int | None, ranges: Ranges | None, are_kept: bool
    ) -> Generator[Decoded, None, None]:
        from mediaref.video_decoder.backends import find_backend

        if self._takes_alpha_from(index):
            from mediaref.video_decoder.alpha import frames_with_alpha

            return self._in_format(frames_with_alpha(index, frames, threads=threads))
        is_native = self.format == "native"
        backend = find_backend(self.decoder, self.decoder_options, "native" if is_native else "rgb")
        ours: dict[str, Any] = {"ranges": ranges, "are_kept": are_kept} if self.is_by_packets else {}
        decoded = backend(index, frames, threads=threads, **ours)
        return decoded if is_native else self._in_format(decoded)

    @property
    def is_by_packets(self) -> bool:
        """Whether packets are read where the index says, and changed files noticed; other libraries open the file."""
        return self.decoder in {None, "pyav"}

    def _takes_alpha_from(self, index: VideoIndex) -> bool:
        """The other libraries give no alpha, and images have it from their own decoders."""
        from mediaref.video_decoder.alpha import has_alpha

        is_wanted = self.format in {"rgba", "bgra"} and self.decoder in {None, "pyav"} and not self.decoder_options
        return is_wanted and has_alpha(index.pixel_format)

    def _in_format(self, decoded: Generator[Decoded, None, None]) -> Generator[Decoded, None, None]:
        wanted = images.check_format(self.format)
        with closing(decoded):
            for frame, pixels in decoded:
                if isinstance(pixels, MediaRefError):
                    yield frame, pixels
                elif pixels.dtype != np.uint8 and wanted not in {"rgb", "bgr"}:
                    yield frame, InvalidReferenceError(f"{wanted} requires uint8 output, not {pixels.dtype}")
                else:
                    yield frame, images.from_rgb(pixels, wanted)


def _to_the_end(decoded: Generator[Decoded, None, None], frames: Sequence[int]) -> Generator[Decoded, None, None]:
    left = dict.fromkeys(sorted(frames))
    with closing(decoded):
        try:
            for frame, pixels in decoded:
                del left[frame]
                yield frame, pixels
        except MediaRefError as error:
            yield from ((frame, error) for frame in left)
