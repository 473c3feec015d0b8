"""Images: one behaviour for every file that Pillow reads."""

from __future__ import annotations

import io
import re
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mediaref import images, limits
from mediaref.errors import CorruptMediaError, InvalidReferenceError, LimitExceededError, UnsupportedBitstreamError


def saved(image: Image.Image, format: str = "png", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


def test_channels() -> None:
    image = Image.new("RGBA", (3, 2), (10, 20, 30, 40))
    data = saved(image)
    assert images.decode(data, "rgb")[0, 0].tolist() == [10, 20, 30]
    assert images.decode(data, "bgr")[0, 0].tolist() == [30, 20, 10]
    assert images.decode(data, "rgba")[0, 0].tolist() == [10, 20, 30, 40]
    assert images.decode(data, "bgra")[0, 0].tolist() == [30, 20, 10, 40]
    assert images.decode(data, "gray")[0, 0] == (10 * 4899 + 20 * 9617 + 30 * 1868 + 8192) >> 14
    assert images.decode(saved(image.convert("RGB")), "rgba")[0, 0, 3] == 255
    with pytest.raises(InvalidReferenceError, match="Unsupported format"):
        images.decode(data, "cmyk")


def test_grey_stays_grey() -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    np.testing.assert_array_equal(images.decode(saved(ramp), "gray")[0], np.arange(256))


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "gif", "bmp", "tiff", "ppm", "ico", "jpeg2000", "avif"])
def test_formats(format: str) -> None:
    image = Image.new("RGB", (32, 32), (200, 100, 50))
    try:
        data = saved(image, format)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow writes no {format}")
    pixels = images.decode(data)
    assert pixels.shape == (32, 32, 3)
    assert np.abs(pixels.astype(int) - (200, 100, 50)).max() <= 4


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr"])
def test_modes_are_converted(mode: str) -> None:
    image = Image.new("RGB", (4, 4), (255, 255, 255)).convert(mode)
    pixels = images.decode(saved(image, "jpeg" if mode in {"CMYK", "YCbCr"} else "png"))
    assert pixels.shape == (4, 4, 3)
    assert pixels.min() >= 254


def test_transparent_palettes_keep_their_alpha() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    pixels = images.decode(saved(image, transparency=1), "rgba")
    assert pixels[0].tolist() == [[255, 0, 0, 255], [0, 255, 0, 0]]


def test_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (4, 2), (0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert images.decode(saved(image, "jpeg", exif=exif)).shape == (4, 2, 3)


def test_sixteen_bits_become_eight_by_the_high_byte() -> None:
    deep = Image.fromarray(np.array([[0, 255, 256, 0x1234, 0xFFFF]], np.uint16))
    for format in ("png", "tiff"):
        assert images.decode(saved(deep, format), "gray")[0].tolist() == [0, 0, 1, 0x12, 0xFF]


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    data = saved(frames[0], "gif", save_all=True, append_images=frames[1:])
    assert images.decode(data)[0, 0].tolist() == [255, 0, 0]


def test_bad_images_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(Image.effect_noise((64, 64), 50))
    for damaged in (b"", b"no image", data[: len(data) // 2]):
        with pytest.raises(CorruptMediaError):
            images.decode(damaged)
    with pytest.raises(UnsupportedBitstreamError, match="floating-point"):
        images.decode(saved(Image.new("F", (2, 2)), "tiff"))
    monkeypatch.setattr(limits, "MAX_IMAGE_PIXELS", 64 * 64)
    assert images.decode(data).shape == (64, 64, 3)
    monkeypatch.setattr(limits, "MAX_IMAGE_PIXELS", 64 * 64 - 1)
    with pytest.raises(LimitExceededError, match="MAX_IMAGE_PIXELS"):
        images.decode(data)


def test_an_icon_that_holds_more_than_it_says_is_held_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = saved(Image.effect_noise((64, 64), 50))
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inner), 22) + inner
    monkeypatch.setattr(limits, "MAX_IMAGE_PIXELS", 64 * 64)
    assert images.decode(icon).shape == (64, 64, 3)
    monkeypatch.setattr(limits, "MAX_IMAGE_PIXELS", 64 * 64 - 1)
    with pytest.raises(LimitExceededError, match="MAX_IMAGE_PIXELS"):
        images.decode(icon)


def test_a_jpeg_may_go_over_its_picture_so_many_times(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(Image.effect_noise((64, 64), 50), "jpeg", progressive=True)
    begin = data.index(b"\xff\xda")
    scans = re.findall(rb"\xff\xda(?:[^\xff]|\xff[^\xc4\xda\xd9])*", data)
    more = data[:begin] + scans[0] * 3 + data[begin:]
    monkeypatch.setattr(limits, "MAX_JPEG_SCANS", len(scans) + 3)
    assert images.decode(more).shape == (64, 64, 3)
    monkeypatch.setattr(limits, "MAX_JPEG_SCANS", len(scans) + 2)
    with pytest.raises(LimitExceededError, match="MAX_JPEG_SCANS"):
        images.decode(more)
    # What looks like scans in a comment, or behind the picture, is none.
    many = b"\xff\xda" * 1000
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(many)) + many
    np.testing.assert_array_equal(images.decode(data[:2] + comment + data[2:] + many), images.decode(data))


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    header = bytearray(saved(Image.new("1", (8, 8))))
    header[16:24] = (60000).to_bytes(4, "big") * 2  # the size in the PNG header
    with pytest.raises((LimitExceededError, CorruptMediaError)):
        images.decode(bytes(header))
