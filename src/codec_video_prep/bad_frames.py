"""Frames that show nothing: black, flat, or green from a decoder's failure. No block is selected from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LUMA = np.array([0.299, 0.587, 0.114])
LEVELS = np.arange(256)

BLACK_MEAN, BLACK_STD = 8.0, 6.0
FLAT_STD, FLAT_RANGE = 4.0, 12
GREEN_SHARE, GREEN_LOW, GREEN_HIGH = 0.35, 90, 180
GREEN_MEAN, GREEN_LEAD, GREEN_STD = 120.0, 80.0, 50.0


def is_bad(frame: NDArray[np.uint8]) -> bool:
    """Whether the prepared RGB frame `[height, width, 3]` is near-black, flat or corrupted green."""
    counts = np.array(Image.fromarray(frame).histogram()).reshape(3, 256)  # says nearly all, in one quick pass
    pixels = frame.shape[0] * frame.shape[1]
    means = counts @ LEVELS / pixels
    stds = np.sqrt(np.maximum(counts @ LEVELS**2 / pixels - means**2, 0.0))
    return _is_black(frame, means) or _is_flat(counts, stds) or _is_green(frame, counts / pixels, means, stds)


def _is_black(frame: NDArray[np.uint8], means: NDArray[np.float64]) -> bool:
    if LUMA @ means > BLACK_MEAN:
        return False
    return float((frame @ LUMA).std()) <= BLACK_STD


def _is_flat(counts: NDArray[np.int64], stds: NDArray[np.float64]) -> bool:
    # Luma is a mean of the channels, so where no channel deviates by more than the limit, luma does not either.
    ranges = [int(np.ptp(np.flatnonzero(channel))) for channel in counts]
    return bool(stds.max() <= FLAT_STD) and max(ranges) <= FLAT_RANGE


def _is_green(
    frame: NDArray[np.uint8], shares: NDArray[np.float64], means: NDArray[np.float64], stds: NDArray[np.float64]
) -> bool:
    red, green, blue = means
    if green > GREEN_MEAN and green > max(red, blue) + GREEN_LEAD and stds[1] < GREEN_STD:
        return True
    low_red, low_blue = shares[0, : GREEN_LOW + 1].sum(), shares[2, : GREEN_LOW + 1].sum()
    if min(shares[1, GREEN_HIGH:].sum(), low_red, low_blue) < GREEN_SHARE - 1e-9:
        return False
    pixels = (frame[..., 1] >= GREEN_HIGH) & (frame[..., 0] <= GREEN_LOW) & (frame[..., 2] <= GREEN_LOW)
    return bool(pixels.mean() >= GREEN_SHARE)
