"""torchcodec as backend: the frames that our index chooses, or an error."""

from __future__ import annotations

import base64
import io
import multiprocessing
import pickle
import shutil
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from clips import CLIPS, remuxed_without
from numpy.typing import NDArray
from PIL import Image

from mediaref import MediaRef, batch_decode, iter_decode
from mediaref.errors import CorruptMediaError, InvalidReferenceError, MediaRefError, UnsupportedBitstreamError
from mediaref.video_decoder import PyAVVideoDecoder, TorchCodecVideoDecoder, VideoIndex, decode_frames
from mediaref.video_decoder.backends import find_backend

pytestmark = pytest.mark.torch

Clip = Callable[[str], Path]

#: Clips that torchcodec is not asked for frames of: it finds them by times, which these do not carry.
WITHOUT_TIMES = {"raw", "hevc_raw", "avi"}
#: Clips some of whose frames tensorcodec does not come to, or which change their size: it says so, and so do we.
UNREACHABLE = {"edit_list", "transport", "av1_resized", "av1_switch_frames"}
#: Backends with the interface of torchcodec.
LIBRARIES = ["torchcodec", "tensorcodec"]


def library(name: str, **options: Any) -> Any:
    if name != "torchcodec":
        pytest.importorskip(name)
    return find_backend(name, options, "rgb")


def distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    if one.shape != other.shape:
        return float("inf")
    return float(np.abs(one.astype(np.float32) - other.astype(np.float32)).mean())


def refs_of(path: Path, frames: list[int]) -> list[MediaRef]:
    index = VideoIndex.open(path)
    assert index.pts_ns is not None
    return [MediaRef(uri=str(path), pts_ns=int(index.pts_ns[frame])) for frame in frames]


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("clip_name", sorted(set(CLIPS) - WITHOUT_TIMES))
def test_every_frame_is_the_one_that_pyav_gives(clip: Clip, clip_name: str, name: str) -> None:
    index = VideoIndex.open(clip(clip_name))
    backend = library(name)
    expected = dict(decode_frames(index, range(len(index))))
    for asked in (range(len(index)), range(0, len(index), 3), [len(index) - 1], [0]):
        given = dict(backend(index, asked, threads=1))
        assert list(given) == list(asked)
        for frame, pixels in given.items():
            if name == "tensorcodec" and clip_name in UNREACHABLE and isinstance(pixels, MediaRefError):
                continue
            assert isinstance(pixels, np.ndarray), pixels
            assert pixels.shape == expected[frame].shape
            nearest = min(expected, key=lambda other: distance(expected[other], pixels))
            assert distance(expected[nearest], expected[frame]) == 0, (frame, nearest)
            assert distance(pixels, expected[frame]) < 4


@pytest.mark.parametrize("name", LIBRARIES)
def test_frames_that_depend_on_missing_packets_are_errors(clip: Clip, tmp_path: Path, name: str) -> None:
    path = remuxed_without(clip("no_b"), tmp_path / "gap.mp4", [5])
    given = dict(library(name)(VideoIndex.open(path), range(23), threads=1))
    assert [frame for frame, pixels in given.items() if isinstance(pixels, CorruptMediaError)] == list(range(5, 11))
    assert all(isinstance(given[frame], np.ndarray) for frame in [*range(5), *range(11, 23)])


@pytest.mark.parametrize("clip_name", sorted(WITHOUT_TIMES))
def test_videos_without_presentation_times_are_refused(clip: Clip, clip_name: str) -> None:
    with pytest.raises(MediaRefError, match="times"):
        TorchCodecVideoDecoder(clip(clip_name)).get_frames_at([1])


def test_references_batches_and_streams_take_the_decoder(clip: Clip) -> None:
    refs = refs_of(clip("plain"), [7, 2, 7, 20])
    expected = [ref.to_ndarray() for ref in refs]
    for given in (
        [ref.to_ndarray(decoder="torchcodec") for ref in refs],
        batch_decode(refs, "torchcodec"),
        batch_decode(refs, decoder="torchcodec", threads=2),
        list(iter_decode(refs, decoder="torchcodec")),
    ):
        assert max(map(distance, given, expected)) < 2
        given[0][:] = 0
        assert given[2].any(), "each place has an array of its own"
    assert distance(refs[0].to_ndarray("gray", decoder="torchcodec"), refs[0].to_ndarray("gray")) < 2
    assert refs[0].to_ndarray("bgra", decoder="torchcodec").shape == (144, 176, 4)
    assert refs[0].to_pil_image(decoder="torchcodec").size == (176, 144)


