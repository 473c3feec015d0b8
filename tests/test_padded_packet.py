"""What stands behind the data of a packet: decoders read on there."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import pytest

from mediaref.video_decoder import VideoIndex
from mediaref.video_decoder.padded_packet import padded_packet
from mediaref.video_decoder.reader import PacketReader

PADDING = 64  # AV_INPUT_BUFFER_PADDING_SIZE


def behind(packet: object) -> bytes:
    pointer, size = packet.buffer_ptr, packet.buffer_size  # type: ignore[attr-defined]
    return ctypes.string_at(pointer + size, PADDING)


@pytest.mark.parametrize("size", [1, 63, 391, 4096, 100_000])
def test_there_are_zeros_behind_a_packet(size: int) -> None:
    content = b"\xab" * size
    packet = padded_packet(content)
    assert bytes(packet) == content
    assert behind(packet) == bytes(PADDING)


@pytest.mark.parametrize("name", ["long", "hevc", "vp9"])
def test_there_are_zeros_behind_every_packet_that_is_read(clip: Callable[[str], Path], name: str) -> None:
    index = VideoIndex.open(clip(name))
    with PacketReader(index) as reader:
        assert all(behind(packet) == bytes(PADDING) for _, packet in reader.read(range(len(index.packets))))
