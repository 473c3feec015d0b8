"""The options that a call may give its decoders: what they do, and that nothing unknown is swallowed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from fractions import Fraction
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np
import pytest
from PIL import Image

from mediaref import DataURI, MediaRef, batch_decode, cached_av, iter_decode
from mediaref.core import MediaRef as CoreMediaRef
from mediaref.errors import InvalidReferenceError, TimestampError, UnsupportedBitstreamError
from mediaref.video_decoder import DecodePlan, FrameBatch, PyAVVideoDecoder, VideoIndex, VideoStreamMetadata

Clip = Callable[[str], Path]

#: Samples that can be had as they are stored: a codec and a container that keep them.
NATIVE = {
    "gray": ("ffv1", ".mkv"),
    "gray12le": ("ffv1", ".mkv"),
    "gray16le": ("ffv1", ".mkv"),
    "rgb24": ("png", ".mov"),
    "rgba": ("png", ".mov"),
}


def store(folder: Path, pixel_format: str, frames: int = 3) -> Path:
    """A small lossless video of noise in `pixel_format`."""
    codec, suffix = NATIVE[pixel_format]
    path = folder / (pixel_format + suffix)
    rng = np.random.default_rng(1)
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 50, 30, pixel_format
        for number in range(frames):
            noise = rng.integers(0, 256, (30, 50, 4), np.uint8)
            frame = av.VideoFrame.from_ndarray(noise, "rgba").reformat(format=pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


# --- native samples -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pixel_format", NATIVE)
def test_native_output_is_the_samples_as_they_are_stored(tmp_path: Path, pixel_format: str) -> None:
    path = store(tmp_path, pixel_format)
    with av.open(str(path)) as container:
        expected = [frame.to_ndarray() for frame in container.decode(video=0)]
    refs = [MediaRef(uri=str(path), pts_ns=number * 10**8) for number in (2, 0, 2)]
    for ref, pixels in zip(refs, batch_decode(refs, output_format="native"), strict=True):
        assert ref.pts_ns is not None
        stored = expected[ref.pts_ns // 10**8]
        assert pixels.dtype == (np.uint16 if "1" in pixel_format else np.uint8)
        np.testing.assert_array_equal(pixels, stored)
        assert pixels.flags.writeable
        assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(refs[0].to_ndarray("native"), expected[2])
    np.testing.assert_array_equal(next(iter(iter_decode(refs, format="native"))), expected[2])


def test_native_batches_have_a_channel_axis_and_name_their_format(tmp_path: Path) -> None:
    for pixel_format, channels in (("gray16le", 1), ("rgba", 4)):
        decoder = PyAVVideoDecoder(store(tmp_path, pixel_format), output_format="native")
        batch = decoder.get_frames_at([1, 0])
        assert batch.data.shape == (2, channels, 30, 50)
        assert batch.pixel_format == decoder.metadata.pixel_format == pixel_format
    plain = PyAVVideoDecoder(store(tmp_path, "gray"))
    assert plain.get_frames_at([0]).pixel_format == "rgb24"
    assert plain.metadata.pixel_format == "gray"


def test_samples_that_have_no_array_of_their_own_are_refused(clip: Clip) -> None:
    ref = MediaRef(uri=str(clip("plain")), pts_ns=0)
    with pytest.raises(ValueError, match="does not support pixel format yuv420p"):
        ref.to_ndarray("native")
    with pytest.raises(ValueError, match="does not support pixel format yuv420p"):
        PyAVVideoDecoder(ref.uri, output_format="native").get_frames_at([0])
    assert batch_decode([ref], format="native", on_error="skip") == [None]


def test_an_expected_pixel_format_is_held_to(tmp_path: Path) -> None:
    ref = MediaRef(uri=str(store(tmp_path, "gray")), pts_ns=0)
    expected = {"expected_pixel_format": "gray"}
    assert ref.to_ndarray("native", decoder_options=expected).shape == (30, 50)
    with pytest.raises(ValueError, match="Expected pixel format rgb24, but its frames are gray"):
        ref.to_ndarray("native", decoder_options={"expected_pixel_format": "rgb24"})
    with pytest.raises(ValueError, match="requires native output"):
        ref.to_ndarray(decoder_options=expected)


def test_native_is_for_videos_and_contradictions_are_errors(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "still.png")
    ref = MediaRef(uri=str(store(tmp_path, "gray")), pts_ns=0)
    with pytest.raises(ValueError, match="native output is for frames of videos"):
        MediaRef(uri=str(tmp_path / "still.png")).to_ndarray("native")
    with pytest.raises(ValueError, match="Conflicting output_format"):
        ref.to_ndarray(decoder_options={"output_format": "native"})
    with pytest.raises(ValueError, match="Conflicting format 'bgr'"):
        batch_decode([ref], format="bgr", output_format="native")
    with pytest.raises(ValueError, match="output_format must be"):
        batch_decode([ref], output_format="bgr")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Unsupported format: 'native'"):
        ref.to_pil_image("native")
    same = batch_decode([ref], output_format="native", decoder_options={"output_format": "native"})
    np.testing.assert_array_equal(same[0], ref.to_ndarray("native"))


# --- what is unknown ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": "decord"}, "Unknown decoder backend: 'decord'"),
        ({"decoder_options": {"bogus": 1}}, "pyav has no option 'bogus'"),
        ({"decoder_options": {"output_format": "yuv"}}, "Conflicting output_format"),
        ({"image_decoder": "opencv"}, "Unknown image decoder: 'opencv'"),
        ({"image_decoder_options": {"mode": "RGB"}}, "no option 'mode'"),
        ({"image_decoder_options": {"output_dtype": "float32"}}, "output_dtype is 'float32'"),
    ],
)
def test_unknown_decoders_options_and_values_are_errors(clip: Clip, options: dict[str, Any], message: str) -> None:
    ref = MediaRef(uri=str(clip("plain")), pts_ns=0)
    for call in (ref.to_ndarray, ref.to_pil_image):
        with pytest.raises(InvalidReferenceError, match=message):
            call(**options)
    with pytest.raises(InvalidReferenceError, match=message):
        batch_decode([ref], **options)
    with pytest.raises(InvalidReferenceError, match=message):
        list(iter_decode([ref], **options))


@pytest.mark.parametrize("name", ["torchcodec", "tensorcodec"])
def test_a_decoder_that_is_not_installed_says_what_to_install(clip: Clip, tmp_path: Path, name: str) -> None:
    if find_spec(name):
        pytest.skip(f"{name} is installed")
    Image.new("RGB", (4, 4)).save(tmp_path / "still.png")
    with pytest.raises(ImportError, match=f"needs {'torchcodec' if name == 'torchcodec' else 'that package'}"):
        MediaRef(uri=str(clip("plain")), pts_ns=0).to_ndarray(decoder=name)
    with pytest.raises(ImportError, match=f"pip install {name}"):
        MediaRef(uri=str(tmp_path / "still.png")).to_ndarray(image_decoder=name)
    assert MediaRef(uri=str(tmp_path / "still.png")).to_ndarray(decoder=name).shape == (4, 4, 3)


# --- images -------------------------------------------------------------------------------------------------------


def test_sixteen_bits_of_an_image_are_kept_on_request(tmp_path: Path) -> None:
    samples = np.arange(0, 60000, 100, np.uint16).reshape(20, 30)
    Image.fromarray(samples).save(tmp_path / "deep.png")
    ref = MediaRef(uri=str(tmp_path / "deep.png"))
    options = {"output_dtype": "auto"}
    np.testing.assert_array_equal(ref.to_ndarray("gray", image_decoder_options=options), samples)
    rgba = ref.to_ndarray("rgba", image_decoder_options=options)
    assert rgba.dtype == np.uint16
    np.testing.assert_array_equal(rgba[..., 2], samples)
    assert (rgba[..., 3] == 0xFFFF).all()
    np.testing.assert_array_equal(ref.to_ndarray("gray"), samples >> 8)
    (batched,) = batch_decode([ref], format="gray", allow_images=True, image_decoder_options=options)
    np.testing.assert_array_equal(batched, samples)
    embedded = DataURI.from_file(tmp_path / "deep.png")
    np.testing.assert_array_equal(embedded.to_ndarray("gray", image_decoder_options=options), samples)
    with pytest.raises(ValueError, match="requires uint8 output"):
        ref.to_pil_image("gray", image_decoder_options=options)
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (1, 2, 3)).save(buffer, "PNG")
    (tmp_path / "plain.png").write_bytes(buffer.getvalue())
    assert MediaRef(uri=str(tmp_path / "plain.png")).to_ndarray(image_decoder_options=options).dtype == np.uint8


# --- the frame table as torchcodec takes it -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "variable_rate", "edit_list", "transport", "vp9", "matroska"])
def test_mappings_are_the_frame_table(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    frames = json.loads(index.to_torchcodec_mappings())["frames"]
    assert index.pts_ns is not None
    begins = [frame["pts"] * index.time_base.numerator * 10**9 // index.time_base.denominator for frame in frames]
    assert begins == index.pts_ns.tolist()
    for earlier, later in pairwise(frames):
        assert earlier["pts"] + earlier["duration"] == later["pts"]
    assert frames[-1]["duration"] > 0
    assert {frame["key_frame"] for frame in frames} <= {0, 1}


@pytest.mark.parametrize("name", ["pyramid", "open_gop", "hevc_open_gop", "intra_refresh", "mpeg4", "vp9_gops", "long"])
def test_every_frame_decodes_from_the_seek_point_before_it(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    starts = [
        frame for frame, row in enumerate(json.loads(index.to_torchcodec_mappings())["frames"]) if row["key_frame"]
    ]
    for frame in range(len(index)):
        before = [start for start in starts if start <= frame]
        if before:
            needed = DecodePlan.of(index, [frame]).packets[0]
            assert index.packet_of[before[-1]] <= needed <= index.packet_of[frame]
    if name in {"vp9_gops", "long"}:
        assert len(starts) > 1


def test_streams_by_whose_times_torchcodec_cannot_find_frames_have_no_mappings(clip: Clip) -> None:
    with pytest.raises(TimestampError, match="no timestamps"):
        VideoIndex.open(clip("raw")).to_torchcodec_mappings()
    with pytest.raises(UnsupportedBitstreamError, match="no presentation times"):
        VideoIndex.open(clip("avi")).to_torchcodec_mappings()


# --- names of 1.1 and 2.1 -----------------------------------------------------------------------------------------


def test_modules_of_1_1_have_their_names(clip: Clip) -> None:
    assert CoreMediaRef is MediaRef
    with cached_av.open(clip("plain"), "r", keep_av_open=True) as container:
        assert len(list(container.decode(video=0))) == 24  # type: ignore[union-attr]
    cached_av.cleanup_cache()


def test_metadata_ends_after_its_duration_where_no_end_is_given() -> None:
    known = {"num_frames": 2, "duration_seconds": Fraction(2), "average_rate": Fraction(1), "width": 4, "height": 4}
    assert VideoStreamMetadata(**known, begin_stream_seconds=Fraction(-5)).end_stream_seconds == -3  # type: ignore[arg-type]
    assert VideoStreamMetadata(**known, end_stream_seconds=Fraction(7)).end_stream_seconds == 7  # type: ignore[arg-type]
    assert FrameBatch(np.zeros((0, 3, 4, 4), np.uint8), np.zeros(0), np.zeros(0)).pixel_format is None


def test_frames_of_a_stream_without_times_are_had_by_number(clip: Clip) -> None:
    decoder = PyAVVideoDecoder(clip("raw"))
    batch = decoder.get_frames_at([0, 3])
    assert batch.data.shape == (2, 3, 144, 176)
    assert np.isnan(batch.pts_seconds).all()
    assert np.isnan(batch.duration_seconds).all()
    with pytest.raises(TimestampError, match="no timestamps"):
        decoder.get_frames_played_at([0.0])


def test_the_types_of_0_3_keep_their_names() -> None:
    from mediaref.video_decoder import types

    assert get_args(types.SECOND_TYPE) == (float, Fraction)
    assert get_args(types.PTSUnit) == ("pts", "sec")
    assert types.BatchDecodingStrategy("separate") is types.BatchDecodingStrategy.SEPARATE
    assert types.VideoStreamMetadata.__module__.startswith("mediaref.")