def test_a_call_as_in_0_3_may_name_torchcodec_after_the_strategy(clip: Clip) -> None:
    refs = refs_of(clip("plain"), [1])
    assert distance(batch_decode(refs, None, "torchcodec")[0], refs[0].to_ndarray()) < 2


@pytest.mark.parametrize(
    "clip_name",
    [
        *("plain", "edit_list", "open_gop", "variable_rate", "fragmented"),
        *("matroska", "hevc_wpp", "vp9_hidden", "av1"),
    ],
)
def test_the_real_torchcodec_takes_the_mappings(clip: Clip, clip_name: str) -> None:
    from torchcodec.decoders import VideoDecoder

    index = VideoIndex.open(clip(clip_name))
    assert index.pts_ns is not None
    decoder = VideoDecoder(
        str(clip(clip_name)), stream_index=index.stream, custom_frame_mappings=index.to_torchcodec_mappings()
    )
    middles = (index.pts_ns + np.append(index.pts_ns[1:], index.end_ns)) / 2e9
    given = decoder.get_frames_played_at(middles.tolist()).pts_seconds.numpy()
    np.testing.assert_allclose(given, index.pts_ns / 1e9, atol=1e-6)


def test_options_reach_torchcodec(clip: Clip) -> None:
    import torch
    from torchcodec.transforms import Resize

    (ref,) = refs_of(clip("plain"), [5])
    plain = ref.to_ndarray(decoder="torchcodec")
    real = ref.to_ndarray(decoder="torchcodec", decoder_options={"output_dtype": torch.float32})
    assert real.dtype == np.float32
    assert distance(real * 255, plain) < 1
    small = ref.to_ndarray(decoder="torchcodec", decoder_options={"transforms": [Resize((72, 88))]})
    assert small.shape == (72, 88, 3)
    for mode in ("exact", "approximate"):
        options = {"seek_mode": mode, "num_ffmpeg_threads": 2, "device": "cpu", "stream_index": 0}
        np.testing.assert_array_equal(ref.to_ndarray(decoder="torchcodec", decoder_options=options), plain)
    with pytest.raises(ValueError, match="requires uint8 output"):
        ref.to_ndarray("rgba", decoder="torchcodec", decoder_options={"output_dtype": torch.float32})
    with pytest.raises(ValueError, match="requires uint8 output"):
        ref.to_pil_image(decoder="torchcodec", decoder_options={"output_dtype": torch.float32})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bogus": 1}, "torchcodec has no option 'bogus'"),
        ({"custom_frame_mappings": "{}"}, "no option 'custom_frame_mappings'"),
        ({"seek_mode": "fast"}, "seek_mode is 'fast'"),
        ({"stream_index": 7}, "references point into stream 0"),
        ({"device": "abacus"}, "cannot open it with"),
    ],
)
def test_wrong_options_are_errors(clip: Clip, options: dict[str, Any], message: str) -> None:
    (ref,) = refs_of(clip("plain"), [5])
    with pytest.raises(ValueError, match=message):
        ref.to_ndarray(decoder="torchcodec", decoder_options=options)


def test_native_output_is_not_torchcodecs(clip: Clip) -> None:
    (ref,) = refs_of(clip("gray"), [5])
    with pytest.raises(InvalidReferenceError, match="no native output"):
        ref.to_ndarray("native", decoder="torchcodec")


def test_embedded_and_remote_videos_are_read(clip: Clip) -> None:
    content = clip("plain").read_bytes()
    (expected,) = (ref.to_ndarray() for ref in refs_of(clip("plain"), [9]))
    with fsspec.open("memory://torch/clip.mp4", "wb") as file:
        file.write(content)
    embedded = "data:video/mp4;base64," + base64.b64encode(content).decode()
    for uri in (embedded, "memory://torch/clip.mp4"):
        given = MediaRef(uri=uri, pts_ns=300_000_000).to_ndarray(decoder="torchcodec")
        assert distance(given, expected) < 2


def test_a_name_like_a_protocol_is_a_file_name(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip("plain"), tmp_path / "concat:take 2.mp4")
    assert MediaRef(uri="concat:take 2.mp4", pts_ns=0).to_ndarray(decoder="torchcodec").shape == (144, 176, 3)


