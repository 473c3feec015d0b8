"""Programs written for 0.3 and 1.x: their names, their argument orders, and what they may rely on."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mediaref import DataURI, MediaRef, batch_decode, cleanup_cache, decoders, iter_decode
from mediaref.video_decoder import BatchDecodingStrategy, PyAVVideoDecoder, VideoIndex
from mediaref.video_decoder.cache import indexes

Clip = Callable[[str], Path]


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
