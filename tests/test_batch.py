"""Many references: each file once, the order kept, failures where they belong."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mediaref import MediaRef, batch_bit_costs, batch_decode, iter_decode
from mediaref.errors import CorruptMediaError, MediaNotFoundError, TimestampError
from mediaref.video_decoder import VideoIndex

Clip = Callable[[str], Path]


def refs_of(path: Path, frames: list[int]) -> list[MediaRef]:
    index = VideoIndex.open(path)
    assert index.pts_ns is not None
    return [MediaRef(uri=str(path), pts_ns=int(index.pts_ns[frame])) for frame in frames]


def test_order_and_repeats_are_kept(clip: Clip) -> None:
    refs = refs_of(clip("plain"), [7, 2, 7, 20])
    batch = batch_decode(refs)
    for ref, pixels in zip(refs, batch, strict=True):
        np.testing.assert_array_equal(pixels, ref.to_ndarray())
    batch[0][:] = 0
    assert batch[2].any(), "each place has an array of its own"


def test_several_files_and_images_when_allowed(clip: Clip, tmp_path: Path) -> None:
    Image.new("RGB", (12, 10), (1, 2, 3)).save(tmp_path / "still.png")
    refs = [
        *refs_of(clip("plain"), [3]),
        MediaRef(uri=str(tmp_path / "still.png")),
        *refs_of(clip("hevc"), [5]),
        *refs_of(clip("plain"), [1]),
    ]
    batch = batch_decode(refs, allow_images=True, allow_multi_video=True)
    for ref, pixels in zip(refs, batch, strict=True):
        np.testing.assert_array_equal(pixels, ref.to_ndarray())
    with pytest.raises(ValueError, match="allow_images=False"):
        batch_decode(refs, allow_multi_video=True)
    with pytest.raises(ValueError, match="allow_multi_video=False"):
        batch_decode(refs, allow_images=True)


def test_what_is_no_list_of_references_is_refused(clip: Clip) -> None:
    assert batch_decode([]) == []
    assert len(batch_decode(iter(refs_of(clip("plain"), [1])))) == 1
    for wrong in (None, "a.mp4", refs_of(clip("plain"), [1])[0]):
        with pytest.raises(TypeError, match="refs must be a list"):
            batch_decode(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"refs\[1\] is NoneType"):
        batch_decode([*refs_of(clip("plain"), [1]), None])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        batch_decode([], gap_treshold=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="Unknown decoder backend"):
        batch_decode(refs_of(clip("plain"), [1]), "decord")
    with pytest.raises(ValueError, match="on_error"):
        batch_decode([], on_error="ignore")  # type: ignore[arg-type]


def test_gaps_are_refused_where_they_are_not_meant(clip: Clip) -> None:
    refs = refs_of(clip("long"), [0, 10, 200])
    assert len(batch_decode(refs)) == 3
    with pytest.raises(ValueError, match="allow_gap=False"):
        batch_decode(refs, allow_gap=False)
    assert len(batch_decode(refs, allow_gap=False, gap_threshold=7.0)) == 3


def test_one_bad_reference_raises_or_is_skipped(clip: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = refs_of(clip("plain"), [4])
    empty = tmp_path / "empty.mp4"
    empty.touch()
    late = MediaRef(uri=good[0].uri, pts_ns=10**12)
    bad = [late, MediaRef(uri=str(tmp_path / "missing.mp4"), pts_ns=0), MediaRef(uri=str(empty), pts_ns=0)]
    for ref, kind in zip(bad, (TimestampError, MediaNotFoundError, CorruptMediaError), strict=True):
        with pytest.raises(kind, match="Failed to load batch from") as caught:
            batch_decode([*good, ref], allow_multi_video=True)
        assert isinstance(caught.value, ValueError)
        assert ref.uri in str(caught.value)
    with caplog.at_level("WARNING", logger="mediaref"):
        mixed = batch_decode([bad[0], *good, *bad[1:]], allow_multi_video=True, on_error="skip")
    assert [pixels is None for pixels in mixed] == [True, False, True, True]
    assert sum("skipped" in record.message for record in caplog.records) == 3
    costs = batch_bit_costs([bad[0], *good, *bad[1:]], on_error="skip")
    assert [cost is None for cost in costs] == [True, False, True, True]


def test_a_damaged_stretch_costs_its_own_frames_only(clip: Clip, tmp_path: Path) -> None:
    index = VideoIndex.open(clip("no_b"))
    keys = np.flatnonzero(index.is_key)
    damaged = bytearray(clip("no_b").read_bytes())
    for frame in range(int(keys[1]), int(keys[2])):
        row = int(index.packet_of[frame])
        begin, size = int(index.packets.position[row]), int(index.packets.size[row])
        damaged[begin : begin + size] = bytes(size)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(damaged)
    sound = refs_of(clip("no_b"), [0, int(keys[1]) + 1, int(keys[2])])
    refs = [MediaRef(uri=str(path), pts_ns=ref.pts_ns) for ref in sound]
    batch = batch_decode(refs, on_error="skip")
    for place in (0, 2):
        np.testing.assert_array_equal(batch[place], sound[place].to_ndarray())


def test_bits_in_the_order_asked(clip: Clip) -> None:
    refs = [*refs_of(clip("plain"), [9, 2, 9]), *refs_of(clip("cavlc"), [3])]
    costs = batch_bit_costs(refs)
    assert [cost.frame_index for cost in costs] == [9, 2, 9, 3]
    for ref, cost in zip(refs, costs, strict=True):
        np.testing.assert_array_equal(cost.bits, ref.to_bit_cost().bits)


@pytest.mark.parametrize("kind", ["ascending", "shuffled", "two files in turns", "descending"])
def test_a_stream_is_the_batch_piece_by_piece(clip: Clip, kind: str) -> None:
    refs = refs_of(clip("long"), list(range(0, 240, 2)))
    refs = refs[:40] + [refs[39]] * 2 + refs[40:]
    if kind == "shuffled":
        random.Random(1).shuffle(refs)
    if kind == "descending":
        refs.reverse()
    if kind == "two files in turns":
        refs = [ref for pair in zip(refs[:24], refs_of(clip("plain"), list(range(24))), strict=True) for ref in pair]
    expected = batch_decode(refs, allow_multi_video=True)
    for ours, theirs in zip(iter_decode(refs), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_stream_skips_and_raises_in_place(clip: Clip) -> None:
    refs = refs_of(clip("long"), list(range(60)))
    refs.append(MediaRef(uri=refs[0].uri, pts_ns=10**12))
    assert [pixels is None for pixels in iter_decode(refs, on_error="skip")] == [False] * 60 + [True]
    stream = iter_decode(refs)
    for _ in range(60):
        next(stream)
    with pytest.raises(TimestampError):
        next(stream)


def test_a_stream_keeps_images_and_frames_of_one_uri_apart(clip: Clip) -> None:
    refs = refs_of(clip("long"), list(range(40)))
    refs.insert(1, MediaRef(uri=refs[0].uri))
    got = list(iter_decode(refs, on_error="skip"))
    assert [place for place, pixels in enumerate(got) if pixels is None] == [1]
