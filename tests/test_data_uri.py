"""Data URIs: every form of RFC 2397, and images in them."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mediaref import DataURI, limits
from mediaref.errors import InvalidReferenceError, LimitExceededError, MediaNotFoundError


@given(content=st.binary(max_size=200))
def test_any_bytes_survive_either_coding(content: bytes) -> None:
    coded = DataURI.from_uri("data:application/x;base64," + base64.b64encode(content).decode())
    quoted = DataURI.from_uri("data:application/x," + quote(content, safe=""))
    assert coded.decoded_data == quoted.decoded_data == content
    for uri in (coded, quoted):
        assert DataURI.from_uri(str(uri)) == uri
        assert len(uri) == len(uri.uri)


@pytest.mark.parametrize(
    ("uri", "mimetype", "parameters", "content"),
    [
        ("data:,A%20brief%20note", "text/plain", (), b"A brief note"),
        ("data:text/plain;charset=utf-8,x", "text/plain", ("charset=utf-8",), b"x"),
        ("data:;charset=utf-8;base64,eA==", "text/plain", ("charset=utf-8",), b"x"),
        ("DATA:image/png;BASE64,eA==", "image/png", (), b"x"),
        ("data:image/png;base64,eA", "image/png", (), b"x"),
        ("data:image/png;base64,eA%3D%3D", "image/png", (), b"x"),
        ("data:image/png;base64,eA\n==", "image/png", (), b"x"),
        ("data:image/png;base64,-_-_", "image/png", (), b"\xfb\xff\xbf"),
        ("data:text/html,a?b#c/d:e,f;g=h+i!j'k(l)*m", "text/html", (), b"a?b#c/d:e,f;g=h+i!j'k(l)*m"),
        ("data:,%2f%2F", "text/plain", (), b"//"),
    ],
)
def test_the_forms_of_the_rfc(uri: str, mimetype: str, parameters: tuple[str, ...], content: bytes) -> None:
    parsed = DataURI.from_uri(uri)
    assert (parsed.mimetype, parsed.parameters, parsed.decoded_data) == (mimetype, parameters, content)
    assert DataURI.from_uri(parsed.uri) == parsed


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://x", "Invalid data URI scheme"),
        ("data:image/png;base64", "Invalid data URI format"),
        ("data:image/png;base64,a*", "base64"),
        ("data:image/png;base64,a", "base64"),
        ("data:,100%", "begins no escape"),
        ("data:,ü", "outside ASCII"),
    ],
)
def test_broken_ones_are_refused(uri: str, words: str) -> None:
    with pytest.raises(InvalidReferenceError, match=words) as caught:
        DataURI.from_uri(uri)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 200


def test_the_limit_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_DATA_URI_LENGTH", 20)
    assert len(DataURI.from_uri("data:text/plain,1234")) == 20
    with pytest.raises(LimitExceededError, match="MAX_DATA_URI_LENGTH"):
        DataURI.from_uri("data:text/plain,12345")


def test_images_come_back_as_they_went_in() -> None:
    rng = np.random.default_rng(0)
    for shape, order in (((9, 7, 3), "rgb"), ((9, 7, 3), "bgr"), ((9, 7, 4), "rgba"), ((9, 7, 4), "bgra")):
        pixels = rng.integers(0, 256, shape, np.uint8)
        uri = DataURI.from_image(pixels, input_format=order)  # type: ignore[arg-type]
        assert uri.is_image
        np.testing.assert_array_equal(uri.to_ndarray(order), pixels)
    gray = rng.integers(0, 256, (9, 7), np.uint8)
    np.testing.assert_array_equal(DataURI.from_image(gray, input_format="gray").to_ndarray("gray"), gray)
    with pytest.raises(ValueError, match="Invalid input_format"):
        DataURI.from_image(gray)
    with pytest.raises(ValueError, match="float32"):
        DataURI.from_image(np.zeros((4, 4, 3), np.float32))  # type: ignore[arg-type]


def test_coders_and_quality() -> None:
    pixels = np.asarray(Image.radial_gradient("L").convert("RGB"))
    sizes = [len(DataURI.from_image(pixels, "jpeg", quality=quality)) for quality in (10, 50, 95)]
    assert sizes == sorted(sizes)
    assert DataURI.from_image(pixels, "jpeg").mimetype == "image/jpeg"
    np.testing.assert_array_equal(DataURI.from_image(pixels, "bmp").to_ndarray(), pixels)
    translucent = Image.new("RGBA", (4, 4), (9, 8, 7, 100))
    assert DataURI.from_image(translucent).to_pil_image().mode == "RGBA"
    assert DataURI.from_image(translucent, "bmp").to_pil_image().mode == "RGB"
    for wrong in ({"format": "jp2"}, {"quality": 0}, {"quality": 101}):
        with pytest.raises(InvalidReferenceError):
            DataURI.from_image(pixels, **wrong)  # type: ignore[arg-type]


def test_files_are_taken_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes(b"anything")
    assert DataURI.from_file(path).mimetype == "image/webp"
    assert DataURI.from_file(path, "png").mimetype == "image/png"
    assert DataURI.from_file(path).decoded_data == b"anything"
    with pytest.raises(MediaNotFoundError):
        DataURI.from_file(tmp_path / "b.png")
    with pytest.raises(ValueError, match="not an image"):
        DataURI.from_uri("data:,x").to_ndarray()
