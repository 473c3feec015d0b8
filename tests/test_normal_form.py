"""Equivalence of references: section 4 of the specification."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediaref import MediaRef
from mediaref.normal_form import normal_form
from mediaref.storage import scheme_of


@pytest.mark.parametrize(
    ("uri", "normal"),
    [
        ("HTTP://User@EXAMPLE.com:80/%7Ea/./b/../C%2f?q=%41#%5a", "http://User@example.com:80/~a/C%2F?q=A#Z"),
        ("http://h", "http://h"),
        ("http://h/..", "http://h/"),
        ("http://h/a/.", "http://h/a/"),
        ("http://h/a//b", "http://h/a//b"),
        ("http://h/a?x=/../y", "http://h/a?x=/../y"),
        ("FILE:///a/./b%2D1.mp4", "file:///a/b-1.mp4"),
        ("file://localhost/a", "file:///a"),
        ("file:/a/../b", "file:///b"),
        ("file:///what?/../b", "file:///b"),
        ("S3://Bucket/a/./b", "s3://Bucket/a/b"),
        ("hf://Ann/clips", "hf://Ann/clips"),
        ("DATA:,%41/../b", "DATA:,%41/../b"),
        ("zip://a/../b::S3://x", "zip://a/../b::S3://x"),
        ("./a/./b.png", "a/b.png"),
        ("a/../b.png", "a/../b.png"),
        ("/a/%41.png", "/a/%41.png"),
        ("./data:x", "./data:x"),
        ("http://[::1/a", "http://[::1/a"),
        (".", "."),
        ("./", "./"),
        ("./a", "a"),
        (".//a", ".//a"),
        ("", ""),
    ],
)
def test_normal_form_is_that_of_rfc_3986(uri: str, normal: str) -> None:
    assert normal_form(uri) == normal
    assert MediaRef(uri=uri, pts_ns=3).normalized() == MediaRef(uri=normal, pts_ns=3)


_PIECES = ["a", "B", ".", "..", "/", "//", "%41", "%2f", "%2F", "%", "?", "#", ":", "data:", "file:", "http:", "é", " "]
_URIS = st.lists(st.sampled_from(_PIECES), max_size=8).map("".join)


@given(start=st.sampled_from(["", "/", "http://H", "file:", "FILE://", "s3://B/"]), rest=_URIS)
@example(start="http://H", rest="%41")
def test_a_normal_form_is_its_own_and_of_the_same_kind(start: str, rest: str) -> None:
    normal = normal_form(start + rest)
    assert normal_form(normal) == normal
    assert scheme_of(normal) == scheme_of(start + rest)


@given(path=st.lists(st.sampled_from(["a", ".", "..", "", "b c"]), min_size=1, max_size=6).map("/".join))
@example(path="/.//a")
@example(path="//.//a")
def test_a_path_keeps_its_meaning(path: str) -> None:
    assert posixpath.normpath(normal_form(path)) == posixpath.normpath(path)
    assert posixpath.isabs(normal_form(path)) == posixpath.isabs(path)


def test_equivalence_is_of_uri_and_time_and_equality_of_the_fields() -> None:
    ref = MediaRef(uri="http://Host/a/./b.mp4", pts_ns=1)
    other = MediaRef(uri="HTTP://host/a/b.mp4", pts_ns=1)
    assert ref.is_equivalent(other)
    assert ref != other
    assert ref.normalized() == other.normalized()
    assert not ref.is_equivalent(MediaRef(uri=ref.uri, pts_ns=2))
    assert not MediaRef(uri=ref.uri).is_equivalent(MediaRef(uri=ref.uri, pts_ns=0))
    assert MediaRef(uri="a").is_equivalent(MediaRef.model_validate_json('{"uri": "./a", "pts_ns": null}'))
    assert not MediaRef(uri="data:,A").is_equivalent(MediaRef(uri="data:,%41"))
    assert MediaRef(uri="a/b").normalized().uri == "a/b"


def test_a_subclass_is_equivalent_to_its_base_and_stays_itself() -> None:
    class Tagged(MediaRef):
        pass

    tagged = Tagged(uri="./a", pts_ns=1)
    assert tagged.is_equivalent(MediaRef(uri="a", pts_ns=1))
    assert type(tagged.normalized()) is Tagged
