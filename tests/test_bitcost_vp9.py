"""Bit costs of VP9, on clips of libvpx: chains of frames, shown and hidden."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from clips import VP9_CLIPS
from identities import MAPS, assert_accounted, assert_same, assert_video_accounted
from numpy.typing import NDArray
from reference import picture_types

from mediaref import native_costs
from mediaref.bitcost import iter_bit_costs, read_bit_costs
from mediaref.video_decoder import VideoIndex, cache

Clip = Callable[[str], Path]

#: The clips that are not displayed in whole units of 8x8, in which they are coded.
CROPPED = {"vp9_odd_size", "vp9_tiny"}


@pytest.fixture
def hidden_apart(clip: Clip, tmp_path: Path) -> Path:
    """The clip with hidden frames, each of them in a packet of its own."""
    path = tmp_path / "apart.ivf"
    with av.open(str(clip("vp9_hidden"))) as container:
        stream = container.streams.video[0]
        split = BitStreamFilterContext("vp9_superframe_split", stream)
        packets = [part for packet in container.demux(stream) for part in split.filter(packet if packet.size else None)]
    shown = 0
    with path.open("wb") as file:
        file.write(struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"VP90", 176, 144, 30, 1, len(packets), 0))
        for content in map(bytes, packets):
            file.write(struct.pack("<IQ", len(content), shown) + content)
            shown += content[0] >> 1 & 1  # profile 0: `show_frame` behind marker, profile, existing and type
    assert shown < len(packets)
    return path


@pytest.mark.parametrize("name", VP9_CLIPS)
def test_every_bit_of_every_frame_is_accounted_for(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    costs = read_bit_costs(index)
    assert_video_accounted(index, costs, is_cropped=name in CROPPED)
    for cost in costs:
        assert (cost.width, cost.height, cost.codec, cost.unit) == (index.width, index.height, "vp9", 64)
        assert (cost.is_shown, cost.random_access) == (True, "gop")


@pytest.mark.parametrize("name", VP9_CLIPS)
def test_frames_and_their_types_are_those_of_ffmpeg(clip: Clip, name: str) -> None:
    assert [cost.picture_type for cost in read_bit_costs(clip(name))] == picture_types(clip(name))


@pytest.mark.parametrize("name", VP9_CLIPS)
def test_with_its_hidden_frames_every_bit_of_the_file_is_accounted_for(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    costs = read_bit_costs(index, hidden=True)
    assert sum(cost.packet_bits for cost in costs) == 8 * index.packets.size.sum()
    for cost in costs:
        assert_accounted(cost)
    for ours, alone in zip([cost for cost in costs if cost.is_shown], read_bit_costs(index), strict=True):
        assert_same(ours, alone)


def test_hidden_frames_come_before_the_one_shown_next(clip: Clip) -> None:
    costs = read_bit_costs(clip("vp9_hidden"), hidden=True)
    shown = [cost.is_shown for cost in costs]
    assert shown.count(False) >= 2
    assert shown.count(True) == 40
    for cost, following in pairwise(costs):
        assert following.frame_index == cost.frame_index + cost.is_shown
    assert costs[-1].is_shown
    frame = next(cost.frame_index for cost in costs if not cost.is_shown)
    alone = read_bit_costs(clip("vp9_hidden"), [frame], hidden=True)
    assert [cost.is_shown for cost in alone] == [False, True]
    assert {cost.frame_index for cost in alone} == {frame}
    (without,) = read_bit_costs(clip("vp9_hidden"), [frame])
    assert_same(without, alone[1])


def test_hidden_frames_in_packets_of_their_own_are_the_same(clip: Clip, hidden_apart: Path) -> None:
    index = VideoIndex.open(hidden_apart)
    assert not index.packets.has_picture.all()
    together, apart = (read_bit_costs(path, hidden=True) for path in (clip("vp9_hidden"), hidden_apart))
    assert len(index) == 40
    assert sum(cost.packet_bits for cost in apart) == 8 * index.packets.size.sum()
    for ours, theirs in zip(apart, together, strict=True):
        assert (ours.frame_index, ours.is_shown) == (theirs.frame_index, theirs.is_shown)
        for name in (*MAPS, "cells"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    last = max(cost.frame_index for cost in apart if not cost.is_shown)
    for ours, theirs in zip(
        read_bit_costs(hidden_apart, [last, 3, last], hidden=True),
        [cost for frame in (last, 3, last) for cost in apart if cost.frame_index == frame],
        strict=True,
    ):
        assert_same(ours, theirs)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", VP9_CLIPS)
def test_a_frame_asked_alone_is_the_frame_of_the_full_scan(clip: Clip, name: str, threads: int) -> None:
    index = VideoIndex.open(clip(name))
    everything = read_bit_costs(index, threads=threads)
    last = len(index) - 1
    asked = [last, 0, last // 2, 1, last // 2, last]
    for frame, cost in zip(asked, read_bit_costs(index, asked, threads=threads), strict=True):
        assert_same(cost, everything[frame])
    (alone,) = read_bit_costs(index, [last], threads=threads)
    assert_same(alone, everything[last])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("name", ["vp9_gops", "vp9_hidden", "vp9_segments"])
def test_a_chain_goes_on_over_any_number_of_windows(
    clip: Clip, name: str, hidden: bool, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = VideoIndex.open(clip(name))
    expected = read_bit_costs(index, hidden=hidden)
    last = len(index) - 1
    monkeypatch.setattr(native_costs, "_WINDOW_BYTES", 0)
    monkeypatch.setattr(native_costs, "_FEWEST_A_THREAD", 2)
    requests = (
        list(range(last + 1)),
        list(range(last, -1, -1)),
        [3, last, 4, 4, 0, last, 5, 2, last - 1, 0, 11],
        list(range(0, last + 1, 3)) * 2,
    )
    for asked in requests:
        wanted = [cost for frame in asked for cost in expected if cost.frame_index == frame]
        for ours, theirs in zip(read_bit_costs(index, asked, hidden=hidden, threads=threads), wanted, strict=True):
            assert_same(ours, theirs)


def test_a_window_takes_over_where_the_one_before_it_ended(
    clip: Clip, monkeypatch: pytest.MonkeyPatch, rows_read: list[int]
) -> None:
    index = VideoIndex.open(clip("vp9_hidden"))
    monkeypatch.setattr(native_costs, "_WINDOW_BYTES", 0)
    monkeypatch.setattr(native_costs, "_FEWEST_A_THREAD", 4)
    rows_read.clear()
    cache.checkpoints.clear()
    consumed = iter_bit_costs(index, range(len(index)), threads=1)
    next(consumed)
    assert len(rows_read) == 4
    assert len(list(consumed)) == len(index) - 1
    assert sorted(rows_read) == list(range(len(index.packets)))


#: Here some frames have segments without saying anew where they lie; FFmpeg then exports a map that it never wrote.
REPEATED_SEGMENTS = {"vp9_segments"}


@pytest.mark.parametrize("name", VP9_CLIPS)
def test_quantisers_are_those_of_ffmpegs_decoder(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    compared = 0
    for cost, (is_key, samples) in zip(read_bit_costs(index), _quantisers(clip(name)), strict=True):
        if name in REPEATED_SEGMENTS and not is_key:
            continue
        samples = index.orientation.apply(samples)
        for (row, col), ours in np.ndenumerate(cost.qp):
            top, left = row * 64 - cost.origin[1], col * 64 - cost.origin[0]
            block = samples[max(0, top) : top + 64, max(0, left) : left + 64]
            assert abs(block.mean() - ours) <= 0.5 + 1e-9
        compared += 1
    assert compared >= 2


def _quantisers(path: Path) -> Iterator[tuple[bool, NDArray[np.int32]]]:
    """Of each frame, whether it is a key frame, and each luma sample's quantiser index as FFmpeg's decoder says."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"export_side_data": "venc_params"}
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            parameters = frame.side_data["VIDEO_ENC_PARAMS"]
            samples = np.full((frame.height, frame.width), parameters.qp)
            for number in range(parameters.nb_blocks):
                block = parameters.block_params(number)
                samples[block.src_y :, block.src_x :][: block.h, : block.w] = parameters.qp + block.delta_qp
            yield frame.key_frame, samples


