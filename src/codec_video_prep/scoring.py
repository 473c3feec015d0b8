"""How much each block of a prepared frame is worth: the bits that the encoder spent there.

A frame's costs are a coarse grid of numbers. Spread over the prepared frame by nearest neighbour they would be a
map of its size, constant over rectangles; summed over blocks that is two small matrix products, so the map itself is
never made: `rows @ scores @ columns.T`, where `rows[i, g]` counts the pixel rows of block row `i` that lie in row
`g` of the grid, and `columns` likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from codec_video_prep.config import PreinferConfig
from codec_video_prep.geometry import Geometry

if TYPE_CHECKING:
    from mediaref.bitcost import BitCost

Scores = NDArray[np.float64]


def normalise_costs(costs: NDArray[np.generic], percentile: float, log_scale: bool) -> Scores:
    """Scores in 0 to 1 of one frame's costs `[rows, cols]` in bits.

    The `percentile` of the (logarithms of the) costs becomes 1. Where that is 0, for the frame is all but copied,
    the largest becomes 1, so that what little changed still tells.
    """
    scores = np.asarray(costs, np.float64)
    if log_scale:
        scores = np.log1p(scores)
    top = percentile_of(scores, percentile) or float(scores.max())
    return np.minimum(scores / top, 1.0) if top > 0 else scores


def percentile_of(values: Scores, percentile: float) -> float:
    """The percentile of all values, linear between neighbours: numpy's own number, without its long way there."""
    place = (values.size - 1) * (percentile / 100)
    below = int(place)
    above = min(below + 1, values.size - 1)
    low, high = np.partition(values, (below, above), axis=None)[[below, above]]
    share = place - below
    # From the nearer end, as numpy has it.
    return float(low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share))


def pixel_cells(length: int, source: int, unit: int, offset: int = 0) -> NDArray[np.int64]:
    """The grid cell that each of `length` pixels along one axis falls into.

    The pixels show `source` luma samples, which begin at sample `offset` of a grid with cells of `unit` samples.
    A pixel belongs to the cell that its centre lies in.
    """
    samples = (2 * np.arange(length) + 1) * source // (2 * length)
    return (samples + offset) // unit


def count_matrix(cells: NDArray[np.int64], grid: int, side: int, blocks: int) -> Scores:
    """`[blocks, grid]`: how many pixels of each block of `side` pixels lie in each cell. Padding has no pixels."""
    counts = np.zeros((blocks, grid))
    np.add.at(counts, (np.arange(len(cells)) // side, cells), 1.0)
    return counts


@dataclass(frozen=True)
class Spread:
    """How a grid of scores lies over a prepared frame."""

    rows: Scores
    """`[block rows, grid rows]`: pixel rows of a block row in each grid row."""
    columns: Scores
    """`[block columns, grid columns]`: likewise for columns."""

    def block_scores(self, scores: Scores) -> Scores:
        """`[block rows, block columns]`: the sum over each block's pixels of the scores spread over them."""
        summed: Scores = self.rows @ scores @ self.columns.T
        return summed

    @property
    def pixels(self) -> NDArray[np.int64]:
        """`[grid rows, grid columns]`: how many pixels of the prepared frame each cell covers."""
        return np.outer(self.rows.sum(0), self.columns.sum(0)).astype(np.int64)


def weighted_percentile(values: Sequence[Scores], weights: Sequence[NDArray[np.int64]], percentile: float) -> float:
    """The percentile (linear between neighbours) of all values, each repeated as often as its weight says."""
    flat = np.concatenate([v.ravel() for v in values])
    order = np.argsort(flat, kind="stable")
    ends = np.cumsum(np.concatenate([w.ravel() for w in weights])[order])
    place = (ends[-1] - 1) * percentile / 100.0
    below, above = np.searchsorted(ends, [np.floor(place), np.ceil(place)], side="right")
    low, high = flat[order[below]], flat[order[above]]
    return float(low + (high - low) * (place - np.floor(place)))


class BlockScorer:
    """Turns the bit costs of one frame after another into block scores of the prepared frames."""

    def __init__(self, config: PreinferConfig, geometry: Geometry) -> None:
        self._config = config
        self._geometry = geometry
        self._spreads: dict[tuple[object, ...], Spread] = {}
        self._clips = config.iframe_score_clip_mode == "non_i_percentile"
        self._grids: list[tuple[Scores, Spread, bool]] = []
        self._scores: list[Scores] = []

    def add(self, cost: BitCost) -> None:
        """Take the next frame's costs."""
        fine = self._config.bitcost_grid == "sub"
        grid = normalise_costs(
            cost.cells if fine else cost.bits, self._config.bitcost_pct, self._config.bitcost_log_scale
        )
        spread = self._spread(cost, grid.shape, 4 if fine else cost.unit)
        if self._clips:
            self._grids.append((grid, spread, cost.picture_type == "I"))
        else:
            self._scores.append(spread.block_scores(grid))

    def finish(self) -> tuple[list[Scores], dict[str, object] | None]:
        """Block scores `[block rows, block columns]` of each frame taken, and what the clipping of I frames did."""
        if not self._clips:
            return self._scores, None
        others = [(grid, spread) for grid, spread, intra in self._grids if not intra]
        percentile = self._config.iframe_score_clip_percentile
        cap = weighted_percentile([g for g, _ in others], [s.pixels for _, s in others], percentile) if others else None
        changed = 0
        for grid, spread, intra in self._grids:
            if intra and cap is not None:
                changed += int(spread.pixels[grid > cap].sum())
            self._scores.append(spread.block_scores(np.minimum(grid, cap) if intra and cap is not None else grid))
        return self._scores, {
            "mode": self._config.iframe_score_clip_mode,
            "percentile": percentile,
            "cap": cap,
            "iframe_count": len(self._grids) - len(others),
            "changed_pixels": changed,
            "applied": changed > 0,
        }

    def _spread(self, cost: BitCost, grid: tuple[int, ...], unit: int) -> Spread:
        """Made once for each shape that frames come in."""
        fine = self._config.bitcost_grid == "sub"
        left, top = (0, 0) if fine else cost.origin  # cells begin at the displayed corner, blocks at the coded one
        key = (grid, unit, left, top, cost.width, cost.height)
        if key not in self._spreads:
            (height, width), (block_rows, block_columns) = self._geometry.resized, self._geometry.blocks
            side = self._geometry.block_pixels
            rows = count_matrix(pixel_cells(height, cost.height, unit, top), grid[0], side, block_rows)
            columns = count_matrix(pixel_cells(width, cost.width, unit, left), grid[1], side, block_columns)
            self._spreads[key] = Spread(rows, columns)
        return self._spreads[key]
