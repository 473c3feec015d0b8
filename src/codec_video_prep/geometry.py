"""How large a prepared frame is, and where its pixels come from in the displayed picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codec_video_prep.config import MIN_PIXELS, OptionError, PreinferConfig
from mediaref.storage import shorten

MAX_ASPECT = 200


@dataclass(frozen=True)
class Geometry:
    """Sizes in pixels, as (height, width)."""

    source: tuple[int, int]
    """The displayed picture."""
    resized: tuple[int, int]
    """The picture after scaling, at the top left of the prepared frame."""
    padded: tuple[int, int]
    """The prepared frame: whole blocks; zeros to the right of and below the picture."""
    patch: int
    block_size: int

    @property
    def patches(self) -> tuple[int, int]:
        """Rows and columns of patches in a prepared frame."""
        return self.padded[0] // self.patch, self.padded[1] // self.patch

    @property
    def blocks(self) -> tuple[int, int]:
        """Rows and columns of blocks in a prepared frame."""
        return self.patches[0] // self.block_size, self.patches[1] // self.block_size

    @property
    def block_count(self) -> int:
        return self.blocks[0] * self.blocks[1]

    @property
    def block_pixels(self) -> int:
        """Side of a block in pixels."""
        return self.patch * self.block_size

    def pad(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The prepared frame `[padded height, padded width, 3]` of a scaled picture; no copy without padding."""
        if self.padded == self.resized:
            return picture
        frame = np.zeros((*self.padded, 3), np.uint8)
        frame[: self.resized[0], : self.resized[1]] = picture
        return frame


def resolve_geometry(height: int, width: int, config: PreinferConfig) -> Geometry:
    """The prepared size of a displayed picture of `height` * `width` pixels.

    Raises:
        OptionError: (a `ValueError`) the picture is more than 200 times as long as it is wide.
    """
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise OptionError(
            f"{shorten(config.video)}: a picture of {width}x{height} is too long; at most {MAX_ASPECT} to 1 is taken"
        )
    factor = config.factor
    if config.no_resize:
        resized = (height, width)
        padded = (math.ceil(height / factor) * factor, math.ceil(width / factor) * factor)
    else:
        resized = padded = _scaled(height, width, config)
    return Geometry((height, width), resized, padded, config.patch, config.block_size)


def _scaled(height: int, width: int, config: PreinferConfig) -> tuple[int, int]:
    """Whole multiples of the block, as near to the picture's size and shape as the limits let them be."""
    factor = config.factor
    if not config.max_pixels:
        scale = min(1.0, config.max_dim / max(height, width))
        return _nearest(height * scale, factor), _nearest(width * scale, factor)
    near = _nearest(height, factor), _nearest(width, factor)
    area = near[0] * near[1]
    if area > config.max_pixels:
        shrink = math.sqrt(height * width / config.max_pixels)
        return max(factor, int(height / shrink) // factor * factor), max(factor, int(width / shrink) // factor * factor)
    if area < MIN_PIXELS:
        grow = math.sqrt(MIN_PIXELS / (height * width))
        return math.ceil(height * grow / factor) * factor, math.ceil(width * grow / factor) * factor
    return near


def _nearest(length: float, factor: int) -> int:
    return max(factor, round(length / factor) * factor)
