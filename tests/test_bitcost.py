"""`BitCost`: every bit accounted for, and put where it is shown."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import H264_CLIPS, set_rotation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from identities import assert_same
from reference import plain_decode

from mediaref import ReadStats, native_costs
from mediaref.bitcost import BitCost, bit_costs_or_errors, iter_bit_costs, read_bit_costs
from mediaref.errors import CorruptMediaError, FrameIndexError, InvalidReferenceError, UnsupportedBitstreamError
from mediaref.video_decoder import VideoIndex, decode_frames
from mediaref.video_decoder.reader import PacketReader

Clip = Callable[[str], Path]


@pytest.mark.parametrize("name", H264_CLIPS)
def test_every_bit_of_every_frame_is_accounted_for(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    costs = read_bit_costs(index)
    assert len(costs) == len(index)
    for frame, cost in enumerate(costs):
        assert int(cost.bits.sum()) + cost.overhead_bits == cost.packet_bits == 8 * index.packet_bytes[frame]
        np.testing.assert_array_equal(sum(cost.syntax.values()), cost.bits)
        assert cost.frame_index == frame
        assert cost.picture_type == chr(index.picture_type[frame])
        assert cost.pts_ns == (None if index.pts_ns is None else index.pts_ns[frame])
        assert (cost.width, cost.height, cost.unit, cost.codec) == (index.width, index.height, 16, "h264")
        assert cost.cells.shape == (-(-cost.height // 4), -(-cost.width // 4))
        assert cost.information.sum() == pytest.approx(cost.bits.sum(), rel=0.02, abs=64)
        assert cost.qp.shape == cost.kind.shape == cost.bits.shape


@pytest.mark.parametrize("name", ["plain", "pyramid", "cavlc", "slices", "no_b", "odd_size", "rotated", "yuv444"])
def test_quantisers_are_those_of_ffmpegs_decoder(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    plain = plain_decode(clip(name), index, qp_every=1, pixels=False)
    for cost in read_bit_costs(index):
        expected = plain.qp[cost.frame_index]
        assert expected is not None
        np.testing.assert_array_equal(cost.qp, index.orientation.apply(expected))


@pytest.mark.parametrize("name", ["plain", "pyramid", "matroska", "transport", "raw", "mbaff", "rotated"])
def test_a_frame_asked_alone_is_the_frame_of_the_full_scan(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    everything = read_bit_costs(index, threads=2)
    asked = [5, 0, len(index) - 1, 5, 11]
    for frame, cost in zip(asked, read_bit_costs(clip(name), asked, threads=1), strict=True):
        assert_same(cost, everything[frame])


@pytest.mark.parametrize(("name", "frame"), [("long", 123), ("hevc_open_gop", 19)])
def test_one_map_costs_one_packet(clip: Clip, name: str, frame: int, rows_read: list[int]) -> None:
    index = VideoIndex.open(clip(name))
    assert index.is_directly_readable  # packets are read by themselves, not demuxed
    if not index.has_constant_sets:
        index.with_headers()  # parameter sets may lie in the packets before; once known, they are not read again
    rows_read.clear()
    read_bit_costs(index, [frame])
    assert rows_read == [index.packet_of[frame]]


@pytest.mark.parametrize("name", ["long", "transport"])  # read from the file, and demuxed
def test_the_bytes_of_packets_are_those_of_the_packets(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    rows = [0, 1, 2, 5, 9, 10, 11, len(index.packets) - 1]
    with PacketReader(index) as reader:
        assert list(reader.read_bytes(rows)) == [bytes(packet) for _, packet in reader.read(rows)]


def test_packets_that_lie_together_are_read_at_once(clip: Clip) -> None:
    index = VideoIndex.open(clip("long"))
    with ReadStats() as stats, PacketReader(index) as reader:
        assert len(list(reader.read_bytes([*range(40), *range(100, 140)]))) == 80
    assert stats.requests == 2
    assert stats.bytes_read == index.packets.size[:40].sum() + index.packets.size[100:140].sum()


def test_a_cost_whose_maps_nobody_has_seen_can_be_copied_and_sent(clip: Clip) -> None:
    expected = read_bit_costs(clip("plain"), [3])[0]
    for make in (copy.copy, copy.deepcopy, lambda cost: pickle.loads(pickle.dumps(cost)), replace):
        assert_same(make(read_bit_costs(clip("plain"), [3])[0]), expected)


def test_a_map_stays_the_one_that_was_seen_first(clip: Clip) -> None:
    cost = read_bit_costs(clip("plain"), [3])[0]
    assert cost.qp is cost.qp
    cost.bits[0, 0] = 12345
    assert cost.syntax["luma"].shape == cost.bits.shape
    assert cost.bits[0, 0] == 12345
    with pytest.raises(AttributeError, match="'BitCost' object has no attribute 'bitz'"):
        cost.bitz  # type: ignore[attr-defined]  # noqa: B018


def test_long_requests_are_read_as_they_are_consumed(clip: Clip, rows_read: list[int]) -> None:
    costs = iter_bit_costs(clip("long"), range(240), threads=1)
    next(costs)
    assert len(rows_read) <= native_costs._MOST_A_THREAD
    assert len(list(costs)) == 239


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (270, 3)])
def test_maps_turn_with_the_pixels(clip: Clip, tmp_path: Path, degrees: int, turns: int) -> None:
    path = tmp_path / "turned.mp4"
    path.write_bytes(clip("odd_size").read_bytes())
    set_rotation(path, degrees)
    for upright, turned in zip(read_bit_costs(clip("odd_size")), read_bit_costs(path), strict=True):
        np.testing.assert_array_equal(turned.bits, np.rot90(upright.bits, turns))
        np.testing.assert_array_equal(turned.cells, np.rot90(upright.cells, turns))
        np.testing.assert_array_equal(turned.syntax["motion"], np.rot90(upright.syntax["motion"], turns))
        patches = np.rot90(upright.patch_bits(5, 7), turns)
        np.testing.assert_allclose(turned.patch_bits(*patches.shape), patches)
    ((_, upright_pixels),) = decode_frames(clip("odd_size"), [3])
    ((_, turned_pixels),) = decode_frames(path, [3])
    np.testing.assert_array_equal(turned_pixels, np.rot90(upright_pixels, turns))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(1, 40), cols=st.integers(1, 40), taller=st.integers(0, 50), wider=st.integers(0, 50))
def test_patches_keep_the_sum(clip: Clip, rows: int, cols: int, taller: int, wider: int) -> None:
    (cost,) = read_bit_costs(clip("odd_size"), [6])
    patches = cost.patch_bits(rows, cols, cost.height + taller, cost.width + wider)
    assert patches.shape == (rows, cols)
    assert patches.min() >= 0
    assert patches.sum() == pytest.approx(cost.bits.sum())


def test_patches_are_shares_of_what_is_displayed(clip: Clip) -> None:
    (cost,) = read_bit_costs(clip("odd_size"), [6])  # 174 x 130 in 11 x 9 blocks
    slow = np.zeros((13, 29))
    height, width = cost.height, cost.width
    for (row, col), bits in np.ndenumerate(cost.bits):
        ys = np.arange(row * 16, min(row * 16 + 16, height))
        xs = np.arange(col * 16, min(col * 16 + 16, width))
        for y in ys:
            for x in xs:
                slow[y * 13 // height, x * 29 // width] += bits / (len(ys) * len(xs))
    np.testing.assert_allclose(cost.patch_bits(13, 29), slow)  # 130 = 13 * 10 and 174 = 29 * 6: no sample is cut


def test_blocks_that_are_not_displayed_count_at_the_edge(clip: Clip) -> None:
    (cost,) = read_bit_costs(clip("plain"), [6])
    cropped = replace(cost, width=100, height=90, origin=(40, 33))
    patches = cropped.patch_bits(4, 4)
    assert patches.sum() == pytest.approx(cost.bits.sum())


def test_impossible_grids_are_refused(clip: Clip) -> None:
    (cost,) = read_bit_costs(clip("plain"), [0])
    with pytest.raises(InvalidReferenceError, match="empty"):
        cost.patch_bits(0, 4)
    with pytest.raises(InvalidReferenceError, match="does not cover"):
        cost.patch_bits(4, 4, height=100)


def test_what_cannot_be_read_says_why(clip: Clip) -> None:
    with pytest.raises(UnsupportedBitstreamError, match="mpeg4"):
        read_bit_costs(clip("mpeg4"))
    with pytest.raises(FrameIndexError, match="no frame 24"):
        read_bit_costs(clip("plain"), [0, 24])


def test_a_damaged_packet_names_file_frame_and_byte(clip: Clip, tmp_path: Path) -> None:
    index = VideoIndex.open(clip("plain"))
    row = int(index.packet_of[4])
    position, size = int(index.packets.position[row]), int(index.packets.size[row])
    damaged = bytearray(clip("plain").read_bytes())
    damaged[position + size // 2 : position + size] = bytes(b"\x55" * (size - size // 2))
    path = tmp_path / "damaged.mp4"
    path.write_bytes(damaged)
    with pytest.raises(CorruptMediaError, match=rf"damaged\.mp4: frame 4 \(packet {row}, byte {position}\)"):
        read_bit_costs(path)
    assert len(read_bit_costs(path, [0, 1])) == 2


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["long", "hevc", "vp9", "transport"])
def test_a_packet_that_cannot_be_read_fails_its_own_frame(clip: Clip, name: str, threads: int) -> None:
    index = VideoIndex.open(clip(name)).with_headers()
    expected = read_bit_costs(index, threads=threads)
    table, last = index.packets, len(index.packets) * 2 // 3
    is_behind = np.arange(len(table)) >= last
    lying = replace(table, position=table.position + (is_behind << 40), size=table.size + is_behind)
    index = replace(index, packet_of=index.packet_of.copy(), packets=lying)
    got = list(bit_costs_or_errors(index, range(len(index))[::-1], threads=threads))[::-1]
    lost = {frame for frame, cost in enumerate(got) if isinstance(cost, CorruptMediaError)}
    assert lost == set(np.flatnonzero(index.packet_of >= last).tolist())
    for frame, cost in enumerate(got):
        if frame in lost:
            assert str(cost).startswith(f"frame {frame} of {clip(name)}: packet ")
        else:
            assert_same(cost, expected[frame])


def test_the_identity_can_fail(clip: Clip) -> None:
    """One flipped bit in the entropy-coded data of a CABAC picture does not go unnoticed."""
    index = VideoIndex.open(clip("plain"))
    assert index.parser is not None
    noticed = 0
    for frame in range(4, 12):
        (cost,) = read_bit_costs(index, [frame])
        with PacketReader(index) as reader:
            ((row, packet),) = reader.read(list(index.packets_of(frame)))
        content = bytearray(bytes(packet))
        content[len(content) // 2] ^= 0x10
        (result,) = index.parser.start_bit_costs([(int(index.packets.parameter_sets[row]), [bytes(content)])]).results()
        noticed += not hasattr(result, "bits") or not np.array_equal(result.bits, cost.bits)
    assert noticed == 8


def test_many_threads_read_one_video(clip: Clip) -> None:
    index = VideoIndex.open(clip("pyramid"))
    expected = read_bit_costs(index, threads=1)

    def work(frame: int) -> BitCost:
        return read_bit_costs(index, [frame], threads=1 + frame % 2)[0]

    with ThreadPoolExecutor(8) as pool:
        for ours, theirs in zip(pool.map(work, range(len(index))), expected, strict=True):
            assert_same(ours, theirs)
