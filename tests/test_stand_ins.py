"""Stand-ins: pictures of skipped blocks, fed for reference pictures of H.264 that no asked frame is predicted from."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from corpus import CorpusFile, corpus_files
from reference import PlainDecode, digest, plain_decode

from mediaref.errors import MediaRefError
from mediaref.read_stats import ReadStats
from mediaref.video_decoder import DecodePlan, VideoIndex, packets_to_feed
from mediaref.video_decoder.plan import Span, _span_of_stand_ins
from mediaref.video_decoder.span_decoder import SpanDecoder

Clip = Callable[[str], Path]

H264_CORPUS = [file for file in corpus_files("h264", "real") if file.decodes and file.codec.lower().startswith("h264")]
_LONGEST = 320
#: A frame of the clip `veryfast` before its scene cut, at the end of a chain of pyramids.
_TARGET = 32


def with_stand_ins(plan: DecodePlan) -> DecodePlan:
    """The plan with stand-ins wherever there are some, cheaper or not."""

    def span(span: Span) -> Span:
        targets = {row for frame in span.frames.tolist() for row in plan.index.packets_of(frame)}
        return _span_of_stand_ins(plan.index, span.start, targets, span.frames) or span

    return DecodePlan(plan.index, tuple(map(span, plan.spans)))


def decoded(plan: DecodePlan, threads: int) -> dict[int, object]:
    """Digests of the plan's frames. Fails if the decoder had to be fed the whole of a span after all."""
    with ReadStats() as stats, SpanDecoder(plan, threads=threads) as decoder:
        pixels = {frame: pixels for span in plan.spans for frame, pixels in decoder.decode(span)}
    assert stats.packets_fed == len(plan.packets)
    assert stats.stand_ins_fed == sum(len(span.stand_ins) for span in plan.spans)
    return {frame: error if isinstance(error, MediaRefError) else digest(error) for frame, error in pixels.items()}


def assert_exact(index: VideoIndex, plain: PlainDecode, attempts: int) -> int:
    """Random frames, one and two threads; gives the number of stand-ins that were fed."""
    rng = random.Random(index.source.name)
    fed = 0
    for attempt in range(attempts):
        asked = rng.sample(range(len(index)), min(len(index), rng.choice([1, 1, 2, 4, 10])))
        plan = with_stand_ins(DecodePlan.of(index, asked))
        assert decoded(plan, 1 + attempt % 2) == {frame: plain.pixels[frame] for frame in asked}
        fed += sum(len(span.stand_ins) for span in plan.spans)
    return fed


@pytest.mark.parametrize(
    "name", ["veryfast", "strict_pyramid", "inner_intra", "cavlc_refs", "slices", "gray", "yuv444", "ten_bit"]
)
def test_any_frames_come_out_as_in_a_full_decode(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    assert assert_exact(index, plain_decode(clip(name), index), attempts=30) > 0


def test_a_plan_has_them_where_that_is_cheaper_and_says_so(clip: Clip) -> None:
    index = VideoIndex.open(clip("veryfast"))
    plan = DecodePlan.of(index, [_TARGET])
    table, (span,) = plan.index.packets, plan.spans
    real = np.setdiff1d(span.packets, span.stand_ins)
    assert (table.picture_type[span.stand_ins] == ord("B")).any()
    assert table.is_referenced[span.stand_ins].all()
    assert len(real) < span.cost < len(span.packets)
    assert packets_to_feed(index, [_TARGET]).tolist() == [span.cost]
    assert f"and {len(span.stand_ins)} (" in plan.explain()
    assert f"{len(span.stand_ins)} of the packets as stand-ins" in plan.explain()
    assert decoded(plan, 1)


def test_a_plan_has_none_where_every_picture_is_needed(clip: Clip) -> None:
    for name in ("plain", "no_b", "mbaff", "intra_refresh", "hevc"):
        index = VideoIndex.open(clip(name))
        plan = DecodePlan.of(index, [0, len(index) // 2, len(index) - 1])
        assert not any(len(span.stand_ins) for span in plan.spans)
        assert "stand-in" not in plan.explain()


def test_every_picture_that_the_lists_name_must_be_real(clip: Clip) -> None:
    index = VideoIndex.open(clip("veryfast")).with_headers()
    plain = plain_decode(clip("veryfast"), index).pixels
    plan = with_stand_ins(DecodePlan.of(index, [_TARGET]))
    (span,) = plan.spans
    named = [row for row in np.setdiff1d(span.packets, span.stand_ins)[:-1] if index.packets.has_stand_in[row]]
    assert len(named) > 3
    for row in named:
        false = DecodePlan(plan.index, (Span(span.packets, span.frames, np.append(span.stand_ins, row)),))
        assert decoded(false, 1) != {_TARGET: plain[_TARGET]}


def test_damage_in_packets_that_stand_ins_are_fed_for_does_no_harm(clip: Clip, tmp_path: Path) -> None:
    index = VideoIndex.open(clip("veryfast"))
    plain = plain_decode(clip("veryfast"), index).pixels
    (span,) = DecodePlan.of(index, [_TARGET]).spans
    content = bytearray(clip("veryfast").read_bytes())
    for row in span.stand_ins:
        end = int(index.packets.position[row] + index.packets.size[row])
        content[end - 20 : end] = bytes(range(200, 220))
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    assert decoded(DecodePlan.of(VideoIndex.open(path), [_TARGET]), 1) == {_TARGET: plain[_TARGET]}


def test_in_doubt_a_span_with_stand_ins_is_fed_whole(clip: Clip) -> None:
    index = VideoIndex.open(clip("veryfast"))
    plan = with_stand_ins(DecodePlan.of(index, [_TARGET]))
    (span,) = plan.spans
    whole = plan.in_doubt(span)
    assert whole is not None
    assert whole.packets.tolist() == list(range(span.start, int(span.packets[-1]) + 1))
    assert len(whole.stand_ins) == 0


@pytest.mark.corpus
@pytest.mark.parametrize("file", H264_CORPUS, ids=lambda file: file.name)
def test_any_frames_of_a_corpus_file_come_out_as_in_a_full_decode(file: CorpusFile) -> None:
    try:
        index = VideoIndex.open(file.path).with_headers()
        if len(index) > _LONGEST or not index.packets.has_stand_in.any():
            pytest.skip("long, or nothing in it has a stand-in")
        ends = with_stand_ins(DecodePlan.of(index, [0, len(index) - 1]))
        if not any(len(span.stand_ins) for span in ends.spans):
            pytest.skip("every picture is needed")
        plain = plain_decode(file.path, index)
    except (MediaRefError, av.FFmpegError) as error:
        pytest.skip(str(error))
    if len(plain.pixels) != len(index) or any(plain.corrupt):
        pytest.skip("damaged")
    assert_exact(index, plain, attempts=12)
