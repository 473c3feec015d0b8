"""`mediaref bitcost`: a picture of where a frame's bits went."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mediaref import images
from mediaref.bitcost import BitCost
from mediaref.cli import refs
from mediaref.cli.files import write_whole
from mediaref.storage import shorten

_CELL = 4
#: From no bits to most: black, indigo, red, orange, pale yellow. Its lightness only ever rises.
_COLOURS = np.array([(0, 0, 0), (60, 20, 110), (190, 40, 60), (250, 140, 20), (255, 250, 190)], np.float64)


def run(ref: str, out: Path) -> int:
    """Write the heat map of a frame's bits in the frame's own size, and print what the frame costs."""
    wanted = refs.parse(ref)
    cost = wanted.to_bit_cost()
    write_whole(out, images.encode(heat_map(cost), "png"))
    share = 100 * cost.overhead_bits / cost.packet_bits if cost.packet_bits else 0.0
    print(f"{shorten(wanted.uri)}: frame {cost.frame_index}, {cost.picture_type}, {cost.codec}")
    print(f"{cost.packet_bits} bits: {int(cost.bits.sum())} in blocks, {cost.overhead_bits} ({share:.1f} %) overhead")
    for name, bits in cost.syntax.items():
        print(f"  {name:<7}{int(bits.sum()):>12}")
    print(f"{out}: black is no bits, pale yellow the most; steps of brightness are steps of the logarithm")
    return 0


def heat_map(cost: BitCost) -> NDArray[np.uint8]:
    """uint8 `(height, width, 3)` RGB: the logarithm of the bits at each place of the displayed picture."""
    level = np.log1p(cost.cells)
    level = level / max(float(level.max(initial=0.0)), 1e-9)
    steps = np.linspace(0.0, 1.0, len(_COLOURS))
    colours = np.stack([np.interp(level, steps, channel) for channel in _COLOURS.T], axis=-1)
    cells = np.rint(colours).astype(np.uint8)
    return np.ascontiguousarray(cells.repeat(_CELL, axis=0).repeat(_CELL, axis=1)[: cost.height, : cost.width])
