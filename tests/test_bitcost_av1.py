"""Bit costs of AV1, on clips of SVT-AV1: chains of frames, shown, hidden and shown again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import pytest
from clips import AV1_CLIPS
from identities import assert_accounted, assert_same, assert_video_accounted
from reference import picture_types

from mediaref import native_costs
from mediaref._native import ParseError, StreamParser
from mediaref.bitcost import BitCost, read_bit_costs
from mediaref.video_decoder import VideoIndex, cache

Clip = Callable[[str], Path]

#: The clips that are not displayed in whole units of 8x8, in which they are coded.
CROPPED = {"av1_odd_size", "av1_super_resolution", "av1_resized"}
#: Those whose frames are coded in another size than the one that they are to be shown in.
SCALED = {"av1_super_resolution", "av1_resized"}


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def units_of(packet: bytes) -> list[tuple[int, bytes]]:
    """Type and bytes of each open bitstream unit of a packet whose units all have a size."""
    units, at = [], 0
    while at < len(packet):
        end, size, shift = at + 1 + (packet[at] >> 2 & 1), 0, 0
        while True:
            size |= (packet[end] & 0x7F) << shift
            shift += 7
            end += 1
            if packet[end - 1] < 0x80:
                break
        units.append((packet[at] >> 3 & 15, packet[at : end + size]))
        at = end + size
    return units


@pytest.mark.parametrize("name", AV1_CLIPS)
def test_every_bit_of_every_frame_is_accounted_for(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    costs = read_bit_costs(index)
    assert_video_accounted(index, costs, is_cropped=name in CROPPED)
    for cost in costs:
        if name not in SCALED:
            assert (cost.width, cost.height) == (index.width, index.height)
        assert (cost.codec, cost.unit, cost.is_shown, cost.random_access) == ("av1", 64, True, "gop")


@pytest.mark.parametrize("name", AV1_CLIPS)
def test_frames_and_their_types_are_those_of_ffmpeg(clip: Clip, name: str) -> None:
    expected = ["P" if kind == "SP" else kind for kind in picture_types(clip(name))]
    assert [cost.picture_type for cost in read_bit_costs(clip(name))] == expected


@pytest.mark.parametrize("name", AV1_CLIPS)
def test_with_its_hidden_frames_every_bit_of_the_file_is_accounted_for(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    costs = read_bit_costs(index, hidden=True)
    for cost in costs:
        assert_accounted(cost)
    for ours, alone in zip([cost for cost in costs if cost.is_shown], read_bit_costs(index), strict=True):
        assert_same(ours, alone)
    # A frame that is shown again counts its own bytes and those that were spent on it when it was hidden.
    hidden = [cost for cost in costs if not cost.is_shown]
    again = [ours for ours in costs if ours.is_shown and any(_is_shown_by(ours, theirs) for theirs in hidden)]
    twice = sum(theirs.packet_bits for ours in again for theirs in hidden if _is_shown_by(ours, theirs))
    assert sum(cost.packet_bits for cost in costs) - twice == 8 * index.packets.size.sum()


def _is_shown_by(shown: BitCost, hidden: BitCost) -> bool:
    return shown.bits.shape == hidden.bits.shape and bool((shown.information == hidden.information).all())


def test_hidden_frames_come_before_the_one_shown_next(clip: Clip) -> None:
    costs = read_bit_costs(clip("av1_layers"), hidden=True)
    shown = [cost.is_shown for cost in costs]
    assert shown.count(False) >= 10
    assert shown.count(True) == 40
    for cost, following in pairwise(costs):
        assert following.frame_index == cost.frame_index + cost.is_shown
    assert costs[-1].is_shown
    frame = next(cost.frame_index for cost in costs if not cost.is_shown)
    alone = read_bit_costs(clip("av1_layers"), [frame], hidden=True)
    assert [cost.is_shown for cost in alone] == [cost.is_shown for cost in costs if cost.frame_index == frame]
    (without,) = read_bit_costs(clip("av1_layers"), [frame])
    assert_same(without, alone[-1])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", AV1_CLIPS)
def test_a_frame_asked_alone_is_the_frame_of_the_full_scan(clip: Clip, name: str, threads: int) -> None:
    index = VideoIndex.open(clip(name))
    everything = read_bit_costs(index, threads=threads)
    last = len(index) - 1
    asked = [last, 0, last // 2, 1, last // 2, last]
    cache.checkpoints.clear()
    for frame, cost in zip(asked, read_bit_costs(index, asked, threads=threads), strict=True):
        assert_same(cost, everything[frame])
    for frame in range(len(index)):
        cache.checkpoints.clear()
        (alone,) = read_bit_costs(index, [frame], threads=threads)
        assert_same(alone, everything[frame])


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("name", ["av1_gops", "av1_layers", "av1_segments"])
def test_a_chain_goes_on_over_any_number_of_windows(
    clip: Clip, name: str, hidden: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = VideoIndex.open(clip(name))
    expected = read_bit_costs(index, hidden=hidden)
    last = len(index) - 1
    monkeypatch.setattr(native_costs, "_WINDOW_BYTES", 0)
    monkeypatch.setattr(native_costs, "_FEWEST_A_THREAD", 2)
    for asked in (list(range(last, -1, -1)), [3, last, 4, 4, 0, last, 5, 2, last - 1, 0], list(range(0, last + 1, 3))):
        wanted = [cost for frame in asked for cost in expected if cost.frame_index == frame]
        for ours, theirs in zip(read_bit_costs(index, asked, hidden=hidden, threads=1), wanted, strict=True):
            assert_same(ours, theirs)


def test_the_container_may_bring_the_sequence_header(clip: Clip) -> None:
    packets = packets_of(clip("av1_gops"))
    # Not the record of the clip itself: SVT-AV1 writes another sequence header there than in front of its frames.
    record = b"\x81\0\0\0" + next(unit for kind, unit in units_of(packets[0]) if kind == 1)
    whole = StreamParser("av1").chain().parse(packets, [True] * len(packets))
    bare = [b"".join(unit for kind, unit in units_of(packet) if kind != 1) for packet in packets]
    assert sum(map(len, bare)) < sum(map(len, packets))
    with_record = StreamParser("av1", record).chain().parse(bare, [True] * len(bare))
    without = StreamParser("av1").chain().parse(bare, [True] * len(bare))
    for ours, theirs, none in zip(with_record, whole, without, strict=True):
        assert isinstance(ours, list)
        assert isinstance(theirs, list)
        assert isinstance(none, ParseError)
        assert [cost.bits.tolist() for cost in ours] == [cost.bits.tolist() for cost in theirs]


def test_units_that_belong_to_no_frame_are_overhead_of_the_shown_one(clip: Clip) -> None:
    packets = packets_of(clip("av1_gops"))
    padding = bytes([15 << 3 | 2, 3, 1, 2, 0x80])
    chain = StreamParser("av1").chain()
    plain, padded = (
        chain.copy().parse(packets[:3], [True] * 3),
        chain.parse([p + padding for p in packets[:3]], [True] * 3),
    )
    for ours, theirs in zip(padded, plain, strict=True):
        assert isinstance(ours, list)
        assert isinstance(theirs, list)
        assert [cost.overhead_bits for cost in ours[:-1]] == [cost.overhead_bits for cost in theirs[:-1]]
        assert ours[-1].overhead_bits == theirs[-1].overhead_bits + 8 * len(padding)
        assert ours[-1].bits.tolist() == theirs[-1].bits.tolist()


def test_damage_in_what_is_passed_over_does_not_matter_and_elsewhere_is_told(clip: Clip) -> None:
    packets = packets_of(clip("av1_layers"))[:24]
    wanted = [False] * (len(packets) - 1) + [True]
    results, _ = StreamParser("av1").chain().parse_last(packets, wanted)
    assert isinstance(results[-1], list)
    sound = results[-1][-1]
    passed_over = 0
    for number, packet in enumerate(packets[:-1]):
        middle = len(packet) - max(kind in (4, 6) for kind, _ in units_of(packet)) * 3
        if middle == len(packet):
            continue  # it only shows an existing frame
        damaged = [*packets[:number], packet[:middle] + b"\x01\x02\x03", *packets[number + 1 :]]
        results, _ = StreamParser("av1").chain().parse_last(damaged, wanted)
        if isinstance(results[-1], ParseError):
            continue
        passed_over += 1
        assert results[-1][-1].bits.tolist() == sound.bits.tolist()
    assert 3 <= passed_over < len(packets) - 3
