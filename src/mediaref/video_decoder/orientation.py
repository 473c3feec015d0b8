"""How a decoded picture is turned for display, from the display matrix of its container."""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_log = logging.getLogger("mediaref")
_Element = TypeVar("_Element", bound=np.generic)


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to lay a picture down: transpose first, then mirror. Applies to pixels and maps alike."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @classmethod
    def from_display_matrix(cls, matrix: bytes | memoryview) -> Orientation:
        """Read the 3x3 matrix of 32-bit integers that FFmpeg attaches to frames; turns other than by 90 are ignored."""
        a, b, _, c, d = struct.unpack_from("=5i", matrix)
        # A point (x, y) of the picture is shown at (a*x + c*y, b*x + d*y).
        if a and d and not b and not c:
            return cls(False, flip_rows=d < 0, flip_columns=a < 0)
        if b and c and not a and not d:
            return cls(True, flip_rows=b < 0, flip_columns=c < 0)
        _log.warning("the display matrix %s is no turn by quarters; the picture is given as it is stored", (a, b, c, d))
        return cls()

    def apply(self, array: NDArray[_Element]) -> NDArray[_Element]:
        """`array[rows, columns, ...]` turned for display: a view where it can be, so copy it if you keep it."""
        if self.transpose:
            array = array.swapaxes(0, 1)
        return array[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def apply_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after turning."""
        return (height, width) if self.transpose else (width, height)