def test_a_mirrored_picture_is_refused(clip: Clip, tmp_path: Path) -> None:
    data = bytearray(clip("plain").read_bytes())
    at = data.index(b"tkhd") + 4
    struct.pack_into(">9i", data, at + 40, -(1 << 16), 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    path = tmp_path / "mirrored.mp4"
    path.write_bytes(data)
    assert VideoIndex.open(path).orientation.flip_columns
    with pytest.raises(UnsupportedBitstreamError, match="does not apply"):
        MediaRef(uri=str(path), pts_ns=0).to_ndarray(decoder="torchcodec")


def test_ranges_begin_with_the_frame_on_screen(clip: Clip) -> None:
    torch, pyav = TorchCodecVideoDecoder(clip("plain")), PyAVVideoDecoder(clip("plain"))
    begins = torch.get_frames_played_in_range(0.05, 0.2).pts_seconds
    np.testing.assert_allclose(begins, [1 / 30, 2 / 30, 0.1, 4 / 30, 5 / 30], atol=1e-8)
    np.testing.assert_array_equal(pyav.get_frames_played_in_range(0.05, 0.2).pts_seconds, begins[1:])
    assert len(torch.get_frames_played_in_range(0.1, 0.1)) == 0
    for decoder in (torch, pyav):
        assert len(decoder.get_frames_played_in_range(0.1, 0.2, fps=60)) == 6
    assert torch.metadata == pyav.metadata
    assert torch[3].shape == (3, 144, 176)
    assert torch[-2:].shape == (2, 3, 144, 176)
    with pytest.raises(IndexError):
        torch[24]


def test_threads_may_share_a_decoder(clip: Clip) -> None:
    decoder = TorchCodecVideoDecoder(clip("long"))
    expected = decoder.get_frames_at(range(0, 240, 8)).data
    with ThreadPoolExecutor(4) as pool:
        for number, pixels in enumerate(pool.map(lambda frame: decoder[frame], range(0, 240, 8))):
            np.testing.assert_array_equal(pixels, expected[number])


def _shape_in_child(decoder: TorchCodecVideoDecoder, results: Any) -> None:
    results.put(decoder.get_frames_at([5, 6]).data.sum())


def test_a_decoder_serves_both_sides_of_a_fork(clip: Clip) -> None:
    decoder = TorchCodecVideoDecoder(clip("plain"))
    expected = decoder.get_frames_at([5, 6]).data.sum()
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_shape_in_child, args=(decoder, results))
    child.start()
    assert results.get(timeout=60) == expected
    child.join()
    assert decoder.get_frames_at([5, 6]).data.sum() == expected


# --- images -------------------------------------------------------------------------------------------------------


def stored(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_images_are_those_that_pillow_gives(tmp_path: Path, name: str, format: str) -> None:
    library(name)
    rng = np.random.default_rng(3)
    picture = Image.fromarray(np.kron(rng.integers(0, 256, (5, 6, 4), np.uint8), np.ones((8, 8, 1), np.uint8)))
    if format == "JPEG":
        picture = picture.convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "still").write_bytes(stored(picture, format, **({} if format == "GIF" else {"exif": exif})))
    ref = MediaRef(uri=str(tmp_path / "still"))
    for order in ("rgb", "bgr", "rgba", "gray"):
        ours = ref.to_ndarray(order, image_decoder=name)
        theirs = ref.to_ndarray(order)
        assert ours.shape == theirs.shape
        assert distance(ours[..., :3], theirs[..., :3]) < 3 or (format == "GIF" and order == "rgba")


@pytest.mark.parametrize("name", LIBRARIES)
def test_sixteen_bit_images_are_kept_on_request(tmp_path: Path, name: str) -> None:
    library(name)
    samples = np.arange(0, 60000, 100, np.uint16).reshape(20, 30)
    Image.fromarray(samples).save(tmp_path / "deep.png")
    ref = MediaRef(uri=str(tmp_path / "deep.png"))
    given = ref.to_ndarray("gray", image_decoder=name, image_decoder_options={"output_dtype": "auto"})
    np.testing.assert_array_equal(given, samples)


@pytest.mark.parametrize("name", LIBRARIES)
def test_broken_and_boundless_images_are_errors(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library(name)
    for content in (b"", b"no image at all", stored(Image.new("RGB", (64, 64)), "PNG")[:40]):
        (tmp_path / "broken").write_bytes(content)
        with pytest.raises(ValueError, match="Failed to load image"):
            MediaRef(uri=str(tmp_path / "broken")).to_ndarray(image_decoder=name)
    monkeypatch.setattr("mediaref.limits.MAX_IMAGE_PIXELS", 64 * 64 - 1)
    (tmp_path / "large.png").write_bytes(stored(Image.new("RGB", (64, 64)), "PNG"))
    with pytest.raises(ValueError, match="MAX_IMAGE_PIXELS"):
        MediaRef(uri=str(tmp_path / "large.png")).to_ndarray(image_decoder=name)


def test_a_decoder_can_be_pickled(clip: Clip) -> None:
    decoder = TorchCodecVideoDecoder(clip("plain"), threads=1)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(decoder))[7], decoder[7])
