"""Indexes kept in files: as good as new, and never of another video."""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference import digest

from mediaref import MediaRef, ReadStats, batch_bit_costs, cleanup_cache
from mediaref.bitcost import read_bit_costs
from mediaref.errors import StorageError
from mediaref.native_costs import COSTED_CODECS
from mediaref.video_decoder import VideoIndex, decode_frames
from mediaref.video_decoder import index as index_module
from mediaref.video_decoder.packets import PacketTable

Clip = Callable[[str], Path]
Change = Callable[[NDArray[Any]], NDArray[Any]]


@pytest.mark.parametrize("name", ["plain", "rotated", "edit_list", "hevc", "vp9_gops", "av1", "raw", "avi", "mbaff"])
def test_an_index_from_a_file_is_as_good_as_new(
    clip: Clip, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleanup_cache()
    sidecar = tmp_path / "index"
    first = VideoIndex.open(clip(name), sidecar=sidecar)
    frames = [len(first) - 1, len(first) // 2]
    pixels = [digest(array) for _, array in decode_frames(first, frames)]
    costs = read_bit_costs(first, frames) if first.codec in COSTED_CODECS else []
    cleanup_cache()
    monkeypatch.setattr(index_module, "_build", lambda *_: pytest.fail("the video was indexed again"))
    again = VideoIndex.open(clip(name), sidecar=sidecar)
    for field in dataclasses.fields(VideoIndex):
        if field.name not in {"packets", "packet_of", "pts_ns", "parser"}:
            assert getattr(again, field.name) == getattr(first, field.name), field.name
    for column in dataclasses.fields(PacketTable):
        np.testing.assert_array_equal(getattr(again.packets, column.name), getattr(first.packets, column.name))
    np.testing.assert_array_equal(again.packet_of, first.packet_of)
    assert [digest(array) for _, array in decode_frames(again, frames)] == pixels
    for cost, expected in zip(read_bit_costs(again, frames) if costs else [], costs, strict=True):
        np.testing.assert_array_equal(cost.bits, expected.bits)
    assert list(tmp_path.iterdir()) == [sidecar]


def test_headers_that_were_read_are_kept_and_batches_use_them(clip: Clip, tmp_path: Path) -> None:
    cleanup_cache()
    sidecar = tmp_path / "index"
    VideoIndex.open(clip("long")).with_headers().save(sidecar)
    cleanup_cache()
    index = VideoIndex.open(clip("long"), sidecar=sidecar)
    assert (index.packets.scanned_from >= 0).all()
    assert index.pts_ns is not None
    with ReadStats() as stats:
        batch_bit_costs([MediaRef(uri=str(clip("long")), pts_ns=int(index.pts_ns[77]))])
    assert (stats.requests, stats.bytes_read) == (1, index.packet_bytes[77])


def test_a_moved_video_keeps_its_index_and_a_changed_one_does_not(
    clip: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sidecar, video = tmp_path / "index", tmp_path / "video.mp4"
    shutil.copy2(clip("plain"), video)
    VideoIndex.open(video, sidecar=sidecar)
    written = sidecar.read_bytes()
    cleanup_cache()
    moved = video.rename(tmp_path / "moved.mp4")
    VideoIndex.open(moved, sidecar=sidecar)
    assert not caplog.records
    shutil.copy(clip("no_b"), moved)
    cleanup_cache()
    assert len(VideoIndex.open(moved, sidecar=sidecar)) == 24
    assert "is not an index of" in caplog.text
    assert sidecar.read_bytes() != written


def test_a_damaged_sidecar_is_written_anew_with_a_warning(
    clip: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sidecar = tmp_path / "index"
    cleanup_cache()
    sound = VideoIndex.open(clip("plain"), sidecar=sidecar)
    whole = sidecar.read_bytes()
    rng = random.Random(5)
    damages = [b"", b"PK", whole[: len(whole) // 2], b"not an index" * 100]
    for _ in range(40):
        flipped = bytearray(whole)
        for _ in range(rng.choice([1, 3, 30])):
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        damages.append(bytes(flipped))
    for damage in damages:
        cleanup_cache()
        caplog.clear()
        sidecar.write_bytes(damage)
        index = VideoIndex.open(clip("plain"), sidecar=sidecar)
        np.testing.assert_array_equal(index.pts_ns, sound.pts_ns)  # type: ignore[arg-type]
        np.testing.assert_array_equal(index.packets.position, sound.packets.position)
        assert caplog.records or sidecar.read_bytes() == damage


LIES: dict[str, dict[str, Change]] = {
    "a frame in no packet": {"packet_of": lambda column: np.where(column == 5, -1, column)},
    "numbers of another kind": {"position": lambda column: column.astype(float)},
    "other places": {"position": lambda column: column + 3},
    "negative sizes": {"size": lambda column: -column},
    "times that go back": {"pts_ns": lambda column: column[::-1]},
    "a row too few": {"dts": lambda column: column[1:]},
    "no such decoder": {"description": lambda column: column[::-1]},
    "nothing at all": {"about": lambda column: np.frombuffer(b"[]", np.uint8)},
    "another size of pictures": {
        "about": lambda column: np.frombuffer(column.tobytes().replace(b": 176", b": 177"), np.uint8)
    },
}


@pytest.mark.parametrize("lie", LIES)
def test_a_sidecar_that_was_changed_since_it_was_written_is_not_believed(
    clip: Clip, tmp_path: Path, lie: str, caplog: pytest.LogCaptureFixture
) -> None:
    sidecar = tmp_path / "index"
    sound = VideoIndex.open(clip("plain"))
    sound.save(sidecar)
    with np.load(sidecar) as file:
        arrays = {name: file[name] for name in file.files}
    for name, change in LIES[lie].items():
        arrays[name] = change(arrays[name])
    with sidecar.open("wb") as file:
        np.savez(file, **arrays)
    cleanup_cache()
    index = VideoIndex.open(clip("plain"), sidecar=sidecar)
    assert "is no sound index" in caplog.text
    for column in dataclasses.fields(PacketTable):
        np.testing.assert_array_equal(getattr(index.packets, column.name), getattr(sound.packets, column.name))
    assert (index.description, index.width) == (sound.description, sound.width)
    caplog.clear()
    cleanup_cache()
    VideoIndex.open(clip("plain"), sidecar=sidecar)
    assert not caplog.records


def test_a_file_of_numpy_is_no_sidecar(clip: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    np.save(tmp_path / "index.npy", np.arange(3))
    assert len(VideoIndex.open(clip("plain"), sidecar=tmp_path / "index.npy")) == 24
    assert "is no sound index" in caplog.text


@pytest.mark.parametrize("place", ["no folder/index", ".", "a\0b", "x" * 300])
def test_a_sidecar_that_cannot_be_written_is_an_error_of_ours_and_leaves_the_index_in_the_cache(
    clip: Clip, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleanup_cache()
    with pytest.raises(StorageError, match=r"the index of .*plain\.mp4 cannot be written") as raised:
        VideoIndex.open(clip("plain"), sidecar=tmp_path / place)
    assert isinstance(raised.value, OSError)
    monkeypatch.setattr(index_module, "_build", lambda *_: pytest.fail("the video was indexed again"))
    index = VideoIndex.open(clip("plain"))
    with pytest.raises(StorageError, match="cannot be written"):
        index.save(tmp_path / place)
    assert list(tmp_path.iterdir()) == []


def test_many_threads_write_one_sidecar(clip: Clip, tmp_path: Path) -> None:
    index, sidecar = VideoIndex.open(clip("plain")), tmp_path / "index"
    with ThreadPoolExecutor(8) as pool:
        for saved in [pool.submit(index.save, sidecar) for _ in range(80)]:
            saved.result()
    assert list(tmp_path.iterdir()) == [sidecar]
    cleanup_cache()
    assert len(VideoIndex.open(clip("plain"), sidecar=sidecar)) == 24


def test_an_index_that_is_opened_with_a_sidecar_is_written_to_it(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = VideoIndex.open(clip("plain"))
    assert VideoIndex.open(index, sidecar=tmp_path / "index") is index
    cleanup_cache()
    monkeypatch.setattr(index_module, "_build", lambda *_: pytest.fail("the video was indexed again"))
    assert len(VideoIndex.open(clip("plain"), sidecar=tmp_path / "index")) == 24


def test_a_sidecar_is_for_all_who_may_read_new_files(clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "plain file").touch()
    VideoIndex.open(clip("plain")).save(tmp_path / "index")
    assert (tmp_path / "index").stat().st_mode == (tmp_path / "plain file").stat().st_mode
