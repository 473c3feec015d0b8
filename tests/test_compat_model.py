"""`MediaRef` and `DataURI` as programs and data written for 0.3 and 1.1 know them: what goes in, and what comes out."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from mediaref import DataURI, MediaRef
from mediaref.errors import InvalidReferenceError

Clip = Callable[[str], Path]

PIXELS = np.arange(4 * 5 * 4, dtype=np.uint8).reshape(4, 5, 4)
#: `[MediaRef(uri="a.mp4", pts_ns=7), DataURI.from_uri("data:text/plain,x")]` as mediaref 1.1.0 pickles them; 0.3.1 too.
PICKLED = (
    b"\x80\x04\x95\x12\x01\x00\x00\x00\x00\x00\x00]\x94(\x8c\rmediaref.core\x94\x8c\x08MediaRef\x94\x93\x94)\x81\x94}"
    b"\x94(\x8c\x08__dict__\x94}\x94(\x8c\x03uri\x94\x8c\x05a.mp4\x94\x8c\x06pts_ns\x94K\x07u\x8c\x12__pydantic_extra__"
    b"\x94N\x8c\x17__pydantic_fields_set__\x94\x8f\x94(h\nh\x08\x90\x8c\x14__pydantic_private__\x94Nub\x8c\x11mediaref."
    b"data_uri\x94\x8c\x07DataURI\x94\x93\x94)\x81\x94}\x94(h\x06}\x94(\x8c\x08mimetype\x94\x8c\ntext/plain\x94\x8c\tis_"
    b"base64\x94\x89\x8c\x04data\x94C\x01x\x94uh\x0bNh\x0c\x8f\x94(h\x15h\x17h\x18\x90h\x0eNube."
)


# --- MediaRef: fields ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "pts_ns"),
    [
        ("12", 12),
        (b"12", 12),
        ("1_000", 1000),
        (1.0, 1),
        (1e18, 10**18),
        (True, 1),
        (np.int32(3), 3),
        (np.uint64(3), 3),
        (np.float64(3), 3),
        (Fraction(3), 3),
        (-5, -5),
        (1 << 70, 1 << 70),
        (9_999_999_999_999_999_999, 9_999_999_999_999_999_999),
    ],
)
def test_pts_ns_is_coerced_to_a_whole_number_and_not_held_to_a_range(given: Any, pts_ns: int) -> None:
    ref = MediaRef(uri="a", pts_ns=given)
    assert type(ref.pts_ns) is int
    assert ref.pts_ns == pts_ns
    assert MediaRef.model_validate_json(ref.model_dump_json()) == ref


@pytest.mark.parametrize("given", [1.5, "x", "1.5", float("nan"), float("inf"), [1], 1j])
def test_pts_ns_that_is_no_whole_number_is_a_validation_error(given: Any) -> None:
    with pytest.raises(ValidationError, match="pts_ns") as caught:
        MediaRef(uri="a", pts_ns=given)
    assert isinstance(caught.value, ValueError)


def test_uri_takes_text_and_bytes_and_may_be_empty() -> None:
    assert MediaRef(uri=b"abc").uri == "abc"  # type: ignore[arg-type]
    assert MediaRef(uri="").uri == ""
    for wrong in (3, None, b"\xff", ["a"]):
        with pytest.raises(ValidationError, match="uri"):
            MediaRef(uri=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="Field required"):
        MediaRef(pts_ns=3)  # type: ignore[call-arg]


def test_unknown_fields_are_dropped_on_every_way_in() -> None:
    for ref in (
        MediaRef(uri="a", more=1),  # type: ignore[call-arg]
        MediaRef.model_validate({"uri": "a", "more": 1}),
        MediaRef.model_validate_json('{"uri": "a", "more": 1}'),
    ):
        assert ref.model_dump() == {"uri": "a", "pts_ns": None}
        assert not hasattr(ref, "more")


# --- MediaRef: what is written ------------------------------------------------------------------------------------


def test_json_and_dictionaries_are_byte_for_byte_those_of_0_3_and_1_1() -> None:
    video, image = MediaRef(uri="ü.mp4", pts_ns=7), MediaRef(uri="a.png")
    assert video.model_dump_json() == '{"uri":"ü.mp4","pts_ns":7}'
    assert image.model_dump_json() == '{"uri":"a.png","pts_ns":null}'
    assert image.model_dump_json(exclude_none=True) == '{"uri":"a.png"}'
    assert list(image.model_dump().items()) == [("uri", "a.png"), ("pts_ns", None)]
    assert image.model_dump(exclude_none=True) == {"uri": "a.png"}
    assert image.model_dump(exclude_unset=True) == {"uri": "a.png"}, "the one that differs"
    assert dict(video) == video.model_dump() == video.model_dump(mode="json")
    assert MediaRef.model_json_schema()["required"] == ["uri"]


def test_repr_and_str_are_those_of_pydantic() -> None:
    assert repr(MediaRef(uri="a\n.mp4", pts_ns=7)) == r"MediaRef(uri='a\n.mp4', pts_ns=7)"
    assert str(MediaRef(uri="a.png")) == "uri='a.png' pts_ns=None"

    class Tagged(MediaRef):
        tag: str

    assert repr(Tagged(uri="a", tag="x")) == "Tagged(uri='a', pts_ns=None, tag='x')"


def test_of_a_long_path_the_end_is_shown_too() -> None:
    usual = "/data/" + "folder/" * 20 + "clip.mp4"
    assert usual in repr(MediaRef(uri=usual))
    assert "clip.mp4" in repr(MediaRef(uri="/data" * 100 + "/clip.mp4"))


def test_what_0_3_and_1_1_have_pickled_is_read() -> None:
    ref, uri = pickle.loads(PICKLED)
    assert type(ref) is MediaRef
    assert ref == MediaRef(uri="a.mp4", pts_ns=7)
    assert hash(ref) == hash(MediaRef(uri="a.mp4", pts_ns=7))
    assert uri == DataURI.from_uri("data:text/plain,x")
    assert hash(uri) == hash(DataURI.from_uri("data:text/plain,x"))
    assert uri.uri == "data:text/plain,x"
    for each in (ref, uri):
        assert pickle.loads(pickle.dumps(each)) == copy.deepcopy(each) == copy.copy(each) == each


def test_copies_are_made_with_changes() -> None:
    ref = MediaRef(uri="a", pts_ns=1)
    assert ref.model_copy(update={"pts_ns": 5}) == MediaRef(uri="a", pts_ns=5)
    assert ref.model_copy(update={"uri": "b"}, deep=True) == MediaRef(uri="b", pts_ns=1)
    assert MediaRef.model_validate(ref) is ref
    assert ref != MediaRef(uri="a", pts_ns=2)
    assert MediaRef(uri="./a") != MediaRef(uri="a"), "equality is of the fields as they are written"


# --- MediaRef: methods --------------------------------------------------------------------------------------------


def test_a_video_is_what_has_a_time_even_zero() -> None:
    assert MediaRef(uri="a", pts_ns=0).is_video
    assert not MediaRef(uri="a.mp4").is_video


@pytest.mark.parametrize(
    ("uri", "base", "resolved"),
    [
        ("a/b.png", "/base", "/base/a/b.png"),
        ("a/b.png", Path("/base"), "/base/a/b.png"),
        ("a/b.png", "/base/", "/base/a/b.png"),
        ("a/b.png", "base", "base/a/b.png"),
        ("a/b.png", "", "a/b.png"),
        ("", "/base", "/base"),
        ("./a", "/base", "/base/a"),
        ("a/../b", "/base", "/base/a/../b"),
    ],
)
def test_a_relative_path_is_put_under_its_base(uri: str, base: str | Path, resolved: str) -> None:
    assert MediaRef(uri=uri, pts_ns=3).resolve_relative_path(base) == MediaRef(uri=resolved, pts_ns=3)


@pytest.mark.parametrize(("uri", "kind"), [("data:,x", "embedded"), ("http://h/a", "cloud"), ("s3://b/a", "cloud")])
def test_what_cannot_be_resolved_is_an_error_a_warning_or_nothing(uri: str, kind: str) -> None:
    ref = MediaRef(uri=uri)
    message = rf"^Cannot resolve unresolvable URI \({kind}\)"
    with pytest.raises(ValueError, match=message):
        ref.resolve_relative_path("/base", "error")
    with pytest.warns(UserWarning, match=message):
        assert ref.resolve_relative_path("/base") is ref
    assert ref.resolve_relative_path(base_path="/base", on_unresolvable="ignore") is ref
    assert MediaRef(uri="file:///a").resolve_relative_path("/base", "error").uri == "file:///a"


def test_names_that_no_file_can_have_are_not_there() -> None:
    for uri in ("", "a\0b", "file:///a%00b"):
        assert MediaRef(uri=uri).validate_uri() is False


def test_validate_uri_asks_the_storage_and_says_what_is_missing() -> None:
    import fsspec

    with fsspec.open("memory://compat/there.bin", "wb") as file:
        file.write(b"x")
    assert MediaRef(uri="memory://compat/there.bin").validate_uri()
    assert not MediaRef(uri="memory://compat/not there.bin").validate_uri()
    with pytest.raises(ImportError, match="gcsfs"):
        MediaRef(uri="gs://bucket/a").validate_uri()
    with pytest.raises(ValueError, match="nosuch"):
        MediaRef(uri="nosuch://a").validate_uri()


def test_pillow_images_are_rgb_rgba_or_gray(clip: Clip, tmp_path: Path) -> None:
    Image.fromarray(PIXELS, "RGBA").save(tmp_path / "a.png")
    still, frame = MediaRef(uri=str(tmp_path / "a.png")), MediaRef(uri=str(clip("plain")), pts_ns=0)
    for ref in (still, frame):
        for format, mode in (("rgb", "RGB"), ("rgba", "RGBA"), ("gray", "L")):
            image = ref.to_pil_image(format)
            assert image.mode == mode
            np.testing.assert_array_equal(np.asarray(image), ref.to_ndarray(format))
        assert ref.to_pil_image(keep_av_open=True).mode == "RGB", "as 0.3 is called"
        for wrong in ("bgr", "bgra", "cmyk"):
            with pytest.raises(ValueError, match="Unsupported format"):
                ref.to_pil_image(wrong)


# --- DataURI ------------------------------------------------------------------------------------------------------


def test_a_data_uri_is_its_media_type_its_coding_and_its_payload() -> None:
    uri = DataURI(mimetype="image/png", data=b"AAAA")
    assert (uri.is_base64, uri.parameters) == (True, ())
    assert uri == DataURI.from_uri(uri="data:image/png;base64,AAAA")
    assert str(uri) == uri.uri == "data:image/png;base64,AAAA"
    assert len(uri) == 26
    assert uri.decoded_data == b"\0\0\0"
    assert DataURI.model_validate_json('{"mimetype": "image/png", "data": "AAAA"}') == uri
    assert DataURI.model_validate(uri.model_dump()) == uri
    assert DataURI.from_uri("data:;base64,AA==").mimetype == "text/plain"


@pytest.mark.parametrize("wrong", [None, b"data:,x", 3, DataURI(mimetype="a/b", data=b"")])
def test_what_is_no_text_is_no_data_uri(wrong: Any) -> None:
    with pytest.raises(InvalidReferenceError, match="not a str"):
        DataURI.from_uri(wrong)


@pytest.mark.parametrize("data", [b"\xff", "ü".encode(), b"100%"])
def test_text_that_is_not_percent_encoded_is_a_validation_error(data: bytes) -> None:
    with pytest.raises(ValidationError, match="Invalid data URI"):
        DataURI(mimetype="text/plain", data=data, is_base64=False)


def test_arguments_of_from_image_stand_in_the_order_of_1_1() -> None:
    bgra = DataURI.from_image(PIXELS, "png", None, "bgra")
    assert bgra.mimetype == "image/png"
    np.testing.assert_array_equal(bgra.to_ndarray("rgba"), PIXELS[..., [2, 1, 0, 3]])
    np.testing.assert_array_equal(DataURI.from_image(PIXELS).to_ndarray("rgba"), PIXELS)
    np.testing.assert_array_equal(DataURI.from_image(PIXELS, "png", None, "bgr").to_ndarray("bgra"), PIXELS)


@pytest.mark.parametrize("format", ["jpeg", "bmp"])
def test_formats_without_alpha_drop_it(format: str) -> None:
    uri = DataURI.from_image(Image.fromarray(PIXELS, "RGBA"), format)
    assert uri.mimetype == f"image/{format}"
    assert (uri.to_ndarray("rgba")[..., 3] == 255).all()


def test_quality_is_a_whole_number_from_1_to_100_and_85_unless_told() -> None:
    assert DataURI.from_image(PIXELS, "jpeg") == DataURI.from_image(PIXELS, "jpeg", np.int64(85))  # type: ignore[arg-type]
    assert DataURI.from_image(PIXELS, "jpeg", 86) != DataURI.from_image(PIXELS, "jpeg", 85)
    for wrong in (0, 101, -1):
        for format in ("jpeg", "png"):
            with pytest.raises(ValueError, match="quality is"):
                DataURI.from_image(PIXELS, format, wrong)
    with pytest.raises(TypeError):
        DataURI.from_image(PIXELS, "jpeg", 50.5)  # type: ignore[arg-type]
    for unknown in ("xyz", None):
        with pytest.raises(ValueError, match="Unsupported format"):
            DataURI.from_image(PIXELS, unknown)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "mimetype"),
    [
        ("a.png", "image/png"),
        ("a.JPG", "image/jpeg"),
        ("a.bmp", "image/bmp"),
        ("a.tiff", "image/tiff"),
        ("a.webp", "image/webp"),
        ("a.mp4", "video/mp4"),
        ("a.webm", "video/webm"),
        ("a.txt", "text/plain"),
        ("a", "application/octet-stream"),
    ],
)
def test_from_file_goes_by_the_name_and_never_by_the_content(name: str, mimetype: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"anything")
    uri = DataURI.from_file(tmp_path / name)
    assert (uri.mimetype, uri.decoded_data) == (mimetype, b"anything")
    assert DataURI.from_file(path=str(tmp_path / name), format="x").mimetype == "image/x"
    with pytest.raises(ValueError, match="is a folder"):
        DataURI.from_file(tmp_path)


def test_is_image_is_the_media_type_in_any_case() -> None:
    assert DataURI(mimetype="IMAGE/png", data=b"").is_image
    text = DataURI.from_uri("data:text/plain,x")
    assert not text.is_image
    for call in (text.to_ndarray, text.to_rgb_array, text.to_pil_image):
        with pytest.raises(ValueError, match="not an image"):
            call()
