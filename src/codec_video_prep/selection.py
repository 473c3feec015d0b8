"""Which blocks of a group are kept: the ones with the highest scores, in an order that never depends on chance."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codec_video_prep.scoring import Scores

Places = NDArray[np.int64]


@dataclass
class Selection:
    """The `budget` best blocks among those offered; ties go to the earlier frame, then to raster order."""

    budget: int
    offered: int = 0
    """How many blocks there were to choose from."""
    scores: Scores = field(default_factory=lambda: np.empty(0))
    """`[kept]`, ordered by frame, then in raster order, as `frames` and `blocks` are."""
    frames: Places = field(default_factory=lambda: np.empty(0, np.int64))
    """`[kept]`: place of each block's frame in the group."""
    blocks: Places = field(default_factory=lambda: np.empty(0, np.int64))
    """`[kept]`: place of each block in its frame, in raster order."""

    def offer(self, frame: int, scores: Scores) -> None:
        """Add all blocks `[block rows, block columns]` of the frame at this place; frames come in ascending order."""
        flat = scores.ravel()
        self.offered += flat.size
        blocks = np.arange(flat.size)
        if len(self.scores) == self.budget:  # most blocks are out at once: an equal score is not enough to come in
            blocks = np.flatnonzero(flat > self.scores.min(initial=np.inf))
        everything = np.concatenate([self.scores, flat[blocks]])
        kept = np.sort(np.argsort(-everything, kind="stable")[: self.budget])
        self.scores = everything[kept]
        self.frames = np.concatenate([self.frames, np.full(len(blocks), frame)])[kept]
        self.blocks = np.concatenate([self.blocks, blocks])[kept]

    @property
    def total(self) -> float:
        """Sum of the kept blocks' scores."""
        return float(self.scores.sum())

    def time_bins(self, group_frames: int, bins: int) -> int:
        """How many of `bins` equal parts of the group, its first frame aside, have a kept block."""
        return len(np.unique((self.frames - 1) * bins // max(1, group_frames - 1)))
