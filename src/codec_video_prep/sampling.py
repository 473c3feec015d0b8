"""Which frames of a video to look at. Frames are counted in display order; every answer is ascending."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.int64]

PEAK_BIN_SECONDS = 0.5
PEAKS_PER_SECOND = 1.0
MAX_PEAKS = 128
KEYFRAME_REACH = 4
"""How many frames a sample may move to get off a keyframe."""


def sample_uniformly(total: int, count: int) -> Frames:
    """`count` frames spread evenly from the first to the last of `total`; repeated where there are not enough."""
    return np.linspace(0, total - 1, count).astype(np.int64)


def sample_by_rate(starts: NDArray[np.float64], duration: float, rate: float) -> Frames:
    """The frames nearest to every 1/`rate` seconds.

    Args:
        starts: `[frames]`, seconds from the first frame's start to each frame's start, ascending.
        duration: Seconds from the first frame's start to the end of the last.
        rate: Samples a second.
    """
    count = max(1, math.ceil(round(duration * rate, 6)))
    return nearest_frames(starts, np.arange(count) / rate)


def sample_packet_peaks(
    starts: NDArray[np.float64], duration: float, packet_bytes: NDArray[np.int64], is_key: NDArray[np.bool_]
) -> Frames:
    """Frames in the middle of the half seconds on which the encoder spent most; empty without such packets.

    Args:
        starts: `[frames]`, seconds from the first frame's start to each frame's start, ascending.
        duration: Seconds from the first frame's start to the end of the last.
        packet_bytes: `[frames]`, size of each frame's packet.
        is_key: `[frames]`. Keyframes are left out, for their size says nothing of change.
    """
    between = ~is_key
    if not between.any():
        return np.empty(0, np.int64)
    bins = (starts / PEAK_BIN_SECONDS).astype(np.int64)
    count = int(bins[-1]) + 1
    energy = np.bincount(bins[between], weights=np.log1p(packet_bytes[between]), minlength=count)
    neighbours = np.convolve(np.ones(count), np.ones(3), "same")
    smooth = np.convolve(energy, np.ones(3), "same")[:count] / neighbours[:count] if count > 1 else energy
    peaks = min(MAX_PEAKS, max(1, round(duration * PEAKS_PER_SECOND)), count)
    highest = np.argsort(-smooth, kind="stable")[:peaks]
    return np.unique(nearest_frames(starts, (np.sort(highest) + 0.5) * PEAK_BIN_SECONDS))


def nearest_frames(starts: NDArray[np.float64], seconds: NDArray[np.floating]) -> Frames:
    """The frame that starts nearest to each time (half-way: the even one), the first and the last at the ends.

    The place between two frames is rounded to a millionth first, so that timestamps that were cut to whole
    nanoseconds do not decide a tie.
    """
    place = np.interp(seconds, starts, np.arange(len(starts)))
    nearest: Frames = np.rint(np.round(place, 6)).astype(np.int64)
    return nearest


def avoid_keyframes(samples: Frames, is_key: NDArray[np.bool_]) -> Frames:
    """Move samples off keyframes, whose bits tell of the whole picture instead of what changed.

    A sample on a keyframe moves to the nearest other frame within `KEYFRAME_REACH`, later ones first. Samples that
    fall together are replaced by frames without a sample: those nearest to one first, keyframes only at the end.
    The answer has no frame twice, so it is shorter than `samples` only where the video is.
    """
    kept = np.unique([_off_keyframe(int(frame), is_key) for frame in samples]).astype(np.int64)
    missing = min(len(samples), len(is_key)) - len(kept)
    if missing <= 0:
        return kept
    unused = np.setdiff1d(np.arange(len(is_key)), kept)
    after = np.searchsorted(kept, unused)
    gap_left = np.where(after > 0, unused - kept[after - 1], len(is_key))
    gap_right = np.where(after < len(kept), kept[np.minimum(after, len(kept) - 1)] - unused, len(is_key))
    from_middle = np.abs(2 * unused - (len(is_key) - 1))
    order = np.lexsort((unused, from_middle, np.minimum(gap_left, gap_right), is_key[unused]))
    return np.sort(np.concatenate([kept, unused[order[:missing]]]))


def _off_keyframe(frame: int, is_key: NDArray[np.bool_]) -> int:
    if not is_key[frame]:
        return frame
    for distance in range(1, KEYFRAME_REACH + 1):
        for other in (frame + distance, frame - distance):
            if 0 <= other < len(is_key) and not is_key[other]:
                return other
    return frame
