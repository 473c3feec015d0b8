"""Bits as colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: From no bits to most: black, indigo, red, orange, pale yellow. Its lightness only ever rises.
_COLOURS = np.array([(0, 0, 0), (60, 20, 110), (190, 40, 60), (250, 140, 20), (255, 250, 190)], np.float64)


def heat_map(bits: NDArray[np.number]) -> NDArray[np.uint8]:
    """uint8 `(rows, cols, 3)` RGB of a map `[rows, cols]`: steps of brightness are steps of the logarithm."""
    level = np.log1p(bits)
    level = level / max(float(level.max(initial=0.0)), 1e-9)
    steps = np.linspace(0.0, 1.0, len(_COLOURS))
    colours = np.stack([np.interp(level, steps, channel) for channel in _COLOURS.T], axis=-1)
    result: NDArray[np.uint8] = np.rint(colours).astype(np.uint8)
    return result
