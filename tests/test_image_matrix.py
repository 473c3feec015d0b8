"""Every kind of image by every road: a file, a remote file, a data URI; one behaviour for all."""

from __future__ import annotations

import gc
import io
import random
import threading
import tracemalloc
import warnings
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import fsspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mediaref import DataURI, MediaRef, images
from mediaref.errors import CorruptMediaError, InvalidReferenceError, MediaRefError, UnsupportedBitstreamError

RNG = np.random.default_rng(7)
#: Wider than high, and different at every corner.
PICTURE = Image.fromarray(np.kron(RNG.integers(0, 256, (3, 4, 3), np.uint8), np.ones((8, 8, 1), np.uint8)))
LOSSLESS: dict[str, dict[str, Any]] = {"png": {}, "tiff": {}, "webp": {"lossless": True}, "bmp": {}, "ppm": {}}
LOSSY = ("jpeg", "avif")
DEEP = {"output_dtype": "auto"}


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=format, **options)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {format}")
    return buffer.getvalue()


def roads(data: bytes, folder: Path) -> list[MediaRef]:
    """References to one image by every road."""
    (folder / "image.bin").write_bytes(data)
    with fsspec.open("memory://matrix/image.bin", "wb") as file:
        file.write(data)
    uris = [str(folder / "image.bin"), "memory://matrix/image.bin", DataURI.from_file(folder / "image.bin", "x").uri]
    return [MediaRef(uri=uri) for uri in uris]


def read(data: bytes, folder: Path, format: str = "rgb", **options: Any) -> NDArray[Any]:
    """What every road gives, which is the same."""
    first, *others = [ref.to_ndarray(format, **options) for ref in roads(data, folder)]
    for other in others:
        assert other.dtype == first.dtype
        np.testing.assert_array_equal(first, other)
    assert first.flags.c_contiguous
    assert first.flags.writeable
    return first


