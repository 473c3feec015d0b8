"""What holds for every `BitCost`, whatever the codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import pytest

from mediaref.bitcost import BitCost
from mediaref.video_decoder import VideoIndex

MAPS = ("bits", "information", "qp", "kind")


def assert_accounted(cost: BitCost) -> None:
    """Every bit of the frame is in one block or in the overhead, and in one class of syntax."""
    assert int(cost.bits.sum()) + cost.overhead_bits == cost.packet_bits
    assert set(cost.syntax) == {"mode", "motion", "luma", "chroma"}
    np.testing.assert_array_equal(sum(cost.syntax.values()), cost.bits)
    assert {getattr(cost, name).shape for name in MAPS} == {cost.bits.shape}
    assert cost.cells.shape == (-(-cost.height // 4), -(-cost.width // 4))
    assert cost.information.sum() == pytest.approx(cost.bits.sum(), rel=0.02, abs=64)
    assert set(np.unique(cost.kind)) <= {0, 1, 2, 3}


def assert_cells_add_up(cost: BitCost) -> None:
    """The cells of each block add up to its bits; of a picture that is displayed as a whole."""
    side = cost.unit // 4
    (rows, cols), (left, top) = cost.bits.shape, (edge // 4 for edge in cost.origin)
    cells = np.zeros((rows * side, cols * side))
    cells[top:, left:][: cost.cells.shape[0], : cost.cells.shape[1]] = cost.cells
    cells = cells.reshape(rows, side, cols, side)
    np.testing.assert_allclose(cells.sum((1, 3)), cost.bits, rtol=1e-4, atol=1e-3)


def assert_video_accounted(index: VideoIndex, costs: Sequence[BitCost], *, is_cropped: bool) -> None:
    """There is one for each frame, at its time, and all bits of each are accounted for."""
    assert [cost.frame_index for cost in costs] == list(range(len(index)))
    for frame, cost in enumerate(costs):
        assert_accounted(cost)
        if not is_cropped:
            assert_cells_add_up(cost)
        assert cost.pts_ns == (None if index.pts_ns is None else index.pts_ns[frame])


def assert_same(ours: BitCost, theirs: BitCost) -> None:
    for field in fields(BitCost):
        np.testing.assert_equal(getattr(ours, field.name), getattr(theirs, field.name), err_msg=field.name)
