"""Bit costs of the codecs whose frames form chains, VP9 and AV1: what holds for both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from identities import assert_same

from mediaref.bitcost import BitCost, bit_costs_or_errors, read_bit_costs
from mediaref.errors import CorruptMediaError
from mediaref.video_decoder import VideoIndex, cache

Clip = Callable[[str], Path]


@pytest.mark.parametrize("name", ["vp9_gops", "av1_gops"])
def test_a_map_costs_no_more_than_its_group(clip: Clip, name: str, rows_read: list[int]) -> None:
    index = VideoIndex.open(clip(name))
    read_bit_costs(index)  # from here on all headers are known
    cache.checkpoints.clear()
    rows_read.clear()
    read_bit_costs(index, [13])
    assert rows_read == [10, 11, 12, 13]


@pytest.mark.parametrize(("lossless", "varied"), [("vp9_lossless", "vp9_cyclic_refresh"), ("av1_lossless", "av1_gops")])
def test_kinds_tell_intra_skipped_and_lossless_blocks(clip: Clip, lossless: str, varied: str) -> None:
    assert all((cost.kind == 3).all() for cost in read_bit_costs(clip(lossless)))
    costs = read_bit_costs(clip(varied))
    assert {int(kind) for cost in costs for kind in np.unique(cost.kind)} == {0, 1, 2}
    for cost in costs:
        if cost.picture_type == "I":
            assert (cost.kind == 2).all()
            assert not cost.syntax["motion"].any()


@pytest.mark.parametrize(("name", "spoilt"), [("vp9_gops", [7, 8, 9]), ("av1_gops", [5, 6, 7, 8, 9])])
def test_a_damaged_frame_spoils_its_group_and_no_other(
    clip: Clip, name: str, spoilt: list[int], tmp_path: Path
) -> None:
    index, row = VideoIndex.open(clip(name)), spoilt[0]
    sound = read_bit_costs(index)
    position, size = int(index.packets.position[row]), int(index.packets.size[row])
    content = clip(name).read_bytes()
    half, end = position + size // 2, position + size
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content[:half] + bytes(byte ^ 0x5A for byte in content[half:end]) + content[end:])
    at = rf"damaged\.mp4: frame {row} \(packet {row}, byte {position}\) stops at byte "
    with pytest.raises(CorruptMediaError, match=at):
        read_bit_costs(path)
    results = list(bit_costs_or_errors(path, range(24), threads=1))
    assert [frame for frame, cost in enumerate(results) if not isinstance(cost, BitCost)] == spoilt
    for ours, theirs in zip(results, sound, strict=True):
        if isinstance(ours, BitCost):
            assert_same(ours, theirs)
