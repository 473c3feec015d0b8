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

# Why torchcodec, or our backend on it, differs, and how it is known who is right: PyAV's plain decode of the whole file
# presents the frames, in number and times, that our index lists.
NO_DURATIONS = (
    "packets carry no durations, or rounded ones: torchcodec passes over frames that it takes to be over already, and "
    "ends the stream where the last one begins; a frame is on screen until the next"
)
NO_TIMES = (
    "the container stores no presentation times: torchcodec gives each frame the time of another; the picture order "
    "counts in the headers tell the order in which the decoder delivers them"
)
HIDDEN = "torchcodec counts packets that show no frame"
ALIKE = "two frames begin at the same time, and torchcodec finds frames by their times"
CANNOT_OPEN = "torchcodec does not open the file: it fails on its metadata"

EXCEPTIONS: dict[str, tuple[set[str], str]] = {
    "av1/vkcts__av1-argon_test787.obu": ({"finds no frame", "is refused"}, CANNOT_OPEN),
    "h264/fate__Enigma_Principles_of_Lust-part.flv": (
        {"chooses another frame", "counts other frames", "finds no frame", "is refused"},
        NO_TIMES,
    ),
    "h264/fate__brokensps.flv": ({"chooses another frame"}, NO_DURATIONS),
    "h264/jcodec__cat_avc_clip.mp4": ({"chooses another frame", "some frames are refused"}, ALIKE),
    "h264/media3__sample-with-large-length.avi": ({"chooses another frame", "is refused"}, NO_TIMES),
    "h264/media3__sample_with_fake_auxiliary_tracks.mp4": ({"cannot be opened", "is refused"}, CANNOT_OPEN),
    "hevc/fate__dovi-p7.mp4": ({"some frames are refused"}, ALIKE),
    "hevc/fate__loewe.ts": (
        {"counts other frames", "finds no frame"},
        "the recording begins in the middle: torchcodec counts the pictures that depend on what is missing, and seeks "
        "past the others; FFmpeg presents six frames, which our backend gets by reading from the start",
    ),
    "hevc/fate__mov_ibi_elst_starts_b.mp4": (
        {"chooses another frame"},
        "the edit list begins at a B-frame: torchcodec seeks past it and is one frame late from there on",
    ),
    "real/firefox__pixel_aspect_ratio.mp4": ({"chooses another frame", "is refused"}, NO_TIMES),
    "real/media3__roadtrip-vp92-10bit.webm": (
        {"chooses another frame", "counts other frames"},
        f"{HIDDEN}; {NO_DURATIONS}",
    ),
    "real/mmaction2__S001C001P001R001A001_rgb.avi": ({"chooses another frame", "is refused"}, NO_TIMES),
    "vp9/croscodecs__vp90-2-10-show-existing-frame2.vp9.ivf": (
        {"chooses another frame", "finds no frame"},
        NO_DURATIONS,
    ),
    "vp9/fate__vp90-2-09-lf_deltas.webm": ({"chooses another frame", "finds no frame"}, NO_DURATIONS),
    "vp9/fate__vp90-2-10-show-existing-frame.webm": ({"chooses another frame", "finds no frame"}, NO_DURATIONS),
    "vp9/fate__vp90-2-16-intra-only.webm": (
        {"cannot be opened", "some frames are refused"},
        "the stream begins with frames that are no keyframes: torchcodec cannot seek to its start, FFmpeg reads on",
    ),
    "vp9/fate__vp90-2-segmentation-sf-akiyo.webm": ({"chooses another frame", "finds no frame"}, NO_DURATIONS),
    "vp9/fate__vp90-2-trac4359.webm": ({"counts other frames"}, HIDDEN),
    "vp9/fate__vp91-2-04-yuv422.webm": ({"finds no frame"}, NO_DURATIONS),
    "vp9/fate__vp91-2-04-yuv440.webm": ({"finds no frame"}, NO_DURATIONS),
    "vp9/fate__vp91-2-04-yuv444.webm": ({"finds no frame"}, NO_DURATIONS),
    "vp9/fate__vp92-2-20-12bit-yuv420.webm": ({"finds no frame"}, NO_DURATIONS),
    "vp9/fate__vp93-2-20-10bit-yuv422.webm": ({"finds no frame"}, NO_DURATIONS),
    "vp9/fate__vp93-2-20-10bit-yuv444.webm": ({"finds no frame"}, NO_DURATIONS),
}


def disagreements(file: CorpusFile) -> set[str]:
    """In what torchcodec alone, or our torchcodec backend, differs from our index and PyAV."""
    index = VideoIndex.open(file.path)
    if index.pts_ns is None:
        pytest.skip("the stream has no timestamps")
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
    asked = list(times_on_screen(index, frames))
    found = decoder_choices(decoder, [time for time, _ in asked])
    for (_, begin), given in zip(asked, found, strict=True):
        if given is None:
            yield "finds no frame"
        elif abs(Fraction(given) - Fraction(begin, 10**9)) > Fraction(1, 10**6):
            yield "chooses another frame"
    for time in (int(index.pts_ns[0]) - 1000, index.end_ns + 1000):
        with pytest.raises(TimestampError):
            index.frame_at(time)
        if decoder_choices(decoder, [time]) != [None]:
            yield "has frames outside"


def times_on_screen(index: VideoIndex, frames: list[int]) -> Iterator[tuple[int, int]]:
    """When each of `frames` begins, is half over and is about to end, and when it began: nanoseconds."""
    assert index.pts_ns is not None
    ends = np.append(index.pts_ns[1:], index.end_ns)
    for frame in frames:
        begin, end = int(index.pts_ns[frame]), int(ends[frame])
        # A nanosecond after the floor of its time every frame has begun.
        for time in (begin + 1, (begin + end) // 2, end - 1):
            if begin < time < end:
                assert index.frame_at(time) == frame
                yield time, begin


def decoder_choices(decoder: Any, times: list[int]) -> list[float | None]:
    """When the frames begin that torchcodec itself shows at some times; None where it shows none."""
    try:
        if len(times) == 1:
            return [decoder.get_frame_played_at(times[0] / 1e9).pts_seconds]
        given: list[float | None] = decoder.get_frames_played_at([time / 1e9 for time in times]).pts_seconds.tolist()
        return given
    except (IndexError, RuntimeError):
        return [None] if len(times) == 1 else [decoder_choices(decoder, [time])[0] for time in times]


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
    expected, reason = EXCEPTIONS.get(file.name, (set(), "they agree"))
    try:
        found = disagreements(file)
    except MediaRefError as error:
        pytest.skip(f"PyAV does not decode it: {error}")
    assert found == expected, f"expected because: {reason}"
