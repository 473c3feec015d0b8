"""From a uri to a file: every spelling, and errors that name the uri."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mediaref.errors import AccessDeniedError, CorruptMediaError, InvalidReferenceError, MediaNotFoundError
from mediaref.storage import locate, scheme_of, shorten


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/a/b.png", "/a/b.png"),
        ("a b.png", "a b.png"),
        ("file:///a/b.png", "/a/b.png"),
        ("file://localhost/a/b.png", "/a/b.png"),
        ("file:/a/b.png", "/a/b.png"),
        ("FILE:///a/b.png", "/a/b.png"),
        ("file:///a%20b/%23.png", "/a b/#.png"),
        ("file:///a?b#c.png", "/a?b#c.png"),
        ("C:\\clips\\a.mp4", "C:\\clips\\a.mp4"),
    ],
)
def test_local_spellings(uri: str, path: str) -> None:
    assert locate(uri).path == os.path.join(Path.cwd(), path)  # noqa: PTH118


def test_schemes() -> None:
    assert scheme_of("s3://b/k") == "s3"
    assert scheme_of("simplecache::s3://b/k") == "simplecache"
    assert scheme_of("DATA:,x") == "data"
    assert scheme_of("take:2.mp4") == ""
    assert scheme_of("C:\\x") == ""
    assert scheme_of("") == ""


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "a b.bin"
    path.write_bytes(b"content")
    for uri in (path, str(path), path.as_uri(), "data:;base64,Y29udGVudA=="):
        source = locate(uri)
        assert source.exists()
        assert source.read() == b"content"
        with source.open() as file:
            assert file.read(3) == b"con"


def test_identity_changes_with_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    before = locate(path).identity()
    assert locate(path.as_uri()).identity() == before
    other = tmp_path / "b"
    other.write_bytes(b"two")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)  # same size and time, another file
    assert locate(path).identity() != before
    assert locate("data:,x").identity() != locate("data:,y").identity()


def test_storage_options_make_another_file_and_stay_out_of_sight() -> None:
    import fsspec

    with fsspec.open("memory://a/b", "wb") as file:
        file.write(b"x")
    plain, secret = locate("memory://a/b"), locate("memory://a/b", {"skip_instance_cache": "hush"})
    assert plain.identity() != secret.identity()
    assert "hush" not in repr(secret) + repr(secret.identity())


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(MediaNotFoundError, match="missing"):
        locate(tmp_path / "missing").read()
    with pytest.raises(MediaNotFoundError, match="missing"):
        locate(tmp_path / "missing").identity()
    with pytest.raises(CorruptMediaError, match="folder"):
        locate(tmp_path).read()
    with pytest.raises(InvalidReferenceError, match="cannot name the host"):
        locate("file://server/share/a.mp4")
    with pytest.raises(InvalidReferenceError, match="empty"):
        locate("")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user who is not allowed everything")
def test_a_forbidden_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(AccessDeniedError) as caught:
        locate(path).read()
    assert isinstance(caught.value, PermissionError)


def test_long_uris_are_cut_in_messages() -> None:
    assert shorten("abc") == "abc"
    assert len(shorten("data:," + "x" * 10**6)) < 200
