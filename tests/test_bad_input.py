"""What cannot be read: one clear error each, of ours and of a kind that one would catch, that names the file."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mediaref import MediaRef, batch_bit_costs, batch_decode
from mediaref.errors import (
    CorruptMediaError,
    InvalidReferenceError,
    LimitExceededError,
    MediaNotFoundError,
    MediaRefError,
    TimestampError,
)

Clip = Callable[[str], Path]


def png(width: int = 64, height: int = 64) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 50).save(buffer, "png")
    return buffer.getvalue()


def bomb() -> bytes:
    """A header that promises 60,000 x 60,000 pixels."""
    from zlib import crc32

    head = b"IHDR" + (60000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + head + crc32(head).to_bytes(4, "big") + png()[33:]


def file(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


#: A reference in a folder with a video at its side, and the error: our kind, the builtin one, and words of it.
CASES: dict[str, tuple[Callable[[Path, Path], MediaRef], type[MediaRefError], type[Exception], str]] = {
    "a data URI without a comma": (
        lambda d, v: MediaRef(uri="data:image/png;base64"), InvalidReferenceError, ValueError, "no comma"),
    "broken base64": (
        lambda d, v: MediaRef(uri="data:image/png;base64,a*b="), InvalidReferenceError, ValueError, "base64"),
    "a data URI that holds no image": (
        lambda d, v: MediaRef(uri="data:image/png;base64,eA=="), CorruptMediaError, ValueError, "not an image"),
    "an image that is none": (
        lambda d, v: MediaRef(uri=file(d, "a.png", b"words")), CorruptMediaError, ValueError, "not an image"),
    "a truncated image": (
        lambda d, v: MediaRef(uri=file(d, "a.png", png()[:2000])), CorruptMediaError, ValueError, "damaged"),
    "an image bomb": (
        lambda d, v: MediaRef(uri=file(d, "a.png", bomb())), LimitExceededError, ValueError, "MAX_IMAGE_PIXELS"),
    "an embedded image bomb": (
        lambda d, v: MediaRef(uri="data:image/png;base64," + base64.b64encode(bomb()).decode()),
        LimitExceededError, ValueError, "MAX_IMAGE_PIXELS"),
    "an unknown scheme": (
        lambda d, v: MediaRef(uri="nowhere://a/b.png"), InvalidReferenceError, ValueError, "nowhere"),
    "a time before the video": (
        lambda d, v: MediaRef(uri=str(v), pts_ns=-1), TimestampError, RuntimeError, "from 0 ns to before 800000000 ns"),
    "a time after the video": (
        lambda d, v: MediaRef(uri=str(v), pts_ns=800_000_000), TimestampError, ValueError, "before 800000000 ns"),
    "a time beyond 64 bits": (
        lambda d, v: MediaRef(uri=str(v), pts_ns=1 << 70), TimestampError, ValueError, "before 800000000 ns"),
    "a time in an image": (
        lambda d, v: MediaRef(uri=file(d, "a.png", png()), pts_ns=0), CorruptMediaError, ValueError, "is an image"),
    "a video without a time": (
        lambda d, v: MediaRef(uri=str(v)), CorruptMediaError, ValueError, "needs a pts_ns"),
    "a missing file": (
        lambda d, v: MediaRef(uri=str(d / "none.png")), MediaNotFoundError, FileNotFoundError, "no such file"),
    "a missing video": (
        lambda d, v: MediaRef(uri=str(d / "none"), pts_ns=0), MediaNotFoundError, FileNotFoundError, "no such file"),
    "a path through a file": (
        lambda d, v: MediaRef(uri=f"{v}/a.png"), MediaNotFoundError, FileNotFoundError, "no such file"),
    "a folder": (lambda d, v: MediaRef(uri=str(d)), CorruptMediaError, ValueError, "is a folder"),
    "a folder as a video": (lambda d, v: MediaRef(uri=str(d), pts_ns=0), CorruptMediaError, ValueError, "is a folder"),
    "an empty file": (lambda d, v: MediaRef(uri=file(d, "a.png", b"")), CorruptMediaError, ValueError, "is empty"),
    "an empty video": (
        lambda d, v: MediaRef(uri=file(d, "a.mp4", b""), pts_ns=0), CorruptMediaError, ValueError, "a.mp4"),
    "no uri": (lambda d, v: MediaRef(uri=""), InvalidReferenceError, ValueError, "empty"),
    "a file uri with a host": (
        lambda d, v: MediaRef(uri="file://elsewhere/a.png"), InvalidReferenceError, ValueError, "'elsewhere'"),
    "a NUL in a path": (lambda d, v: MediaRef(uri="a\0b.png"), InvalidReferenceError, ValueError, "null"),
    "a NUL in an escape": (
        lambda d, v: MediaRef(uri="file:///a%00b.mp4", pts_ns=0), InvalidReferenceError, ValueError, "null"),
    "a path that is too long": (
        lambda d, v: MediaRef(uri="/" + "a" * 300), MediaRefError, ValueError, "File name too long"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_clear_error(case: str, clip: Clip, tmp_path: Path) -> None:
    make, ours, builtin, words = CASES[case]
    ref = make(tmp_path, clip("plain"))
    with pytest.raises(ours, match=words) as caught:
        ref.to_ndarray()
    assert isinstance(caught.value, builtin)
    assert isinstance(caught.value, ValueError)
    message = str(caught.value)
    assert len(message) < 900
    assert message.isprintable()
    assert ref.uri[:20].isprintable() is False or ref.uri[:20] in message
    with pytest.raises(ours, match=words):
        batch_decode([ref], allow_images=True)
    assert batch_decode([ref], allow_images=True, on_error="skip") == [None]
    if ref.is_video:
        with pytest.raises(ours):
            ref.to_bit_cost()
        assert batch_bit_costs([ref], on_error="skip") == [None]


@pytest.mark.skipif(os.name == "nt", reason="paths are Unicode there")
def test_names_that_are_no_utf_8_are_files_like_others(clip: Clip, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff\xe9"
    Path(os.fsdecode(folder)).mkdir()
    for name, content in ((b"a.png", png()), (b"a.mp4", clip("plain").read_bytes())):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(content)
    uri = tmp_path.as_uri() + "/%FF%E9/a.png"
    assert MediaRef(uri=uri).to_ndarray().shape == (64, 64, 3)
    assert MediaRef(uri=uri.replace("png", "mp4"), pts_ns=0).to_ndarray().shape == (144, 176, 3)
    missing = MediaRef(uri=uri.replace("a.png", "none.png"))
    with pytest.raises(MediaNotFoundError, match="none"):
        missing.to_ndarray()
    plain = MediaRef(uri=os.fsdecode(folder + b"/a.mp4"), pts_ns=0)
    assert plain.to_ndarray().shape == (144, 176, 3)
    with pytest.raises(MediaRefError) as caught:
        MediaRef(uri=plain.uri + "-", pts_ns=0).to_ndarray()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("path", ["../a.png", "../../etc/passwd", "a/../../b.png", "./../a.png", "a/b/../../../c"])
@pytest.mark.parametrize("base", ["/data/set", "file:///data/set", "s3://bucket/set", "set"])
def test_a_path_that_escapes_its_base_is_refused(path: str, base: str) -> None:
    with pytest.raises(InvalidReferenceError, match="leads out of its base") as caught:
        MediaRef(uri=path).resolve_relative_path(base)
    assert isinstance(caught.value, ValueError)
    assert path in str(caught.value)


@pytest.mark.parametrize("path", ["a/../b.png", "a..b/..c/d", "./a.png", "a/b/../../c.png", "..."])
def test_dots_that_stay_inside_are_kept(path: str) -> None:
    assert MediaRef(uri=path).resolve_relative_path("s3://b").uri == f"s3://b/{path}"
