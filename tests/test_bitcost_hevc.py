"""Bit costs of HEVC, on clips of libx265 that between them use every tool it has."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clips import HEVC_CLIPS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from identities import assert_same, assert_video_accounted
from reference import picture_types

from mediaref.bitcost import read_bit_costs
from mediaref.errors import CorruptMediaError
from mediaref.video_decoder import VideoIndex
from mediaref.video_decoder.reader import PacketReader

Clip = Callable[[str], Path]

#: The clips whose coded picture is larger than what is displayed.
CROPPED = {"hevc_odd_size"}

#: What the encoder says of itself in the clips that are made to use a certain tool.
SETTINGS = {
    "hevc_ctb16": "ctu=16",
    "hevc_ctb32": "ctu=32 .*aq-mode=2 .*qg-size=8",
    "hevc_ctb64": "no-wpp .*ctu=64",
    "hevc_wpp": "numa-pools=1 wpp .*ctu=16",
    "hevc_slices": "slices=3",
    "hevc_lossless": " lossless ",
    "hevc_cu_lossless": " cu-lossless ",
    "hevc_transform_skip": " tskip ",
    "hevc_10_bit": "bitdepth=10 input-csp=1",
    "hevc_12_bit": "bitdepth=12 input-csp=1",
    "hevc_400": "input-csp=0",
    "hevc_422": "input-csp=2",
    "hevc_422_10_bit": "bitdepth=10 input-csp=2",
    "hevc_444": "input-csp=3",
    "hevc_444_12_bit": "bitdepth=12 input-csp=3",
    "hevc_amp": " rect amp .* signhide ",
    "hevc_weighted": " weightp weightb ",
    "hevc_constrained_intra": " constrained-intra ",
    "hevc_open_gop": " open-gop ",
    "hevc_no_sao": " no-signhide .* no-sao ",
    "hevc_intra": " keyint=1 ",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_encoder_does_what_the_clip_is_for(clip: Clip, name: str) -> None:
    assert re.search(SETTINGS[name].encode(), clip(name).read_bytes())


@pytest.mark.parametrize("name", HEVC_CLIPS)
def test_every_bit_of_every_frame_is_accounted_for(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    costs = read_bit_costs(index)
    assert_video_accounted(index, costs, is_cropped=name in CROPPED)
    for frame, cost in enumerate(costs):
        assert cost.packet_bits == 8 * index.packet_bytes[frame]
        assert (cost.width, cost.height, cost.codec) == (index.width, index.height, "hevc")
        assert (cost.is_shown, cost.random_access) == (True, "packet")


@pytest.mark.parametrize("name", HEVC_CLIPS)
def test_frames_and_their_types_are_those_of_ffmpeg(clip: Clip, name: str) -> None:
    assert [cost.picture_type for cost in read_bit_costs(clip(name))] == picture_types(clip(name))


@pytest.mark.parametrize(("name", "unit"), [("hevc_ctb16", 16), ("hevc_ctb32", 32), ("hevc_ctb64", 64)])
def test_a_block_is_a_coding_tree_block(clip: Clip, name: str, unit: int) -> None:
    for cost in read_bit_costs(clip(name)):
        assert cost.unit == unit
        assert cost.bits.shape == (-(-144 // unit), -(-176 // unit))


def test_kinds_tell_intra_skipped_and_lossless_blocks(clip: Clip) -> None:
    for cost in read_bit_costs(clip("hevc_intra")):
        assert (cost.picture_type, cost.kind.min(), cost.kind.max()) == ("I", 2, 2)
        assert not cost.syntax["motion"].any()
    assert all((cost.kind == 3).all() for cost in read_bit_costs(clip("hevc_lossless")))
    costs = read_bit_costs(clip("hevc_ctb16"))
    assert {int(kind) for cost in costs for kind in np.unique(cost.kind)} == {0, 1, 2}
    assert not any(cost.syntax["chroma"].any() for cost in read_bit_costs(clip("hevc_400")))
    assert all(cost.syntax["chroma"].any() for cost in read_bit_costs(clip("hevc_444")) if cost.picture_type == "I")


def test_quantisers_are_those_that_the_encoder_was_given(clip: Clip) -> None:
    for cost in read_bit_costs(clip("hevc_constant_quantiser")):
        assert np.unique(cost.qp).tolist() == [{"I": 27, "P": 30, "B": 33}[cost.picture_type]]
    assert len({int(q) for cost in read_bit_costs(clip("hevc_ctb32")) for q in np.unique(cost.qp)}) > 5


@pytest.mark.parametrize("name", HEVC_CLIPS)
def test_a_frame_asked_alone_is_the_frame_of_the_full_scan(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    everything = read_bit_costs(index, threads=2)
    last = len(index) - 1
    asked = [last, 0, last // 2, 1, last]
    for frame, cost in zip(asked, read_bit_costs(index, asked, threads=1), strict=True):
        assert_same(cost, everything[frame])
    (alone,) = read_bit_costs(index, [last // 2])
    assert_same(alone, everything[last // 2])


def test_maps_turn_with_the_picture(clip: Clip) -> None:
    index = VideoIndex.open(clip("hevc_rotated"))
    assert (index.width, index.height) == (112, 176)
    for cost in read_bit_costs(index):
        # 112 lines are one block of 64 and one of 48: turned to the left, the short one is on the right.
        assert cost.bits.shape == (3, 2)
        assert cost.origin == (0, 16)
        assert cost.patch_bits(7, 5).sum() == pytest.approx(cost.bits.sum())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(1, 40), cols=st.integers(1, 40), taller=st.integers(0, 50), wider=st.integers(0, 50))
def test_patches_keep_the_sum(clip: Clip, rows: int, cols: int, taller: int, wider: int) -> None:
    (cost,) = read_bit_costs(clip("hevc_odd_size"), [6])
    patches = cost.patch_bits(rows, cols, cost.height + taller, cost.width + wider)
    assert patches.min() >= 0
    assert patches.sum() == pytest.approx(cost.bits.sum())


def test_a_damaged_packet_names_file_frame_and_byte(clip: Clip, tmp_path: Path) -> None:
    index = VideoIndex.open(clip("hevc_ctb16"))
    row = int(index.packet_of[4])
    position, size = int(index.packets.position[row]), int(index.packets.size[row])
    damaged = bytearray(clip("hevc_ctb16").read_bytes())
    damaged[position + size // 2 : position + size] = bytes(b"\x55" * (size - size // 2))
    path = tmp_path / "damaged.mp4"
    path.write_bytes(damaged)
    with pytest.raises(CorruptMediaError, match=rf"damaged\.mp4: frame 4 \(packet {row}, byte {position}\)"):
        read_bit_costs(path)
    assert_same(read_bit_costs(path, [5])[0], read_bit_costs(index, [5])[0])


def test_the_identity_can_fail(clip: Clip) -> None:
    """One flipped bit in the entropy-coded data of a picture does not go unnoticed."""
    index = VideoIndex.open(clip("hevc_ctb16"))
    assert index.parser is not None
    for frame, cost in enumerate(read_bit_costs(index)):
        with PacketReader(index) as reader:
            ((row, packet),) = reader.read(list(index.packets_of(frame)))
        content = bytearray(bytes(packet))
        content[len(content) // 2] ^= 0x10
        (result,) = index.parser.start_bit_costs([(int(index.packets.parameter_sets[row]), [bytes(content)])]).results()
        assert not hasattr(result, "bits") or not np.array_equal(result.bits, cost.bits)
