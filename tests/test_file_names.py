"""One file has many names: what is known of it is kept for all of them, and each call goes by the name it was given."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mediaref import MediaRef, batch_decode, cleanup_cache
from mediaref.bitcost import read_bit_costs
from mediaref.errors import CorruptMediaError, MediaNotFoundError
from mediaref.video_decoder import PyAVVideoDecoder, VideoIndex, decode_frames

Clip = Callable[[str], Path]


def _renamed(old: Path, new: Path) -> None:
    old.rename(new)


def _hard_linked(old: Path, new: Path) -> None:
    new.hardlink_to(old)
    old.unlink()


def _was_a_link(old: Path, new: Path) -> None:
    old.rename(new)
    old.symlink_to(new)
    VideoIndex.open(old).with_headers()
    old.unlink()


@pytest.mark.parametrize("name", ["plain", "av1", "transport"])
@pytest.mark.parametrize("change", [_renamed, _hard_linked, _was_a_link])
def test_a_file_is_read_by_its_new_name_when_its_old_one_is_gone(
    clip: Clip, tmp_path: Path, change: Callable[[Path, Path], None], name: str
) -> None:
    whole = clip(name)
    old, new = tmp_path / "clip.part", tmp_path / f"clip{whole.suffix}"
    shutil.copy(whole, old)
    held = VideoIndex.open(old)
    MediaRef(uri=str(old), pts_ns=held.span_ns()[0]).to_ndarray()
    change(old, new)
    expected = dict(decode_frames(whole, [0, 5]))
    (again,) = batch_decode([MediaRef(uri=str(new), pts_ns=held.span_ns()[0])])
    np.testing.assert_array_equal(again, expected[0])
    np.testing.assert_array_equal(PyAVVideoDecoder(new)[5], np.moveaxis(expected[5], -1, 0))
    np.testing.assert_array_equal(read_bit_costs(new, [5])[0].bits, read_bit_costs(whole, [5])[0].bits)
    with pytest.raises(MediaNotFoundError, match=r"clip\.part"):
        read_bit_costs(held, [5])


def test_errors_name_the_file_that_was_asked_for(clip: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = bytearray(clip("no_b").read_bytes())
    index = VideoIndex.open(clip("no_b"))
    begin, size = int(index.packets.position[3]), int(index.packets.size[3])
    content[begin + 4 : begin + size] = b"\xff" * (size - 4)
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    first.write_bytes(content)
    second.hardlink_to(first)
    for asked, other in ((first, second), (second, first), (first, second)):
        cleanup_cache()
        list(decode_frames(other, [0], threads=1))  # its decoder is at hand for the other name
        caplog.clear()
        for work in (lambda: list(decode_frames(asked, [3], threads=1)), lambda: read_bit_costs(asked, [3])):  # noqa: B023
            with pytest.raises(CorruptMediaError) as raised, caplog.at_level(logging.DEBUG, "mediaref"):
                work()
            assert str(asked) in str(raised.value)
            assert str(other) not in str(raised.value) + caplog.text


def test_an_index_is_kept_by_the_name_that_was_asked_for_last(clip: Clip, tmp_path: Path) -> None:
    path, link = tmp_path / "clip.mp4", tmp_path / "link.mp4"
    shutil.copy(clip("plain"), path)
    link.hardlink_to(path)
    first, second = VideoIndex.open(path), VideoIndex.open(link)
    assert first.packets is second.packets
    assert VideoIndex.open(link) is second
    assert first.with_headers().source.uri == str(path)
    assert VideoIndex.open(link).source.uri == str(link)


def test_a_relative_path_means_what_it_meant_when_the_index_was_opened(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(clip("plain"), tmp_path / "clip.mp4")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    index = VideoIndex.open("clip.mp4")
    monkeypatch.chdir("elsewhere")
    (expected,) = decode_frames(clip("plain"), [7])
    for video in (index, tmp_path / "clip.mp4", os.path.join("..", "clip.mp4")):  # noqa: PTH118
        np.testing.assert_array_equal(next(decode_frames(video, [7]))[1], expected[1])
    with pytest.raises(MediaNotFoundError):
        VideoIndex.open("clip.mp4")
    with pytest.raises(MediaNotFoundError):  # no folder
        VideoIndex.open("../clip.mp4/")


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs a system where the current folder can be removed")
def test_a_relative_path_in_a_removed_folder_is_not_there(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(MediaNotFoundError, match=r"clip\.mp4"):
        VideoIndex.open("clip.mp4")
    assert len(VideoIndex.open(clip("plain"))) == 24