@pytest.mark.parametrize("name", ["vp9_slow", "vp9_gops", "vp9_hidden", "vp9_frame_parallel"])
def test_what_was_asked_before_changes_no_map(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    whole = read_bit_costs(index)
    for frames in ([3], [4, 6], [2], [5], [6, 7], [7], [1, 7]):
        for ours, frame in zip(read_bit_costs(index, frames, threads=1), frames, strict=True):
            assert_same(ours, whole[frame])


def test_a_neighbouring_request_goes_on_where_the_last_one_ended(clip: Clip, rows_read: list[int]) -> None:
    index = VideoIndex.open(clip("vp9_hidden"))
    read_bit_costs(index)  # from here on all headers are known

    def read_for(frame: int) -> list[int]:
        rows_read.clear()
        read_bit_costs(index, [frame], threads=1)
        return rows_read.copy()

    cache.checkpoints.clear()
    assert read_for(36) == list(range(37))
    assert read_for(38) == [37, 38]
    assert read_for(33) == [32, 33]
    assert read_for(34) == [34]
    assert read_for(5) == list(range(6))
    cache.checkpoints.clear()
    assert read_for(34) == list(range(35))


def test_a_group_whose_headers_are_damaged_counts_as_hidden_and_spoils_no_other(clip: Clip, tmp_path: Path) -> None:
    sound = read_bit_costs(clip("vp9_gops"))
    damaged = bytearray(clip("vp9_gops").read_bytes())
    damaged[int(VideoIndex.open(clip("vp9_gops")).packets.position[0])] = 0
    path = tmp_path / "damaged.mp4"
    path.write_bytes(damaged)
    costs = [cost for cost in read_bit_costs(path, hidden=True) if cost.is_shown]
    for ours, theirs in zip(costs, sound[5:], strict=True):
        np.testing.assert_array_equal(ours.bits, theirs.bits)
