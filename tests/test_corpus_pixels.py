"""Pixels of the whole corpus: of every video, any frames are those that PyAV decodes by itself, bit for bit.

The oracle knows nothing of the library: PyAV opens the file and decodes it from the beginning, or, of a long file, also
from where FFmpeg seeks to. Frames are drawn at random: the same ones in every run, and others, which
`PIXEL_SEED=<the number that a failure shows>` draws again.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from corpus import CorpusFile, corpus_files
from reference import digest

from mediaref.errors import CorruptMediaError, MediaRefError, UnsupportedBitstreamError
from mediaref.video_decoder import VideoIndex
from mediaref.video_decoder.pyav import frames_or_errors

FILES = corpus_files("av1", "h264", "hevc", "real", "vp9")
SEED = int(os.environ.get("PIXEL_SEED", random.randrange(1 << 32)))
#: Pixels of all pictures that are decoded plainly from one place of a file, about: a second's work.
_WINDOW_PIXELS = 80_000_000
#: Windows of a long file behind the first.
_LATER_WINDOWS = 2
#: How many frames are asked for, with how many threads: the same ones in each run, and others.
_SAME_REQUESTS = [(1, 1), (1, 2), (5, 2)]
_OTHER_REQUESTS = [(1, 1), (3, 2)]
#: Pictures that are decoded behind a frame may be shown before it: so many at the end of a window are not complete.
_MOST_REORDERED = 16
#: A packet in it shows two frames, of two layers, which AV1 rules out: the first of them is the frame of that packet.
_TWO_IN_A_PACKET = {"av1/vkcts__av1-argon_test787.obu"}
#: A frame of it was left out on purpose. What depends on it is wrong, which FFmpeg does not tell of.
_LACKS_A_FRAME = {"h264/openh264__BA_MW_D_P_LOST.264"}

#: Of a picture that FFmpeg does not turn into RGB.
NO_RGB = "no RGB"


@dataclass
class Window:
    """What a plain decode presents of a run of frames, in display order."""

    times: list[int | None] = field(default_factory=list)
    #: Shape and hash of each frame.
    frames: list[Any] = field(default_factory=list)
    #: So many frames are sound for certain: they came before any damage was met.
    sound: int = 0
    #: It reaches to the end of the file.
    is_to_the_end: bool = True


def plainly_decoded(path: Path, most: int, seek_to: float | None = None) -> Window:
    """Decode up to `most` frames, from the beginning, or from the keyframe before the share `seek_to` of the video."""
    window, is_damaged, stored = Window(), False, list[int | None]()
    frames: list[tuple[int | None, Any]] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        if seek_to is not None:
            container.seek(round((stream.start_time or 0) + seek_to * (stream.duration or 0)), stream=stream)
        for packet in container.demux(stream):
            stored += [packet.pts] if packet.size else []
            try:
                decoded = stream.codec_context.decode(packet if packet.size else None)
            except av.FFmpegError:
                decoded, is_damaged = [], True
            for frame in decoded:
                is_damaged |= frame.is_corrupt
                frames.append((frame.pts, rgb(frame)))
                window.sound += not is_damaged
            if len(frames) >= most:
                window.is_to_the_end = False
                break
    times = [time for time, _ in frames]
    # Timestamps tell the order, unless they only repeat the order in which the packets are stored.
    if None not in times and stored != sorted(stored, key=lambda time: time or 0):
        frames.sort(key=lambda frame: frame[0] or 0)
    if not window.is_to_the_end:
        del frames[-_MOST_REORDERED:]
    if seek_to is not None:  # what is shown before the keyframe may depend on what was before it
        frames = [(time, pixels) for time, pixels in frames if (time or 0) >= (stored[0] or 0)]
    window.times = [time for time, _ in frames]
    window.frames = [pixels for _, pixels in frames]
    return window


def rgb(frame: av.VideoFrame) -> Any:
    try:
        pixels = frame.to_ndarray(format="rgb24")
    except av.FFmpegError:
        return NO_RGB
    return digest(np.rot90(pixels, frame.rotation // 90))


def assert_same(index: VideoIndex, first: int, window: Window, seed: str, requests: Sequence[tuple[int, int]]) -> None:
    """Ask for random frames of a window, which begins with frame `first` of the video."""
    rng = random.Random(seed)
    for count, threads in requests:
        asked = rng.sample(range(first, first + len(window.frames)), min(count, len(window.frames)))
        for frame, pixels in frames_or_errors(index, asked, threads=threads):
            described = f"frame {frame} of {asked}, {threads} threads, PIXEL_SEED={SEED}"
            expected = window.frames[frame - first]
            if isinstance(pixels, CorruptMediaError):
                assert frame - first >= window.sound, f"{described}: {pixels}"
            elif isinstance(pixels, UnsupportedBitstreamError):
                assert expected == NO_RGB, f"{described}: {pixels}"
            else:
                assert not isinstance(pixels, MediaRefError)
                assert digest(pixels) == expected, described


@pytest.mark.corpus
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_any_frames_are_those_of_a_plain_decode(file: CorpusFile) -> None:
    try:
        index = VideoIndex.open(file.path)
    except MediaRefError as error:
        with pytest.raises((av.FFmpegError, IndexError)):
            assert plainly_decoded(file.path, 1).frames[0]
        pytest.skip(f"FFmpeg gives nothing of it either: {error}")
    most = max(2 * _MOST_REORDERED, _WINDOW_PIXELS // (index.width * index.height))
    window = plainly_decoded(file.path, most)
    if file.name in _TWO_IN_A_PACKET:
        window.frames = [
            pixels for at, pixels in enumerate(window.frames) if window.times.index(window.times[at]) == at
        ]
    if file.name in _LACKS_A_FRAME:
        window.sound = 0
    if window.is_to_the_end:
        assert len(window.frames) == len(index)
    assert_same(index, 0, window, file.name, _SAME_REQUESTS)
    assert_same(index, 0, window, f"{file.name} {SEED}", _OTHER_REQUESTS)
    if window.is_to_the_end or index.pts_ns is None:
        return
    rng = random.Random(f"{file.name} {SEED}")
    shown = index.packets.pts[index.packet_of].tolist()
    for _ in range(_LATER_WINDOWS):
        window = plainly_decoded(file.path, most, rng.random())
        first = shown.index(window.times[0])
        assert window.times == shown[first : first + len(window.times)]
        assert_same(index, first, window, f"{file.name} {SEED}", _OTHER_REQUESTS)
