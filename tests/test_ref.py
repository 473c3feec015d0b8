"""References: two fields, immutable, and honest about what they point at."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

import mediaref
from mediaref import BitCost, DataURI, MediaRef
from mediaref.errors import (
    CorruptMediaError,
    InvalidReferenceError,
    MediaNotFoundError,
    MediaRefError,
    MissingDependencyError,
    TimestampError,
)

Clip = Callable[[str], Path]


@given(uri=st.text(), pts_ns=st.none() | st.integers())
def test_what_goes_in_comes_out_of_json_and_pickle(uri: str, pts_ns: int | None) -> None:
    ref = MediaRef(uri=uri, pts_ns=pts_ns)
    assert json.loads(ref.model_dump_json()) == {"uri": uri, "pts_ns": pts_ns} == ref.model_dump()
    assert MediaRef.model_validate_json(ref.model_dump_json()) == ref
    assert pickle.loads(pickle.dumps(ref)) == ref


def test_equal_references_are_one_key_and_nothing_changes_them() -> None:
    ref = MediaRef(uri="a.mp4", pts_ns=1)
    assert len({ref, MediaRef(uri="a.mp4", pts_ns=1), MediaRef(uri="a.mp4", pts_ns=2)}) == 2
    with pytest.raises(ValidationError):
        ref.pts_ns = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        MediaRef("a.mp4")  # type: ignore[call-arg]


def test_fields_take_what_users_have() -> None:
    assert MediaRef(uri=Path("a") / "b.png").uri == str(Path("a") / "b.png")  # type: ignore[arg-type]
    assert MediaRef(uri=DataURI.from_uri("data:,x")).uri == "data:text/plain,x"  # type: ignore[arg-type]
    assert MediaRef(uri="a", pts_ns=np.int64(5)).pts_ns == 5
    assert MediaRef(uri="a", pts_ns="12").pts_ns == 12  # type: ignore[arg-type]
    assert MediaRef.model_validate({"uri": "a", "pts_ns": 1, "more": 2}) == MediaRef(uri="a", pts_ns=1)
    with pytest.raises(ValidationError):
        MediaRef(uri="a", pts_ns=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("a/b.png", "relative"),
        ("take:2.mp4", "relative"),
        ("/a/b.png", "absolute"),
        ("file:///a/b.png", "absolute"),
        ("FILE:/a/b.png", "absolute"),
        ("data:,x", "embedded"),
        ("DATA:,x", "embedded"),
        ("http://h/a.png", "remote"),
        ("HTTPS://h/a.png", "remote"),
        ("s3://bucket/a.png", "cloud"),
    ],
)
def test_kinds_of_uri(uri: str, kind: str) -> None:
    ref = MediaRef(uri=uri)
    assert ref.is_relative_path == (kind == "relative")
    assert ref.is_embedded == (kind == "embedded")
    assert ref.is_remote == (kind == "remote")
    assert ref.is_cloud_uri == (kind in {"remote", "cloud"})


def test_relative_paths_are_put_under_a_folder_a_file_uri_or_a_bucket() -> None:
    ref = MediaRef(uri="b/c d.mp4", pts_ns=7)
    assert ref.resolve_relative_path("/a") == MediaRef(uri="/a/b/c d.mp4", pts_ns=7)
    assert ref.resolve_relative_path("file:///a%20b").uri == "/a b/b/c d.mp4"
    assert ref.resolve_relative_path("s3://bucket/data/").uri == "s3://bucket/data/b/c d.mp4"
    absolute = MediaRef(uri="/x.png")
    assert absolute.resolve_relative_path("/a") is absolute
    cloud = MediaRef(uri="s3://b/x.png")
    with pytest.warns(UserWarning, match="Cannot resolve unresolvable URI"):
        assert cloud.resolve_relative_path("/a") is cloud
    assert cloud.resolve_relative_path("/a", on_unresolvable="ignore") is cloud
    with pytest.raises(ValueError, match="Cannot resolve unresolvable URI"):
        cloud.resolve_relative_path("/a", on_unresolvable="error")
    with pytest.raises(InvalidReferenceError, match="on_unresolvable"):
        cloud.resolve_relative_path("/a", on_unresolvable="eror")  # type: ignore[arg-type]


def test_a_subclass_stays_itself() -> None:
    class Tagged(MediaRef):
        pass

    assert type(Tagged(uri="a.png").resolve_relative_path("/x")) is Tagged


def test_validate_uri_looks(clip: Clip, tmp_path: Path) -> None:
    path = clip("plain")
    for uri in (str(path), path.as_uri(), f"file://localhost{path}", "data:,x"):
        assert MediaRef(uri=uri).validate_uri()
    assert not MediaRef(uri=str(tmp_path / "no.mp4")).validate_uri()


def test_one_reference_gives_pixels_an_image_and_bits(clip: Clip) -> None:
    ref = MediaRef(uri=str(clip("plain")), pts_ns=5 * 10**9 // 30)
    pixels = ref.to_ndarray()
    assert (pixels.shape, pixels.dtype) == ((144, 176, 3), np.uint8)
    np.testing.assert_array_equal(ref.to_ndarray("bgr"), pixels[..., ::-1])
    np.testing.assert_array_equal(ref.to_ndarray("rgba")[..., :3], pixels)
    assert ref.to_ndarray("gray").shape == (144, 176)
    np.testing.assert_array_equal(np.asarray(ref.to_pil_image()), pixels)
    np.testing.assert_array_equal(ref.to_rgb_array(), pixels)
    cost = ref.to_bit_cost()
    assert isinstance(cost, BitCost)
    assert (cost.frame_index, cost.bits.shape) == (5, (9, 11))


def test_a_video_inside_a_data_uri(clip: Clip) -> None:
    embedded = MediaRef(uri=DataURI.from_file(clip("plain")), pts_ns=10**8)  # type: ignore[arg-type]
    plain = MediaRef(uri=str(clip("plain")), pts_ns=10**8)
    np.testing.assert_array_equal(embedded.to_ndarray(), plain.to_ndarray())
    np.testing.assert_array_equal(embedded.to_bit_cost().bits, plain.to_bit_cost().bits)
    assert len(repr(embedded)) < 300


def test_a_remote_file_through_fsspec(clip: Clip) -> None:
    import fsspec

    with fsspec.open("memory://clips/plain.mp4", "wb") as file:
        file.write(clip("plain").read_bytes())
    remote = MediaRef(uri="memory://clips/plain.mp4", pts_ns=10**8)
    local = MediaRef(uri=str(clip("plain")), pts_ns=10**8)
    assert remote.validate_uri()
    np.testing.assert_array_equal(remote.to_ndarray(), local.to_ndarray())
    np.testing.assert_array_equal(remote.to_bit_cost().cells, local.to_bit_cost().cells)
    with pytest.raises(FileNotFoundError):
        MediaRef(uri="memory://clips/none.mp4", pts_ns=0).to_ndarray()


def test_errors_say_what_was_tried_and_are_what_one_would_catch(clip: Clip, tmp_path: Path) -> None:
    video = str(clip("plain"))
    still = tmp_path / "still.png"
    Image.new("RGB", (8, 8)).save(still)
    missing = str(tmp_path / "missing")
    cases: list[tuple[MediaRef, type[MediaRefError], type[Exception], str]] = [
        (MediaRef(uri=missing), MediaNotFoundError, FileNotFoundError, "Failed to load image from"),
        (MediaRef(uri=missing, pts_ns=0), MediaNotFoundError, FileNotFoundError, "Failed to load frame at 0.0s"),
        (MediaRef(uri=video), CorruptMediaError, ValueError, "needs a pts_ns"),
        (MediaRef(uri=video, pts_ns=-1), TimestampError, ValueError, "runs from 0 ns to before 800000000 ns"),
        (MediaRef(uri=video, pts_ns=2**70), TimestampError, ValueError, "runs from"),
        (MediaRef(uri=str(still), pts_ns=0), CorruptMediaError, ValueError, "is an image"),
        (MediaRef(uri=str(tmp_path)), CorruptMediaError, ValueError, "folder"),
        (MediaRef(uri=""), InvalidReferenceError, ValueError, "empty"),
        (MediaRef(uri="file://elsewhere/a.png"), InvalidReferenceError, ValueError, "elsewhere"),
        (MediaRef(uri="nosuch://a/b"), InvalidReferenceError, ValueError, "nosuch"),
        (MediaRef(uri="data:image/png;base64,!!"), InvalidReferenceError, ValueError, "base64"),
        (MediaRef(uri=str(clip("raw")), pts_ns=0), TimestampError, ValueError, "no timestamps"),
    ]
    for ref, ours, builtin, words in cases:
        with pytest.raises(ours, match=words) as caught:
            ref.to_ndarray()
        assert isinstance(caught.value, builtin)
    with pytest.raises(ValueError, match="Unsupported format"):
        MediaRef(uri=video, pts_ns=0).to_ndarray("yuv")
    with pytest.raises(ValueError, match="Pillow image is"):
        MediaRef(uri=video, pts_ns=0).to_pil_image("bgr")
    with pytest.raises(ValueError, match="no pts_ns"):
        MediaRef(uri=str(still)).to_bit_cost()


def test_a_missing_backend_names_the_package() -> None:
    with pytest.raises(MissingDependencyError) as caught:
        MediaRef(uri="gs://bucket/a.png").to_ndarray()
    assert isinstance(caught.value, ImportError)


def test_import_stays_light() -> None:
    code = "import sys, mediaref; from mediaref import MediaRef; print([m for m in %r if m in sys.modules])"
    heavy = ("av", "torch", "datasets", "pyarrow", "numpy", "PIL", "fsspec", "aiohttp", "asyncio")
    shown = subprocess.run([sys.executable, "-c", code % (heavy,)], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
    assert sorted(mediaref.__all__) == mediaref.__all__
    for name in mediaref.__all__:
        assert getattr(mediaref, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mediaref.nothing  # noqa: B018
