"""Which frame is on screen: our index, and with it both our backends, against torchcodec's own choice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from corpus import CorpusFile, corpus_files
from numpy.typing import NDArray

from mediaref.errors import MediaRefError, TimestampError
from mediaref.video_decoder import VideoIndex, decode_frames
from mediaref.video_decoder.backends import find_backend
from mediaref.video_decoder.pyav import frames_or_errors

pytestmark = [pytest.mark.torch, pytest.mark.corpus, pytest.mark.timeout(1800)]

#: Frames of each file whose pixels are compared; which ones are chosen is looked at for all.
COMPARED = 10
#: Size of pictures that are not looked at.
THUMBNAIL = (16, 16)
#: Times that torchcodec is asked for at once.
BATCH = 3000
FOLDERS = ("av1", "h264", "hevc", "real", "vp9")

# Why torchcodec, or our backend on it, differs, and how it is known who is right: PyAV's plain decode of the whole file
# presents the frames, in number and times, that our index lists.
NO_DURATIONS = (
    "packets carry no durations, or rounded ones: torchcodec ends the stream where the last frame begins, and passes "
    "over frames that it takes to be over already; a frame is on screen until the next"
)
NO_TIMES = (
    "the container stores no presentation times: torchcodec gives each frame the time of another; the picture order "
    "counts in the headers tell the order in which the decoder delivers them"
)
HIDDEN = "torchcodec counts packets that show no frame"
ALIKE = "two frames begin at the same time, and torchcodec finds frames by their times"
CANNOT_OPEN = "torchcodec does not open the file: it fails on its metadata"

#: Files whose damage decoders conceal with what they have decoded before: their pixels are not compared.
CONCEALED = {"h264/fate__empty_edit_5s.mp4"}

EXCEPTIONS: dict[str, tuple[set[str], str]] = {
    "av1/vkcts__av1-argon_test787.obu": ({"finds no frame", "is refused"}, CANNOT_OPEN),
    "h264/fate__Enigma_Principles_of_Lust-part.flv": (
        {"chooses another frame", "counts other frames", "finds no frame", "is refused"},
        NO_TIMES,
    ),
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
    "vp9/croscodecs__vp90-2-10-show-existing-frame2.vp9.ivf": ({"finds no frame"}, NO_DURATIONS),
    "vp9/fate__vp90-2-09-lf_deltas.webm": ({"finds no frame"}, NO_DURATIONS),
    "vp9/fate__vp90-2-10-show-existing-frame.webm": ({"finds no frame"}, NO_DURATIONS),
    "vp9/fate__vp90-2-16-intra-only.webm": (
        {"cannot be opened", "some frames are refused"},
        "the stream begins with frames that are no keyframes: torchcodec cannot seek to its start, FFmpeg reads on",
    ),
    "vp9/fate__vp90-2-segmentation-sf-akiyo.webm": ({"finds no frame"}, NO_DURATIONS),
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
    found = {*own_choices(file, index), *backend_choices(index)}
    return found if file.name in CONCEALED else found | {*pixels(index, chosen_frames(index))}


def own_choices(file: CorpusFile, index: VideoIndex) -> Iterator[str]:
    """What torchcodec, asked for times of all frames without our mappings, chooses otherwise."""
    from torchcodec.decoders import VideoDecoder

    assert index.pts_ns is not None
    assert index.end_ns is not None
    try:
        decoder = VideoDecoder(str(file.path), stream_index=index.stream, transforms=thumbnails())
    except (RuntimeError, ValueError):
        yield "cannot be opened"
        return
    if len(decoder) != len(index):
        yield "counts other frames"
    times = times_on_screen(index)
    given = decoder_choices(decoder, times.asked)
    if np.isnan(given).any():
        yield "finds no frame"
    if (np.abs(given - times.begins / 1e9) > 1e-6).any():
        yield "chooses another frame"
    for time in (int(index.pts_ns[0]) - 1000, index.end_ns + 1000):
        with pytest.raises(TimestampError):
            index.frame_at(time)
        if not np.isnan(decoder_choices(decoder, np.array([time]))).all():
            yield "has frames outside"


def thumbnails() -> list[Any]:
    """Makes torchcodec give pictures of which thousands can be held."""
    from torchcodec.transforms import Resize

    return [Resize(THUMBNAIL)]


class Times(NamedTuple):
    """Times to ask for, and when the frames on screen at them begin: nanoseconds."""

    asked: NDArray[np.int64]
    begins: NDArray[np.int64]


def times_on_screen(index: VideoIndex) -> Times:
    """When each frame has begun, is half over and is about to end: there our index finds it."""
    frames = np.arange(len(index))
    begins, ends = index.shown_ns(frames)
    times = np.stack([begins, begins + (ends - begins) // 2, ends - 1], axis=1)
    lasting = ends > begins + 1  # of frames that begin at the same time only the last is ever on screen
    asked = times[lasting].reshape(-1)
    np.testing.assert_array_equal(index.frames_at(asked), np.repeat(frames[lasting], 3))
    begun = np.repeat(begins[lasting], 3)
    # torchcodec's own times are fractions: a nanosecond after the floor of its time every frame has begun.
    return Times(asked + (asked == begun), begun)


def decoder_choices(decoder: Any, times: NDArray[np.int64]) -> NDArray[np.float64]:
    """When the frames begin that torchcodec itself shows at some times, in seconds; NaN where it shows none."""
    if len(times) > BATCH:
        parts = np.array_split(times, -(-len(times) // BATCH))
        return np.concatenate([decoder_choices(decoder, part) for part in parts])
    try:
        if len(times) == 1:
            return np.array([decoder.get_frame_played_at(float(times[0]) / 1e9).pts_seconds])
        given: NDArray[np.float64] = decoder.get_frames_played_at((times / 1e9).tolist()).pts_seconds.numpy()
        return given
    except (IndexError, RuntimeError):
        if len(times) == 1:
            return np.array([np.nan])
        return np.concatenate([decoder_choices(decoder, half) for half in np.array_split(times, 2)])


def backend_choices(index: VideoIndex) -> Iterator[str]:
    """Where PyAV gives a frame, all of them asked for, and our torchcodec backend does not.

    Each proves which frame it gives, by its packet's number and by its time, or gives an error.
    """
    frames = range(len(index))
    for _, ours in frames_or_errors(index, frames, threads=1, size=THUMBNAIL):
        if isinstance(ours, MediaRefError):
            raise ours
    try:
        given = dict(find_backend("torchcodec", {"transforms": thumbnails()}, "rgb")(index, frames, threads=1))
    except MediaRefError:
        yield "is refused"
        return
    assert list(given) == list(frames)
    if any(isinstance(theirs, MediaRefError) for theirs in given.values()):
        yield "some frames are refused"


def chosen_frames(index: VideoIndex) -> NDArray[np.int64]:
    """The first frames, the last ones, and some between."""
    count = len(index)
    edges = {*range(min(3, count)), *range(max(0, count - 3), count)}
    return np.array(sorted(edges | set(random.Random(1).sample(range(count), min(count, COMPARED - len(edges))))))


def pixels(index: VideoIndex, frames: NDArray[np.int64]) -> Iterator[str]:
    """Where our torchcodec backend gives other pixels than PyAV."""
    expected = dict(decode_frames(index, frames, threads=1))
    try:
        given = dict(find_backend("torchcodec", {}, "rgb")(index, frames, threads=1))
    except MediaRefError:
        return
    for frame in frames.tolist():
        ours, theirs = expected[frame], given[frame]
        if isinstance(theirs, MediaRefError):
            continue
        if ours.shape != theirs.shape:
            yield "has another size"
        elif distance(ours, theirs) > 4:
            yield "has other pixels"


def distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.abs(one.astype(np.float32) - other).mean())


@pytest.mark.parametrize("file", [file for file in corpus_files(*FOLDERS) if file.decodes], ids=lambda file: file.name)
def test_torchcodec_shows_the_frames_that_we_do(file: CorpusFile) -> None:
    expected, reason = EXCEPTIONS.get(file.name, (set(), "they agree"))
    try:
        found = disagreements(file)
    except MediaRefError as error:
        pytest.skip(f"PyAV does not decode it: {error}")
    assert found == expected, f"expected because: {reason}"
