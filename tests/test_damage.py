"""Videos that are damaged within: the frames that are sound come back, the others are errors, and none is wrong."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from reference import digest, plain_decode

from mediaref import MediaRef, batch_decode, iter_decode
from mediaref.bitcost import read_bit_costs
from mediaref.errors import CorruptMediaError
from mediaref.video_decoder import VideoIndex, decode_frames
from mediaref.video_decoder.pyav import frames_or_errors

Clip = Callable[[str], Path]


def damaged(path: Path, target: Path, row: int, *, whole: bool = False) -> Path:
    """A copy with some bytes in the middle of one packet overwritten by others, or the `whole` packet by ones."""
    index = VideoIndex.open(path)
    content = bytearray(path.read_bytes())
    begin, size = int(index.packets.position[row]), int(index.packets.size[row])
    if whole:
        content[begin : begin + size] = b"\xff" * size
    else:
        middle = begin + min(max(40, size // 2), size - 10)
        end = min(middle + 30, begin + size)
        content[middle:end] = random.Random(row).randbytes(end - middle)
    target.write_bytes(content)
    return target


def lost_and_wrong(path: Path, whole: Path, threads: int = 1) -> tuple[set[int], set[int]]:
    """The frames that are errors, and those that are not what they were in the whole file."""
    plain = plain_decode(whole, VideoIndex.open(whole)).pixels
    got = dict(frames_or_errors(VideoIndex.open(path), range(len(plain)), threads=threads))
    lost = {frame for frame, pixels in got.items() if isinstance(pixels, CorruptMediaError)}
    return lost, {frame for frame in set(got) - lost if digest(got[frame]) != plain[frame]}  # type: ignore[arg-type]


def is_noticed(path: Path) -> bool:
    """Whether FFmpeg finds fault with a packet: damage may also read as other pictures than there were."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        try:
            return any(f.is_corrupt for packet in container.demux(stream) for f in stream.codec_context.decode(packet))
        except av.FFmpegError:
            return True


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["plain", "pyramid", "no_b", "matroska"])
def test_of_damaged_h264_no_frame_is_wrong_where_ffmpeg_notices(
    clip: Clip, tmp_path: Path, name: str, threads: int
) -> None:
    index = VideoIndex.open(clip(name))
    keys = [*np.flatnonzero(index.packets.is_key).tolist(), len(index.packets)]
    noticed = 0
    for row in range(1, len(index.packets), 3):
        path = damaged(clip(name), tmp_path / clip(name).name, row)
        if is_noticed(path):
            noticed += 1
            lost, wrong = lost_and_wrong(path, clip(name), threads)
            assert lost
            assert not wrong
            # Nothing is lost but frames of the same group.
            begin, end = max(key for key in keys if key <= row), min(key for key in keys if key > row)
            assert {int(index.packet_of[frame]) for frame in lost} <= set(range(begin, end))
    assert noticed > 3


@pytest.mark.parametrize("name", ["plain", "hevc_slices", "vp9"])
def test_bit_costs_tell_of_damage_that_decoders_do_not_notice(clip: Clip, tmp_path: Path, name: str) -> None:
    index = VideoIndex.open(clip(name))
    unnoticed = 0
    for frame in range(1, len(index), 4):
        row = int(index.packet_of[frame])
        path = damaged(clip(name), tmp_path / "damaged.mp4", row)
        unnoticed += bool(lost_and_wrong(path, clip(name))[1])
        with pytest.raises(CorruptMediaError) as raised:
            read_bit_costs(path, [frame])
        begin, size = int(index.packets.position[row]), int(index.packets.size[row])
        told = re.search(
            rf"damaged\.mp4: frame {frame} \(packet {row}, byte {begin}\) stops at byte (\d+)", str(raised.value)
        )
        assert told
        both = np.array([np.fromfile(file, np.uint8, size, offset=begin) for file in (path, clip(name))])
        assert np.flatnonzero(both[0] != both[1])[0] <= int(told[1]) <= size  # not before it begins
    assert unnoticed


@pytest.mark.parametrize("name", ["plain", "hevc", "vp9_gops"])
def test_frames_without_their_references_are_errors(clip: Clip, tmp_path: Path, name: str) -> None:
    index = VideoIndex.open(clip(name)).with_headers()
    keys = np.flatnonzero(index.is_key).tolist()
    row = next(row for row in range(keys[-1] + 1, len(index.packets)) if index.packets.is_referenced[row])
    lost, wrong = lost_and_wrong(damaged(clip(name), tmp_path / "a.mp4", row, whole=True), clip(name))
    assert int(np.flatnonzero(index.packet_of == row)[0]) in lost
    assert not wrong
    assert not lost & set(np.flatnonzero(index.packet_of < keys[-1]).tolist())


def test_a_group_that_does_not_decode_is_raised_or_skipped(clip: Clip, tmp_path: Path) -> None:
    index = VideoIndex.open(clip("no_b"))
    assert index.pts_ns is not None
    first, second = np.flatnonzero(index.is_key).tolist()[1:3]
    path = damaged(clip("no_b"), tmp_path / "a.mp4", first, whole=True)
    plain = plain_decode(clip("no_b"), index).pixels
    refs = [MediaRef(uri=str(path), pts_ns=int(time)) for time in index.pts_ns]
    for decoded in (batch_decode(refs, on_error="skip"), list(iter_decode(refs, on_error="skip"))):
        assert [pixels is None for pixels in decoded] == [first <= frame < second for frame in range(len(index))]
        assert all(pixels is None or digest(pixels) == plain[frame] for frame, pixels in enumerate(decoded))
    with pytest.raises(CorruptMediaError, match=rf"a\.mp4: frame {first} \(packet {first}, byte \d+\) does not decode"):
        batch_decode(refs)
    with pytest.raises(CorruptMediaError, match="frame 15"):
        list(decode_frames(path, [3, 15], threads=1))


@pytest.mark.parametrize("change", [-40, 25])
@pytest.mark.parametrize("box", [b"stsz", b"stco"])
def test_a_table_with_wrong_sizes_or_places_makes_no_frame_wrong(
    clip: Clip, tmp_path: Path, box: bytes, change: int
) -> None:
    whole = clip("no_b")
    content = bytearray(whole.read_bytes())
    at = content.index(box) + 4 + (12 + 4 * 14 if box == b"stsz" else 8)
    struct.pack_into(">I", content, at, struct.unpack_from(">I", content, at)[0] + change)
    path = tmp_path / "lies.mp4"
    path.write_bytes(content)
    if box == b"stco":  # there is one chunk, and nothing of it is a frame
        with pytest.raises(CorruptMediaError, match="has no frame"):
            VideoIndex.open(path)
        return
    lost, wrong = lost_and_wrong(path, whole)
    assert lost
    assert not wrong
    assert not lost & set(range(12))
