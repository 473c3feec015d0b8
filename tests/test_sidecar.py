"""Indexes kept in files: as good as new, and never of another video."""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from reference import digest

from mediaref import MediaRef, ReadStats, batch_bit_costs, cleanup_cache
from mediaref.bitcost import read_bit_costs
from mediaref.errors import MediaRefError
from mediaref.native_costs import COSTED_CODECS
from mediaref.video_decoder import VideoIndex, decode_frames
from mediaref.video_decoder import index as index_module
from mediaref.video_decoder.packets import PacketTable

Clip = Callable[[str], Path]


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
    with pytest.raises((OSError, MediaRefError)):
        sound.save(tmp_path / "no folder" / "index")
