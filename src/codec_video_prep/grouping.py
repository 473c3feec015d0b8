"""Where one group of frames ends and the next begins.

A group becomes one anchor frame, kept whole, and a budget of blocks from its other frames. `Grouper` is given the
frames one at a time and says when a group is complete, so that no more frames need to be in memory than the group
that is growing has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codec_video_prep.config import MIN_GROUP_FRAMES, PreinferConfig
from codec_video_prep.scoring import Scores
from codec_video_prep.selection import Selection

BITS_PER_PIXEL_LIMITS = (0.015, 0.09)
"""Bits per pixel per frame are clamped to this range before they scale a threshold."""


@dataclass(frozen=True)
class Group:
    """One finished group of the sampled frames `start` to `end` (excluded)."""

    index: int
    start: int
    end: int
    anchor: int
    """Place in the group of the frame that is kept whole: the first one that is not bad."""
    stop_reason: str
    selection: Selection

    @property
    def frame_count(self) -> int:
        return self.end - self.start


class Grouper:
    """Cuts the sampled frames into groups as they come.

    Args:
        config: The options of grouping.
        budget: Blocks to keep of a group besides its anchor.
        threshold: Sum of kept scores at which a group is ready (`grouping_mode="readiness"`).
    """

    def __init__(self, config: PreinferConfig, budget: int, threshold: float) -> None:
        self._budget = budget
        self._threshold = threshold
        self._fixed = config.grouping_mode == "fixed"
        self._bins = config.readiness_coverage_bins
        self._bins_wanted = min(self._bins, config.images_per_group - 1)
        self._least_gain = config.readiness_delta_ratio
        self.shortest, self.longest = (MIN_GROUP_FRAMES, config.group_size) if self._fixed else readiness_limits(config)
        self._finished = 0
        self._start = 0
        self._begin()

    def _begin(self) -> None:
        self._length = 0
        self._anchor: int | None = None
        self._selection = Selection(self._budget)
        self._gain = math.inf

    def add(self, scores: Scores, good: bool) -> Group | None:
        """Take the next frame with its block scores; the group that it completes, if it does."""
        place, self._length = self._length, self._length + 1
        before = self._selection.total
        if good and self._anchor is None:
            self._anchor = place
        elif good:
            self._selection.offer(place, scores)
        if self._length > self.shortest:
            self._gain = (self._selection.total - before) / before if before > 0 else 0.0
        reason = self._reason_to_stop()
        return self._finish(reason) if reason else None

    def flush(self) -> Group | None:
        """The last group, which the end of the frames completes; None where too few frames are left for one."""
        if self._length < self.shortest:
            return None
        if self._fixed:
            return self._finish("fixed_group_size")
        return self._finish("readiness_threshold" if self._is_ready() else "tail_flush")

    def _reason_to_stop(self) -> str | None:
        if self._fixed:
            return "fixed_group_size" if self._length == self.longest else None
        if self._length < self.shortest:
            return None
        ready = self._is_ready()
        if ready and self._gain < self._least_gain:
            return "readiness_threshold_low_gain"
        if self._length == self.longest:
            return "readiness_threshold" if ready else "max_group_frames"
        return None

    def _is_ready(self) -> bool:
        covered = self._selection.time_bins(self._length, self._bins)
        return self._selection.total >= self._threshold and covered >= self._bins_wanted

    def _finish(self, reason: str) -> Group:
        end = self._start + self._length
        group = Group(self._finished, self._start, end, self._anchor or 0, reason, self._selection)
        self._finished, self._start = self._finished + 1, end
        self._begin()
        return group


def readiness_limits(config: PreinferConfig) -> tuple[int, int]:
    """The shortest and the longest readiness group, in frames."""
    return max(MIN_GROUP_FRAMES, config.min_group_frames), max(MIN_GROUP_FRAMES, config.max_group_frames)


def clamp_bits_per_pixel(bits_per_pixel: float) -> float:
    """Bits per pixel per frame within `BITS_PER_PIXEL_LIMITS`."""
    low, high = BITS_PER_PIXEL_LIMITS
    return min(max(bits_per_pixel, low), high)


def readiness_threshold(config: PreinferConfig, scores: Sequence[Scores], budget: int, bits_per_pixel: float) -> float:
    """The sum of kept scores at which a group is ready; 0 for fixed groups, which never wait for it.

    Args:
        config: The options of grouping.
        scores: Block scores of each sampled frame.
        budget: Blocks to keep of a group.
        bits_per_pixel: Bits per pixel per frame of the video, from `clamp_bits_per_pixel`.
    """
    if config.grouping_mode == "fixed":
        return 0.0
    mode = config.readiness_sum_threshold_mode
    if mode == "clamped_sqrt_bpppf":
        return config.readiness_norm_sum_threshold * math.sqrt(bits_per_pixel)
    if mode == "fixed" or (mode == "legacy" and config.readiness_sum_threshold > 0):
        return config.readiness_sum_threshold
    return _estimate_threshold(scores, config.group_size, budget, config.readiness_coverage_bins)


def _estimate_threshold(scores: Sequence[Scores], window: int, budget: int, bins: int) -> float:
    """What a group of `window` frames reaches on average in this video."""
    sums = []
    for start in range(0, len(scores), window):
        frames = scores[start : start + window]
        if len(frames) >= max(MIN_GROUP_FRAMES, bins + 1):
            blocks = np.sort(np.concatenate([frame.ravel() for frame in frames[1:]]))
            sums.append(float(blocks[max(0, len(blocks) - budget) :].sum()))
    return float(np.mean(sums)) if sums else 0.0
