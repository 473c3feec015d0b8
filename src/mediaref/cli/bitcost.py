"""`mediaref bitcost`: a picture of where a frame's bits went."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mediaref import images
from mediaref.bitcost import BitCost
from mediaref.cli import refs
from mediaref.cli.files import write_whole
from mediaref.heat_map import heat_map
from mediaref.storage import shorten

_CELL = 4


def run(ref: str, out: Path) -> int:
    """Write the heat map of a frame's bits in the frame's own size, and print what the frame costs."""
    wanted = refs.parse(ref)
    cost = wanted.to_bit_cost()
    write_whole(out, images.encode(picture(cost), "png"))
    share = 100 * cost.overhead_bits / cost.packet_bits if cost.packet_bits else 0.0
    print(f"{shorten(wanted.uri)}: frame {cost.frame_index}, {cost.picture_type}, {cost.codec}")
    print(f"{cost.packet_bits} bits: {int(cost.bits.sum())} in blocks, {cost.overhead_bits} ({share:.1f} %) overhead")
    for name, bits in cost.syntax.items():
        print(f"  {name:<7}{int(bits.sum()):>12}")
    print(f"{out}: black is no bits, pale yellow the most; steps of brightness are steps of the logarithm")
    return 0


def picture(cost: BitCost) -> NDArray[np.uint8]:
    """uint8 `(height, width, 3)` RGB: the bits at each place of the displayed picture."""
    cells = heat_map(cost.cells)
    return np.ascontiguousarray(cells.repeat(_CELL, axis=0).repeat(_CELL, axis=1)[: cost.height, : cost.width])
