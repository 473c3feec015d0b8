"""Programs written for 0.3 and 1.x: their names, their argument orders, and what they may rely on."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from mediaref import DataURI, MediaRef, batch_decode, cleanup_cache, decoders, iter_decode
from mediaref.video_decoder import (
    BaseVideoDecoder,
    BatchDecodingStrategy,
    FrameBatch,
    PyAVVideoDecoder,
    VideoIndex,
    VideoStreamMetadata,
)
from mediaref.video_decoder.cache import indexes

Clip = Callable[[str], Path]

ROUNDERS: list[Callable[[Fraction], int]] = [math.floor, round, math.ceil]


@pytest.fixture
def refs(clip: Clip) -> list[MediaRef]:
    return [MediaRef(uri=str(clip("plain")), pts_ns=frame * 10**9 // 30) for frame in (7, 2, 7)]


def assert_same(batch: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert len(batch) == len(expected)
    for ours, theirs in zip(batch, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# --- the second argument of batch_decode ------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", BatchDecodingStrategy)
def test_every_strategy_of_0_3_gives_the_same_frames(refs: list[MediaRef], strategy: BatchDecodingStrategy) -> None:
    expected = [ref.to_ndarray() for ref in refs]
    assert_same(batch_decode(refs, strategy), expected)
    assert_same(batch_decode(refs, strategy, "pyav"), expected)
    assert_same(batch_decode(refs, strategy, decoder="pyav"), expected)
    assert_same(batch_decode(refs=refs, strategy=strategy), expected)
    assert_same(batch_decode(refs, strategy=strategy.value), expected)


def test_the_second_positional_argument_is_told_apart_by_its_type(refs: list[MediaRef]) -> None:
    expected = [ref.to_ndarray() for ref in refs]
    for positional in (("pyav",), (None,), (None, "pyav"), ()):
        assert_same(batch_decode(refs, *positional), expected)
    with pytest.raises(ValueError, match="Unknown decoder backend: 'separate'"):
        batch_decode(refs, "separate")  # a plain string was never a strategy in this place
    with pytest.raises(ValueError, match="Unknown decoder backend: 'x'"):
        batch_decode([], "x")
    with pytest.raises(ValueError, match="Unknown decoding strategy: 'fast'"):
        batch_decode(refs, strategy="fast")
    with pytest.raises(ValueError, match="Unknown decoder backend"):
        batch_decode(refs, BatchDecodingStrategy.SEPARATE, "decord")


def test_arguments_that_contradict_each_other_are_type_errors(refs: list[MediaRef]) -> None:
    strategy = BatchDecodingStrategy.SEPARATE
    for positional, named in [
        (("pyav",), {"decoder": "pyav"}),
        (("pyav", strategy), {}),
        ((strategy, "pyav", "pyav"), {}),
        ((strategy,), {"strategy": strategy}),
    ]:
        with pytest.raises(TypeError):
            batch_decode(refs, *positional, **named)  # type: ignore[arg-type]


def test_a_call_with_a_strategy_takes_images_and_several_videos_as_0_3_did(
    refs: list[MediaRef], clip: Clip, tmp_path: Path
) -> None:
    Image.new("RGB", (12, 10), (1, 2, 3)).save(tmp_path / "still.png")
    mixed = [*refs, MediaRef(uri=str(clip("hevc")), pts_ns=0), MediaRef(uri=str(tmp_path / "still.png"))]
    with pytest.warns(UserWarning, match="refs contain images"):
        assert_same(batch_decode(mixed, BatchDecodingStrategy.SEQUENTIAL), [ref.to_ndarray() for ref in mixed])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch_decode(mixed[:-1], BatchDecodingStrategy.SEQUENTIAL)
        batch_decode(mixed, BatchDecodingStrategy.SEQUENTIAL, allow_images=True)
    with pytest.raises(ValueError, match="allow_images=False"):
        batch_decode(mixed, None)


def test_one_file_in_two_spellings_is_one_video(refs: list[MediaRef], clip: Clip) -> None:
    path = clip("plain")
    spelled = [str(path), path.as_uri(), f"FILE://localhost{path}", f"{path.parent}/./{path.name}"]
    same = [MediaRef(uri=uri, pts_ns=0) for uri in spelled[1:3]]
    assert_same(batch_decode(same), [refs[0].model_copy(update={"pts_ns": 0}).to_ndarray()] * 2)
    assert len(batch_decode([MediaRef(uri=uri, pts_ns=0) for uri in (spelled[0], spelled[3])])) == 2


def test_format_reaches_videos_and_images_alike(refs: list[MediaRef], tmp_path: Path) -> None:
    Image.new("RGB", (12, 10), (1, 2, 3)).save(tmp_path / "still.png")
    mixed = [*refs, MediaRef(uri=str(tmp_path / "still.png"))]
    for format in ("rgb", "bgr", "rgba", "gray"):
        expected = [ref.to_ndarray(format) for ref in mixed]
        assert_same(batch_decode(mixed, format=format, allow_images=True), expected)
        assert_same(list(iter_decode(mixed, format=format)), expected)
    many = [refs[0].model_copy(update={"pts_ns": frame * 10**8 // 3}) for frame in sorted([*range(24), *range(12)])]
    assert_same(list(iter_decode(many, format="bgr")), batch_decode(many, format="bgr"))
    with pytest.raises(ValueError, match="Unsupported format"):
        batch_decode(refs, format="yuv")


# --- to_rgb_array -------------------------------------------------------------------------------------------------


def test_to_rgb_array_drops_alpha_and_takes_the_keyword_of_0_3(refs: list[MediaRef], tmp_path: Path) -> None:
    Image.new("RGBA", (12, 10), (1, 2, 3, 4)).save(tmp_path / "still.png")
    image = MediaRef(uri=str(tmp_path / "still.png"))
    for ref in (refs[0], image):
        np.testing.assert_array_equal(ref.to_rgb_array(keep_av_open=True), ref.to_ndarray("rgb"))
    assert image.to_rgb_array()[0, 0].tolist() == [1, 2, 3]
    assert DataURI.from_file(tmp_path / "still.png").to_rgb_array()[0, 0].tolist() == [1, 2, 3]
    with pytest.raises(TypeError):
        refs[0].to_rgb_array(keep_open=True)  # type: ignore[call-arg]


# --- the decoder classes ------------------------------------------------------------------------------------------


def test_mediaref_decoders_has_the_names_that_the_documents_use() -> None:
    assert decoders.PyAVVideoDecoder is PyAVVideoDecoder
    assert all(getattr(decoders, name) is not None for name in decoders.__all__)


def test_get_frame_at_pts_ns_is_the_frame_on_screen(clip: Clip) -> None:
    path = clip("variable_rate")
    index = VideoIndex.open(path)
    assert index.pts_ns is not None
    with decoders.PyAVVideoDecoder(path) as decoder:
        for frame in (0, 3, 23):
            begin = int(index.pts_ns[frame])
            np.testing.assert_array_equal(decoder.get_frame_at_pts_ns(begin), decoder[frame])
            np.testing.assert_array_equal(decoder.get_frame_at_pts_ns(begin + 1), decoder[frame])
            if frame:
                np.testing.assert_array_equal(decoder.get_frame_at_pts_ns(begin - 1), decoder[frame - 1])
        with pytest.raises(ValueError, match="no frame at"):
            decoder.get_frame_at_pts_ns(10**12)


def test_decoders_take_strategies_and_index_without_wrapping(clip: Clip) -> None:
    decoder = PyAVVideoDecoder(clip("plain"))
    for strategy in (None, *BatchDecodingStrategy):
        np.testing.assert_array_equal(decoder.get_frames_at([3], strategy=strategy).data[0], decoder[3])
        np.testing.assert_array_equal(decoder.get_frames_played_at([0.1], strategy=strategy).data[0], decoder[3])
    with pytest.raises(ValueError, match="Unknown decoding strategy"):
        decoder.get_frames_at([3], strategy="fast")
    for outside in (24, -25):
        with pytest.raises(IndexError):
            decoder[outside]
    for wrong in (1.0, "1", None):
        with pytest.raises(TypeError):
            decoder[wrong]  # type: ignore[index]
    np.testing.assert_array_equal(decoder[np.int64(2)], decoder[2])  # type: ignore[index]


def test_numbers_below_zero_count_from_the_end_and_others_do_not_wrap(clip: Clip) -> None:
    decoder = PyAVVideoDecoder(clip("plain"))
    np.testing.assert_array_equal(decoder.get_frames_at([-1, 0, -24]).data, decoder.get_frames_at([23, 0, 0]).data)
    for outside in (24, -25):
        with pytest.raises(IndexError, match=f"no frame {outside}"):
            decoder.get_frames_at([0, outside])
    with pytest.raises(TypeError):
        decoder.get_frames_at([1.5])  # type: ignore[list-item]


def test_times_are_seconds_in_any_number_type(clip: Clip) -> None:
    decoder = PyAVVideoDecoder(clip("plain"))
    expected = decoder[3]
    for seconds in (0.1, Fraction(1, 10), np.float32(0.1), np.float64(0.1)):
        np.testing.assert_array_equal(decoder.get_frames_played_at([seconds]).data[0], expected)  # type: ignore[list-item]
    np.testing.assert_array_equal(decoder.get_frames_played_at(np.array([0.1])).data[0], expected)  # type: ignore[arg-type]
    assert decoder.get_frames_played_at([]).data.shape == (0, 3, 144, 176)
    assert len(decoder.get_frames_played_in_range(0, Fraction(1, 10), np.float32(30))) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [-1e-9, 0.8, 99, float("inf"), float("-inf"), float("nan")])
def test_times_outside_the_video_are_value_errors_and_runtime_errors(clip: Clip, seconds: float) -> None:
    decoder = PyAVVideoDecoder(clip("plain"))
    for kind in (ValueError, RuntimeError):
        with pytest.raises(kind):
            decoder.get_frames_played_at([0.0, seconds])
        with pytest.raises(kind):
            decoder.get_frames_played_in_range(seconds, seconds)


@pytest.mark.parametrize(
    ("start", "stop", "words"),
    [
        (0.2, 0.1, "less than or equal to stop"),
        (0.0, 0.81, "Invalid stop seconds"),
        (-0.1, 0.2, "Invalid start seconds"),
        (0.8, 0.8, "Invalid start seconds"),
    ],
)
def test_ranges_lie_within_the_video(clip: Clip, start: float, stop: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PyAVVideoDecoder(clip("plain")).get_frames_played_in_range(start, stop)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_a_value_error(clip: Clip, fps: float) -> None:
    with pytest.raises(ValueError, match="fps is"):
        PyAVVideoDecoder(clip("plain")).get_frames_played_in_range(0, 0.3, fps)


def test_ranges_have_the_frames_that_begin_in_them_and_rates_those_on_screen(clip: Clip) -> None:
    decoder = PyAVVideoDecoder(clip("plain"))

    def begins(*range: float, **fps: float) -> list[float]:
        return [round(30 * time, 5) for time in decoder.get_frames_played_in_range(*range, **fps).pts_seconds]

    assert begins(0.05, 0.2) == [2, 3, 4, 5]
    assert begins(0, 0.8) == list(range(24))
    assert begins(0.1, 0.1) == []
    assert begins(0.05, 0.35, fps=10) == [1, 4, 7]
    assert begins(0, 0.1, 60) == [0, 0, 1, 1, 2, 2]
    assert begins(0, 0.8, 7) == [0, 4, 8, 12, 17, 21]


@pytest.mark.parametrize("name", ["plain", "ntsc", "late_start", "transport", "matroska", "variable_rate"])
def test_times_of_batches_are_exact_and_lead_back_to_their_frames(clip: Clip, name: str) -> None:
    decoder = PyAVVideoDecoder(clip(name))
    with av.open(str(clip(name))) as container:
        frames = sorted(frame.pts * Fraction(frame.time_base) for frame in container.decode(video=0))  # type: ignore[operator]
    batch = decoder.get_frames_at(range(len(frames)))
    ends = [*frames[1:], decoder.metadata.end_stream_seconds]
    assert (batch.pts_seconds.dtype, batch.duration_seconds.dtype) == (np.float64, np.float64)
    assert batch.pts_seconds.tolist() == [float(time) for time in frames]
    assert batch.duration_seconds.tolist() == [float(end - time) for time, end in zip(frames, ends, strict=True)]
    assert decoder.get_frames_played_at(batch.pts_seconds).pts_seconds.tolist() == batch.pts_seconds.tolist()  # type: ignore[arg-type]
    nanoseconds = [time * 10**9 for time in frames]
    for first in range(0, len(frames) - 4, 3):
        expected = batch.pts_seconds[first : first + 4].tolist()
        for start, stop in [
            (float(frames[first]), float(frames[first + 4])),
            *((Fraction(r(nanoseconds[first]), 10**9), Fraction(r(nanoseconds[first + 4]), 10**9)) for r in ROUNDERS),
        ]:
            assert decoder.get_frames_played_in_range(start, stop).pts_seconds.tolist() == expected
    whole = decoder.get_frames_played_in_range(
        decoder.metadata.begin_stream_seconds, decoder.metadata.end_stream_seconds
    )
    assert len(whole) == len(frames)


@pytest.mark.parametrize("name", ["plain", "ntsc"])
@pytest.mark.parametrize("kind", [Fraction, float])
def test_the_rate_of_the_video_gives_its_frames_once_each(clip: Clip, name: str, kind: Callable[[Any], Any]) -> None:
    decoder = PyAVVideoDecoder(clip(name))
    rate = decoder.metadata.average_rate
    for first in range(12):
        for last in range(first, 24, 3):
            batch = decoder.get_frames_played_in_range(kind(first / rate), kind(last / rate), kind(rate))
            assert [round(time * rate) for time in batch.pts_seconds] == list(range(first, last))


def test_an_open_file_is_a_source_like_its_path(clip: Clip) -> None:
    path = clip("plain")
    expected = PyAVVideoDecoder(path).get_frames_at([3, -1]).data
    with path.open("rb") as file:
        sources = [file, io.BytesIO(path.read_bytes())]
        for source in sources:
            with PyAVVideoDecoder(source) as decoder:
                assert decoder.source is source
                assert decoder.metadata.num_frames == 24
                np.testing.assert_array_equal(decoder.get_frames_at([3, -1]).data, expected)


def test_a_closed_decoder_may_be_closed_again(clip: Clip) -> None:
    decoder = PyAVVideoDecoder(clip("plain"))
    with decoder as same:
        assert same is decoder
    decoder.close()
    decoder.close()


def test_what_no_decoder_reads_is_an_error_when_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(FileNotFoundError):
        PyAVVideoDecoder(tmp_path / "none.mp4")
    with pytest.raises(ValueError, match=r"empty\.mp4"):
        PyAVVideoDecoder(tmp_path / "empty.mp4")
    with pytest.raises(TypeError):
        PyAVVideoDecoder(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        PyAVVideoDecoder(tmp_path / "none.mp4", bogus=1)  # type: ignore[call-arg]


def test_metadata_is_that_of_the_frames(clip: Clip) -> None:
    expected = {"num_frames": 24, "width": 176, "height": 144, "pixel_format": "yuv420p"}
    plain = VideoStreamMetadata(
        **expected,  # type: ignore[arg-type]
        duration_seconds=Fraction(4, 5),
        average_rate=Fraction(30),
        begin_stream_seconds=Fraction(0),
        end_stream_seconds=Fraction(4, 5),
    )
    assert PyAVVideoDecoder(clip("plain")).metadata == plain
    late = PyAVVideoDecoder(clip("late_start")).metadata
    assert late.duration_seconds == Fraction(4, 5)
    assert (late.begin_stream_seconds, late.end_stream_seconds) == (Fraction(9599, 2880), Fraction(11903, 2880))


def test_a_decoder_written_for_0_3_or_1_1_is_one_here() -> None:
    class Of03(BaseVideoDecoder):
        metadata = property(lambda self: "metadata")

        def __getitem__(self, key: int) -> int:
            return key

        def get_frames_at(self, indices: Any, *, strategy: Any = None) -> Any:
            return indices

        def get_frames_played_at(self, seconds: Any, *, strategy: Any = None) -> Any:
            return seconds

        def close(self) -> None:
            pass

    class Of11(BaseVideoDecoder):
        def get_frames_played_at(self, seconds: Any) -> Any:
            return seconds

        def get_frames_played_in_range(
            self, start_seconds: float, stop_seconds: float, fps: float | None = None
        ) -> Any:
            return start_seconds

        def close(self) -> None:
            pass

    for kind in (Of03, Of11):
        with kind("clip.mp4", an_option=1) as decoder:
            assert decoder.source == "clip.mp4"
            assert decoder.get_frames_played_at([1.0]) == [1.0]
    assert Of03("clip.mp4").metadata == "metadata"
    with pytest.raises(NotImplementedError, match="Of03 gives frames by single times"):
        Of03("clip.mp4").get_frames_played_in_range(0, 1)
    with pytest.raises(NotImplementedError, match="Of11 does not tell"):
        print(Of11("clip.mp4").metadata)
    with pytest.raises(TypeError, match="abstract"):
        BaseVideoDecoder("clip.mp4")  # type: ignore[abstract]


def test_a_batch_shows_its_shape_and_not_its_pixels() -> None:
    batch = FrameBatch(np.zeros((2, 3, 400, 500), np.uint8), np.zeros(2), np.ones(2))
    assert "(2, 3, 400, 500)" in repr(batch)
    assert len(repr(batch)) < 200


def test_without_av_the_decoders_are_there_and_say_what_to_install() -> None:
    code = """
