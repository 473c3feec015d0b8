"""Frames that show nothing: black, flat, or green from a decoder's failure. No block is selected from them.

Nearly every frame is sound, and its means and ranges already say so; only the rest is looked at more closely.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114])

BLACK_MEAN, BLACK_STD = 8.0, 6.0
FLAT_STD, FLAT_RANGE = 4.0, 12
GREEN_SHARE, GREEN_LOW, GREEN_HIGH = 0.35, 90, 180
GREEN_MEAN, GREEN_LEAD, GREEN_STD = 120.0, 80.0, 50.0

#: Every so many rows are looked at first: a frame that is not flat hardly looks so in them.
_GLANCE = 8

Channels = NDArray[np.float64]


def is_bad(frame: NDArray[np.uint8]) -> bool:
    """Whether the prepared RGB frame `[height, width, 3]` is near-black, flat or corrupted green."""
    means = _sums(_lines(frame)) / (frame.shape[0] * frame.shape[1])
    return _is_black(frame, means) or _is_flat(frame) or _is_green(frame, means)


def _lines(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`[height, width * 3]`: numpy is many times faster down such columns than on channels apart."""
    return frame.reshape(frame.shape[0], -1)


def _sums(lines: NDArray[np.uint8]) -> Channels:
    """Each channel's sum."""
    return _added(lines, np.uint16, 256)


def _counts(lines: NDArray[np.bool_]) -> Channels:
    """How often each channel is true."""
    return _added(lines.view(np.uint8), np.uint8, 255)


def _added(lines: NDArray[np.uint8], small: type[np.unsignedinteger[Any]], rows_at_once: int) -> Channels:
    """Added up in a `small` type, which numpy is quick at, as many rows as surely fit into it."""
    columns = np.zeros(lines.shape[1], np.uint64)
    for top in range(0, len(lines), rows_at_once):
        columns += np.add.reduce(lines[top : top + rows_at_once], axis=0, dtype=small)
    return np.asarray(columns.reshape(-1, 3).sum(axis=0), np.float64)


def _is_black(frame: NDArray[np.uint8], means: Channels) -> bool:
    return float(LUMA @ means) <= BLACK_MEAN and float((frame @ LUMA).std()) <= BLACK_STD


def _is_flat(frame: NDArray[np.uint8]) -> bool:
    lines = _lines(frame)
    if _range(lines[::_GLANCE]) > FLAT_RANGE or _range(lines) > FLAT_RANGE:
        return False
    # Luma is a mean of the channels: where no channel deviates by more than the limit, luma does not either.
    return float(frame.std(axis=(0, 1)).max()) <= FLAT_STD


def _range(lines: NDArray[np.uint8]) -> int:
    """The largest of the channels' ranges."""
    least, greatest = (columns.reshape(-1, 3) for columns in (lines.min(axis=0), lines.max(axis=0)))
    return int((greatest.max(axis=0) - least.min(axis=0)).max())


def _is_green(frame: NDArray[np.uint8], means: Channels) -> bool:
    red, green, blue = means
    if green > max(GREEN_MEAN, red + GREEN_LEAD, blue + GREEN_LEAD) and frame[..., 1].std() < GREEN_STD:
        return True
    least = GREEN_SHARE * frame.shape[0] * frame.shape[1]
    if green < GREEN_SHARE * GREEN_HIGH:
        return False
    lines = _lines(frame)
    # Not more pixels are green in all channels than in any one of them.
    bright = lines >= GREEN_HIGH
    if _counts(bright)[1] < least:
        return False
    dark = lines <= GREEN_LOW
    if _counts(dark)[[0, 2]].min() < least:
        return False
    dark, bright = dark.reshape(frame.shape), bright.reshape(frame.shape)
    return bool(np.count_nonzero(dark[..., 0] & bright[..., 1] & dark[..., 2]) >= least)
