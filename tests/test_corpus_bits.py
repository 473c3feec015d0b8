"""Every H.264, HEVC, VP9 and AV1 file of the corpus, against itself (every bit accounted for) and against FFmpeg."""

from __future__ import annotations

import random
from dataclasses import fields

import numpy as np
import pytest
from corpus import CorpusFile, corpus_files
from reference import plain_decode

from mediaref.bitcost import BitCost, bit_costs_or_errors, read_bit_costs
from mediaref.errors import MediaRefError
from mediaref.video_decoder import VideoIndex

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(600)]

H264_FILES = [file for file in corpus_files("h264", "real", codec="h264") if file.decodes]
HEVC_FILES = [file for file in corpus_files("hevc", "real", codec="hevc") if file.decodes]
VP9_FILES = [file for file in corpus_files("vp9", "real", codec="vp9") if file.decodes]
AV1_FILES = [file for file in corpus_files("av1", "real", codec="av1") if file.decodes]
#: FFmpeg refuses to open this one: adaptive colour transform.
NOT_OPENED = {"hevc/oxideav__r416-act.hevc"}
FILES = [file for file in H264_FILES + HEVC_FILES + VP9_FILES + AV1_FILES if file.name not in NOT_OPENED]

#: Of these FFmpeg does not give one picture a packet that it can convert: a packet that shows two frames of one layer,
#: widths and heights that change with each frame.
WITHOUT_PIXELS = {"av1/vkcts__av1-argon_test787.obu", "av1/vkcts__av1-argon_test1019.obu"}
SHOWN = [file for file in FILES if file.name not in WITHOUT_PIXELS]

#: Files with frames that have no map, and why. All other frames must have one.
WITHOUT_MAP = {
    "h264/openh264__Error_I_P.264": "slices are missing on purpose; FFmpeg conceals them",
    "hevc/fate__loewe.ts": "the last packet is cut short",
    "hevc/gpacts__counter.hvc": "the last picture has one of its nine slices",
}

#: 4:4:4 by an x264 before build 151 whose signature is missing: FFmpeg cannot know of that version's fault, and fails.
MISREAD_BY_FFMPEG = {"h264/fate__empty_edit_5s.mp4"}

_MOST_PIXELS = 200_000_000
_COMPARED: list[int] = []


def name(file: CorpusFile) -> str:
    return file.name


@pytest.mark.parametrize("file", FILES, ids=name)
def test_every_bit_of_every_frame_is_accounted_for(file: CorpusFile) -> None:
    index = VideoIndex.open(file.path)
    for cost in bit_costs_or_errors(index, range(len(index)), threads=2):
        if isinstance(cost, MediaRefError):
            assert file.name in WITHOUT_MAP, cost
            continue
        assert int(cost.bits.sum(dtype=np.int64)) + cost.overhead_bits == cost.packet_bits
        if cost.random_access == "packet":
            assert cost.packet_bits == 8 * int(index.packet_bytes[cost.frame_index])
        np.testing.assert_array_equal(sum(cost.syntax.values()), cost.bits)
        assert cost.cells.shape == (-(-cost.height // 4), -(-cost.width // 4))
        assert cost.cells.sum(dtype=np.float64) <= cost.bits.sum(dtype=np.float64) * (1 + 1e-4) + 1e-3
        assert set(np.unique(cost.kind)) <= {0, 1, 2, 3}


@pytest.mark.parametrize("file", [file for file in SHOWN if file not in H264_FILES], ids=name)
def test_frames_are_those_that_ffmpeg_presents(file: CorpusFile) -> None:
    index = VideoIndex.open(file.path)
    assert len(index) == len(plain_decode(file.path, index, pixels=False).corrupt)


@pytest.mark.parametrize("file", H264_FILES, ids=name)
def test_frames_are_those_that_ffmpeg_presents_with_its_quantisers(file: CorpusFile) -> None:
    index = VideoIndex.open(file.path)
    depth = _luma_depth(file)
    every = 1 + len(index) * index.width * index.height // _MOST_PIXELS
    plain = plain_decode(file.path, index, qp_every=every, pixels=False)
    assert len(index) == len(plain.qp)
    compared = 0
    asked = [frame for frame, qp in enumerate(plain.qp) if qp is not None]
    for cost in bit_costs_or_errors(index, asked, threads=2):
        if isinstance(cost, MediaRefError) or file.name in MISREAD_BY_FFMPEG:
            continue
        expected = plain.qp[cost.frame_index]
        if expected is None or plain.corrupt[cost.frame_index] or expected.shape != cost.qp.shape:
            continue
        # FFmpeg counts from the lowest quantiser of the bit depth, and says 0 for PCM.
        ours = cost.qp.astype(np.int32) + 6 * (depth - 8)
        ordinary = cost.kind != 3
        assert (ours == index.orientation.apply(expected))[ordinary].all(), f"frame {cost.frame_index}"
        compared += 1
    _COMPARED.append(compared)


@pytest.mark.skipif(not FILES, reason="no corpus")
def test_the_quantisers_of_most_files_were_compared() -> None:
    if len(_COMPARED) < len(H264_FILES):
        pytest.skip("only part of the corpus was run")
    assert sum(compared > 0 for compared in _COMPARED) > len(H264_FILES) // 2


@pytest.mark.parametrize("file", FILES, ids=name)
def test_a_frame_asked_alone_has_the_map_of_the_full_scan(file: CorpusFile) -> None:
    index = VideoIndex.open(file.path)
    chosen = random.Random(7).sample(range(len(index)), min(4, len(index)))
    window = {near for frame in chosen for near in range(max(0, frame - 20), min(len(index), frame + 20))}
    together = {
        cost.frame_index: cost
        for cost in bit_costs_or_errors(index, sorted(window), threads=2)
        if isinstance(cost, BitCost) and cost.frame_index in chosen
    }
    for frame, cost in together.items():
        (alone,) = read_bit_costs(index, [frame], threads=1)
        for field in fields(BitCost):
            ours, full = getattr(alone, field.name), getattr(cost, field.name)
            np.testing.assert_equal(ours, full, err_msg=field.name)


def _luma_depth(file: CorpusFile) -> int:
    pixel_format = file.codec.split("/")[2]
    return next((bits for bits in (9, 10, 12, 14) if f"p{bits}" in pixel_format or f"gray{bits}" in pixel_format), 8)