import sys
sys.modules["av"] = None
import mediaref, mediaref.video_decoder as v
mediaref.cleanup_cache()
try:
    v.PyAVVideoDecoder(sys.argv[1]).get_frames_at([0])
except ImportError as error:
    print(type(error).__name__, error)
"""
    shown = subprocess.run([sys.executable, "-c", code, __file__], capture_output=True, text=True, check=True)
    assert "video" in shown.stdout
    assert "MissingDependencyError" in shown.stdout


# --- the cache ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "kept"), [("1", 1), ("2", 2), ("0", 3), (None, 3)])
def test_av_cache_size_bounds_the_videos_that_are_remembered(
    clip: Clip, monkeypatch: pytest.MonkeyPatch, size: str | None, kept: int
) -> None:
    monkeypatch.delenv("AV_CACHE_SIZE", raising=False)
    if size is not None:
        monkeypatch.setenv("AV_CACHE_SIZE", size)
    cleanup_cache()
    for name in ("plain", "no_b", "cavlc"):
        latest = VideoIndex.open(clip(name))
    assert len(indexes) == kept
    assert VideoIndex.open(clip("cavlc")) is latest
    cleanup_cache()
    assert len(indexes) == 0
    assert VideoIndex.open(clip("cavlc")) is not latest


@pytest.mark.parametrize("size", ["ten", "-1", ""])
def test_av_cache_size_that_is_no_number_is_a_value_error(
    clip: Clip, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    cleanup_cache()
    monkeypatch.setenv("AV_CACHE_SIZE", size)
    with pytest.raises(ValueError, match="AV_CACHE_SIZE is"):
        VideoIndex.open(clip("plain"))


def test_cleanup_cache_imports_no_av() -> None:
    code = "import sys, mediaref; mediaref.cleanup_cache(); print('av' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
