"""Frames that show nothing: black, flat, or green from a decoder's failure. No block is selected from them.

Nearly every frame is sound, and its means and ranges already say so; only the rest is looked at more closely.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114])

BLACK_MEAN, BLACK_STD = 8.0, 6.0
FLAT_STD, FLAT_RANGE = 4.0, 12
GREEN_SHARE, GREEN_LOW, GREEN_HIGH = 0.35, 90, 180
GREEN_MEAN, GREEN_LEAD, GREEN_STD = 120.0, 80.0, 50.0

Channels = NDArray[np.float64]


def is_bad(frame: NDArray[np.uint8]) -> bool:
    """Whether the prepared RGB frame `[height, width, 3]` is near-black, flat or corrupted green."""
    means = _by_channel(frame, np.add, np.dtype(np.uint32)) / (frame.shape[0] * frame.shape[1])
    return _is_black(frame, means) or _is_flat(frame) or _is_green(frame, means)


def _by_channel(frame: NDArray[np.uint8], reduce: np.ufunc, dtype: np.dtype[np.unsignedinteger]) -> Channels:
    """Each channel's sum, least or greatest value: down the columns first, where numpy is many times faster."""
    height, width, _ = frame.shape
    columns = reduce.reduce(frame.reshape(height, width * 3), axis=0, dtype=dtype)
    return np.asarray(reduce.reduce(columns.reshape(width, 3), axis=0), np.float64)


def _is_black(frame: NDArray[np.uint8], means: Channels) -> bool:
    return float(LUMA @ means) <= BLACK_MEAN and float((frame @ LUMA).std()) <= BLACK_STD


def _is_flat(frame: NDArray[np.uint8]) -> bool:
    least, greatest = (_by_channel(frame, reduce, np.dtype(np.uint8)) for reduce in (np.minimum, np.maximum))
    if (greatest - least).max() > FLAT_RANGE:
        return False
    # Luma is a mean of the channels: where no channel deviates by more than the limit, luma does not either.
    return float(frame.std(axis=(0, 1)).max()) <= FLAT_STD


def _is_green(frame: NDArray[np.uint8], means: Channels) -> bool:
    red, green, blue = means
    if green > max(GREEN_MEAN, red + GREEN_LEAD, blue + GREEN_LEAD) and frame[..., 1].std() < GREEN_STD:
        return True
    if green < GREEN_SHARE * GREEN_HIGH:
        return False
    least = GREEN_SHARE * frame.shape[0] * frame.shape[1]
    bright = (frame >= GREEN_HIGH).view(np.uint8)
    if _by_channel(bright, np.add, np.dtype(np.uint16))[1] < least:
        return False
    pure = (frame[..., 1] >= GREEN_HIGH) & (frame[..., 0] <= GREEN_LOW) & (frame[..., 2] <= GREEN_LOW)
    return bool(np.count_nonzero(pure) >= least)