def encoded(pixels: NDArray[np.uint16], codec: str, pix_fmt: str) -> bytes:
    """A 16-bit image as FFmpeg writes it: Pillow writes none with colours."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.height, encoder.width = pixels.shape[:2]
    encoder.pix_fmt = pix_fmt
    encoder.time_base = Fraction(1)
    frame = av.VideoFrame.from_ndarray(pixels, format=pix_fmt)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


# --- orientation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "avif"])
def test_exif_orientation_is_applied_to_every_format_on_every_road(
    format: str, orientation: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain = PICTURE.copy()
    plain.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(plain)).astype(int)
    pixels = read(saved(PICTURE, format, exif=exif, **LOSSLESS.get(format, {"quality": 95})), tmp_path)
    assert pixels.shape == ((32, 24, 3) if orientation > 4 else (24, 32, 3))
    assert np.abs(pixels - expected).mean() < (1 if format in LOSSLESS else 8)


def test_an_image_that_is_embedded_is_turned_first() -> None:
    turned = PICTURE.copy()
    turned.getexif()[0x0112] = 6
    exif_data = saved(turned, "jpeg", exif=turned.getexif(), quality=95)
    for image in (turned, Image.open(io.BytesIO(exif_data))):
        for format in ("png", "jpeg", "bmp", "webp"):
            assert DataURI.from_image(image, format).to_ndarray().shape == (32, 24, 3)


# --- channels and samples -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [*LOSSLESS, *LOSSY, "gif", "jpeg2000"])
def test_formats_give_the_channels_in_the_order_asked(format: str, tmp_path: Path) -> None:
    data = saved(PICTURE, format, **LOSSLESS.get(format, {}))
    rgb = read(data, tmp_path)
    if format in LOSSLESS:
        np.testing.assert_array_equal(rgb, np.asarray(PICTURE))
    np.testing.assert_array_equal(read(data, tmp_path, "bgr"), rgb[..., ::-1])
    rgba, bgra = read(data, tmp_path, "rgba"), read(data, tmp_path, "bgra")
    np.testing.assert_array_equal(rgba[..., :3], rgb)
    np.testing.assert_array_equal(bgra, rgba[..., [2, 1, 0, 3]])
    assert (rgba[..., 3] == 255).all()
    gray = read(data, tmp_path, "gray").astype(float)
    assert np.abs(gray - rgb @ [0.299, 0.587, 0.114]).max() <= 0.51


@pytest.mark.parametrize("format", ["png", "tiff", "webp", "gif", "jpeg2000", "avif", "ico", "tga"])
def test_alpha_is_kept_where_it_is_asked_for_and_never_blended(format: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (32, 32), (200, 100, 50, 255))
    image.paste((200, 100, 50, 0), (0, 0, 32, 16))
    rgba = read(saved(image, format, **LOSSLESS.get(format, {})), tmp_path, "rgba")
    assert (rgba[:14, :, 3] <= 2).all()
    assert (rgba[18:, :, 3] >= 253).all()
    rgb = read(saved(image, format, **LOSSLESS.get(format, {})), tmp_path, "rgb")
    assert np.abs(rgb[18:].astype(int) - (200, 100, 50)).max() <= 4


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "I;16", "I"])
def test_every_mode_becomes_eight_bit_rgb(mode: str, tmp_path: Path) -> None:
    if mode.startswith("I"):
        image = Image.fromarray(np.full((6, 6), 0xFFFF, np.uint16 if mode == "I;16" else np.int32))
    else:
        image = Image.new("RGB", (6, 6), (255, 255, 255)).convert("RGBA" if mode == "PA" else "RGB").convert(mode)
    for format in ("tiff", "png", "jpeg"):
        try:
            buffer = io.BytesIO()
            image.save(buffer, format)
        except OSError:
            continue
        pixels = read(buffer.getvalue(), tmp_path)
        assert (pixels.dtype, pixels.shape) == (np.uint8, (6, 6, 3))
        assert pixels.min() >= 254


def test_a_cmyk_jpeg_of_photoshop_is_not_inverted(tmp_path: Path) -> None:
    cmyk = Image.new("RGB", (16, 16), (250, 20, 20)).convert("CMYK")
    red = read(saved(cmyk, "jpeg", quality=95), tmp_path)[8, 8].astype(int)
    assert np.abs(red - (250, 20, 20)).max() < 12


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "channels"),
    [
        ("png", "rgb48be", 3),
        ("png", "rgba64be", 4),
        ("png", "gray16be", 1),
        ("tiff", "rgb48le", 3),
        ("tiff", "rgba64le", 4),
    ],
)
def test_sixteen_bits_are_eight_unless_they_are_asked_for(
    codec: str, pix_fmt: str, channels: int, tmp_path: Path
) -> None:
    shape = (5, 7, channels)[: 2 if channels == 1 else 3]
    deep = RNG.integers(0, 1 << 16, shape, np.uint16)
    data = encoded(deep, codec, pix_fmt)
    rgb = np.repeat(deep[..., None], 3, axis=2) if channels == 1 else deep[..., :3]
    np.testing.assert_array_equal(read(data, tmp_path), (rgb >> 8).astype(np.uint8))
    kept = read(data, tmp_path, image_decoder_options=DEEP)
    assert kept.dtype == np.uint16
    np.testing.assert_array_equal(kept, rgb)
    np.testing.assert_array_equal(read(data, tmp_path, "bgr", image_decoder_options=DEEP), rgb[..., ::-1])
    alpha = read(data, tmp_path, "rgba", image_decoder_options=DEEP)[..., 3]
    np.testing.assert_array_equal(alpha, deep[..., 3] if channels == 4 else np.full((5, 7), 0xFFFF))
    gray = read(data, tmp_path, "gray", image_decoder_options=DEEP).astype(float)
    assert np.abs(gray - rgb @ [0.299, 0.587, 0.114]).max() <= 4
    uri = DataURI.from_file(tmp_path / "image.bin", "png")
    np.testing.assert_array_equal(uri.to_ndarray(image_decoder_options=DEEP), rgb)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bits_are_turned_like_eight(orientation: int, tmp_path: Path) -> None:
    deep = encoded(RNG.integers(0, 1 << 16, (5, 7, 3), np.uint16), "png", "rgb48be")
    exif = Image.Exif()
    exif[0x0112] = orientation
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    end = deep.index(b"IDAT") - 4
    data = deep[:end] + chunk(b"eXIf", block) + deep[end:]
    kept = read(data, tmp_path, image_decoder_options=DEEP)
    np.testing.assert_array_equal(kept >> 8, read(data, tmp_path))


def chunk(name: bytes, content: bytes) -> bytes:
    import zlib

    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def test_eight_bits_stay_eight_when_more_are_allowed(tmp_path: Path) -> None:
    for format in ("png", "jpeg", "webp"):
        assert read(saved(PICTURE, format), tmp_path, image_decoder_options=DEEP).dtype == np.uint8


def test_what_has_no_eight_bit_form_is_refused(tmp_path: Path) -> None:
    lab = Image.new("LAB", (4, 4))
    for image in (Image.new("F", (4, 4)), lab, Image.fromarray(np.full((4, 4), 1 << 20, np.int32))):
        for ref in roads(saved(image, "tiff"), tmp_path):
            with pytest.raises(UnsupportedBitstreamError, match="Failed to load image from") as caught:
                ref.to_ndarray()
            assert isinstance(caught.value, ValueError)


# --- animations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["gif", "png", "webp", "tiff", "avif"])
def test_the_first_frame_of_an_animation_is_taken(format: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    data = saved(frames[0], format, save_all=True, append_images=frames[1:])
    assert np.abs(read(data, tmp_path).astype(int) - (250, 0, 0)).max() <= 6


# --- what is refused ----------------------------------------------------------------------------------------------


def test_postscript_is_not_run(tmp_path: Path) -> None:
    for data in (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", saved(PICTURE, "eps")):
        for ref in roads(data, tmp_path):
            with pytest.raises(CorruptMediaError, match="IMAGE_FORMATS"):
                ref.to_ndarray()


@pytest.mark.parametrize(
    "format", ["png", "jpeg", "webp", "gif", "bmp", "tiff", "avif", "jpeg2000", "ppm", "ico", "tga"]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damage_gives_an_image_or_an_error_of_ours(format: str) -> None:
    data = saved(PICTURE, format)
    rng = random.Random(format)
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 6)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        if rng.random() < 0.3:
            del damaged[rng.randrange(len(damaged)) :]
        for options in ({}, {"output_dtype": "auto"}):
            with suppress(MediaRefError):
                assert images.decode(bytes(damaged), **options).ndim == 3


def test_no_warning_filter_is_changed_by_threads_that_decode() -> None:
    data, before = saved(PICTURE, "png"), list(warnings.filters)
    threads = [threading.Thread(target=lambda: [images.decode(data) for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


# --- into a data URI ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["png", "bmp", "webp", "tiff", "gif", "jpeg", "jpg", "avif"])
@pytest.mark.parametrize("order", ["rgb", "bgr", "rgba", "bgra", "gray"])
def test_arrays_in_any_order_are_embedded_in_any_format(format: str, order: str) -> None:
    pixels = images.from_rgb(np.asarray(PICTURE), images.check_format(order))
    try:
        uri = DataURI.from_image(pixels, format, quality=95, input_format=order)  # type: ignore[arg-type]
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {format}")
    assert uri.mimetype == f"image/{'jpeg' if format == 'jpg' else format}"
    got = uri.to_ndarray(order).astype(int)
    assert got.shape == pixels.shape
    assert np.abs(got - pixels).mean() < (1 if format in {"png", "bmp", "tiff"} else 12)


def test_pillow_images_of_any_mode_are_embedded_as_they_look() -> None:
    deep = Image.fromarray(np.array([[0, 0x1234, 0xFFFF]], np.uint16))
    assert DataURI.from_image(deep).to_ndarray("gray")[0].tolist() == [0, 0x12, 0xFF]
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    palette.info["transparency"] = 1
    assert DataURI.from_image(palette).to_ndarray("rgba")[0].tolist() == [[255, 0, 0, 255], [0, 255, 0, 0]]
    for mode in ("1", "L", "LA", "CMYK", "YCbCr", "HSV"):
        white = Image.new("RGB", (4, 4), (255, 255, 255)).convert(mode)
        assert DataURI.from_image(white).to_ndarray().min() >= 254
    with pytest.raises(UnsupportedBitstreamError):
        DataURI.from_image(Image.new("F", (4, 4)))


@pytest.mark.parametrize(
    "wrong",
    [
        (np.zeros((4, 4, 3), np.float32), "rgb"),
        (np.zeros((4, 4, 3), np.uint16), "rgb"),
        (np.zeros((4, 4, 3), np.bool_), "rgb"),
        (np.zeros((4, 4), np.uint8), "rgb"),
        (np.zeros((4, 4, 1), np.uint8), "gray"),
        (np.zeros((4, 4, 3), np.uint8), "rgba"),
        (np.zeros((4, 4, 3), np.uint8), "gray"),
        (np.zeros((4, 4, 2), np.uint8), "rgb"),
        (np.zeros((1, 4, 4, 3), np.uint8), "rgb"),
        (np.zeros((4, 4, 3), np.uint8), "grb"),
        (np.zeros((0, 4, 3), np.uint8), "rgb"),
    ],
)
def test_arrays_that_are_no_image_are_refused(wrong: tuple[NDArray[Any], str]) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        DataURI.from_image(wrong[0], input_format=wrong[1])  # type: ignore[arg-type]
    assert isinstance(caught.value, ValueError)


def test_large_uris_leave_nothing_behind() -> None:
    def use() -> None:
        noise = RNG.integers(0, 256, (500, 500, 3), np.uint8)
        ref = MediaRef(uri=DataURI.from_image(noise, "bmp"))  # type: ignore[arg-type]
        ref.to_ndarray()
        assert len(repr(ref)) < 300
        ref.normalized()
        with pytest.raises(ValueError) as caught:
            MediaRef(uri=ref.uri, pts_ns="soon")  # type: ignore[arg-type]
        assert len(str(caught.value)) < 500
        with pytest.raises(CorruptMediaError) as damaged:
            MediaRef(uri=ref.uri[: 1 << 16]).to_ndarray()
        assert len(str(damaged.value)) < 500

    use()
    gc.collect()
    tracemalloc.start()
    for _ in range(5):
        use()
    gc.collect()
    left = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert left < 1 << 20
