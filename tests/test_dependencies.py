"""What frames depend on: no less than a decoder needs, and no more than the headers say."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from corpus import CorpusFile, corpus_files
from reference import digest, plain_decode

from mediaref.video_decoder import DecodePlan, VideoIndex, decode_frames

Clip = Callable[[str], Path]

AV1_CORPUS = [file for file in corpus_files("av1", "real") if file.decodes and file.codec.lower().startswith("av1")]
_LONGEST = 320
#: `frame_type` of AV1 of which all slots are refreshed without a word.
_KEY, _SWITCH = 0, 3


def header_fields(path: Path) -> list[list[tuple[str, int]]]:
    """Names and values of all header fields of each packet, as FFmpeg's own reader of headers tells them."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            tracer = av.bitstream.BitStreamFilterContext("trace_headers", stream)
            packets = []
            for packet in container.demux(stream):
                if packet.size:
                    with av.logging.Capture(local=True) as lines:
                        tracer.filter(packet)
                    packets.append(list(_fields(text for _, _, text in lines)))
            return packets
    finally:
        av.logging.set_level(before)


def _fields(lines: Iterator[str]) -> Iterator[tuple[str, int]]:
    for line in lines:
        if found := re.match(r"\d+\s+(\S+)\s.*= (-?\d+)\s*$", line):
            yield found[1], int(found[2])


def av1_ancestors(path: Path) -> list[set[int]]:
    """For each packet those that it depends on, at any remove: kept slot by slot, from what FFmpeg reads."""
    slots = [0] * 8
    needs: list[set[int]] = []
    for row, fields in enumerate(header_fields(path)):
        direct: set[int] = set()
        refresh = kind = 0
        for name, value in fields:
            if name == "obu_type" and value != 1 and refresh:
                slots = [row if refresh >> i & 1 else slot for i, slot in enumerate(slots)]
                refresh = 0
            if name == "frame_to_show_map_idx" or name.startswith("ref_frame_idx["):
                direct.add(slots[value])
            elif name == "frame_type":
                kind = value
            elif name == "show_frame":
                refresh = 255 if kind == _SWITCH or (kind == _KEY and value) else 0
            elif name == "refresh_frame_flags":
                refresh = value
        slots = [row if refresh >> i & 1 else slot for i, slot in enumerate(slots)]
        direct.discard(row)
        needs.append(direct.union(*(needs[other] for other in direct)))
    return needs


def assert_planned_as_told(path: Path, needs: list[set[int]]) -> None:
    index = VideoIndex.open(path)
    for frame in range(len(index)):
        row = int(index.packet_of[frame])
        (span,) = DecodePlan.of(index, [frame]).spans
        assert set(span.packets.tolist()) == {span.start, row, *needs[row]}


@pytest.mark.parametrize("name", ["av1", "av1_layers"])
def test_a_frame_of_av1_needs_the_frames_in_the_slots_it_names_and_theirs(clip: Clip, name: str) -> None:
    assert_planned_as_told(clip(name), av1_ancestors(clip(name)))


def test_a_pyramid_of_av1_costs_its_height_and_not_its_length(clip: Clip) -> None:
    index = VideoIndex.open(clip("av1_layers"))
    costs = [len(DecodePlan.of(index, [frame]).packets) for frame in range(len(index))]
    assert index.is_key.sum() == 2
    assert max(costs) <= 6


def test_reference_frames_that_no_slice_names_any_more_are_left_out(clip: Clip) -> None:
    index = VideoIndex.open(clip("strict_pyramid")).with_headers()
    table = index.packets
    last = int(np.flatnonzero(table.picture_type == ord("P"))[-1])
    (frame,) = np.flatnonzero(index.packet_of == last)
    left_out = np.setdiff1d(np.arange(last), DecodePlan.of(index, [int(frame)]).packets)
    assert (table.is_referenced[left_out] & (table.picture_type[left_out] == ord("B"))).any()


def test_an_intra_picture_that_all_later_slices_stop_at_cuts_the_chain(clip: Clip) -> None:
    index = VideoIndex.open(clip("inner_intra")).with_headers()
    table = index.packets
    (intra,) = np.flatnonzero((table.picture_type == ord("I")) & ~table.is_idr)
    assert not table.is_recovery_point[intra]
    plan = DecodePlan.of(index, [int(intra) + 3])  # shown as decoded
    assert plan.packets.tolist() == [0, *range(intra, intra + 4)]


@pytest.mark.parametrize("name", ["av1_layers", "strict_pyramid", "inner_intra"])
def test_any_frames_come_out_as_in_a_full_decode(clip: Clip, name: str) -> None:
    assert_exact(clip(name), attempts=40)


@pytest.mark.corpus
@pytest.mark.parametrize("file", AV1_CORPUS, ids=lambda file: file.name)
def test_dependencies_of_corpus_av1_are_those_of_its_headers(file: CorpusFile) -> None:
    fields = [name for packet in header_fields(file.path)[:_LONGEST] for name, _ in packet]
    if "spatial_id" in fields or "last_frame_idx" in fields or len(VideoIndex.open(file.path)) > _LONGEST:
        pytest.skip("the oracle knows neither layers nor short signaling, and no patience")
    assert_planned_as_told(file.path, av1_ancestors(file.path))


def assert_exact(path: Path, attempts: int) -> None:
    index = VideoIndex.open(path)
    plain = plain_decode(path, index)
    rng = random.Random(path.name)
    for attempt in range(attempts):
        asked = rng.sample(range(len(index)), min(len(index), rng.choice([1, 1, 2, 4])))
        got = {frame: digest(pixels) for frame, pixels in decode_frames(index, asked, threads=1 + attempt % 2)}
        assert got == {frame: plain.pixels[frame] for frame in asked}
