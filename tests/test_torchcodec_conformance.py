"""Which frame is on screen: our index, and with it both our backends, against torchcodec's own choice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from corpus import CorpusFile, corpus_files

from mediaref.errors import MediaRefError, TimestampError
from mediaref.video_decoder import VideoIndex, decode_frames
from mediaref.video_decoder.backends import find_backend

pytestmark = [pytest.mark.torch, pytest.mark.corpus]

#: Frames looked at in each file: its first and last ones, and some between.
FRAMES = 10
FOLDERS = ("av1", "h264", "hevc", "real", "vp9")

EXCEPTIONS: dict[str, tuple[set[str], str]] = {}


def disagreements(file: CorpusFile) -> set[str]:
    """In what torchcodec alone, or our torchcodec backend, differs from our index and PyAV."""
    index = VideoIndex.open(file.path)
    if index.pts_ns is None:
        return {"no times"}
    frames = chosen_frames(index)
    return {*own_choices(file, index, frames), *pixels(index, frames)}


def chosen_frames(index: VideoIndex) -> list[int]:
    count = len(index)
    edges = {*range(min(3, count)), *range(max(0, count - 3), count)}
    return sorted(edges | set(random.Random(1).sample(range(count), min(count, FRAMES - len(edges)))))


def own_choices(file: CorpusFile, index: VideoIndex, frames: list[int]) -> Iterator[str]:
    """What torchcodec, asked for times without our mappings, chooses otherwise."""
    from torchcodec.decoders import VideoDecoder

    assert index.pts_ns is not None
    assert index.end_ns is not None
    try:
        decoder = VideoDecoder(str(file.path), stream_index=index.stream)
    except (RuntimeError, ValueError):
        yield "cannot be opened"
        return
    if len(decoder) != len(index):
        yield "counts other frames"
    ends = np.append(index.pts_ns[1:], index.end_ns)
    for frame in frames:
        begin, end = int(index.pts_ns[frame]), int(ends[frame])
        # A nanosecond after the floor of its time every frame has begun.
        for time in {begin + 1, (begin + end) // 2, end - 1}:
            if begin < time < end and index.frame_at(time) == frame:
                yield from own_choice(decoder, time, begin)
    for time in (int(index.pts_ns[0]) - 1000, index.end_ns + 1000):
        with pytest.raises(TimestampError):
            index.frame_at(time)
        try:
            decoder.get_frame_played_at(time / 1e9)
        except (IndexError, RuntimeError):
            continue
        yield "has frames outside"


def own_choice(decoder: Any, time: int, begin: int) -> Iterator[str]:
    try:
        given = decoder.get_frame_played_at(time / 1e9).pts_seconds
    except (IndexError, RuntimeError):
        yield "finds no frame"
        return
    if abs(Fraction(given) - Fraction(begin, 10**9)) > Fraction(1, 10**6):
        yield "chooses another frame"


def pixels(index: VideoIndex, frames: list[int]) -> Iterator[str]:
    """Where our torchcodec backend gives no frame, or another than PyAV."""
    expected = dict(decode_frames(index, frames, threads=1))
    try:
        given = dict(find_backend("torchcodec", {}, "rgb")(index, frames, threads=1))
    except MediaRefError:
        yield "is refused"
        return
    for frame in frames:
        ours, theirs = given[frame], expected[frame]
        if isinstance(ours, MediaRefError):
            yield "some frames are refused"
        elif ours.shape != theirs.shape:
            yield "has another size"
        elif np.abs(ours.astype(np.float32) - theirs).mean() > 4:
            yield "has other pixels"


@pytest.mark.parametrize("file", [file for file in corpus_files(*FOLDERS) if file.decodes], ids=lambda file: file.name)
def test_torchcodec_shows_the_frames_that_we_do(file: CorpusFile) -> None:
    expected, _ = EXCEPTIONS.get(file.name, (set(), ""))
    try:
        found = disagreements(file)
    except MediaRefError as error:
        pytest.skip(f"PyAV does not decode it: {error}")
    assert found == expected
