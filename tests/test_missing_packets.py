"""H.264 with packets missing from the file: what depends on them is an error, all else is as in the whole file."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from clips import H264_CLIPS, remuxed_without
from corpus import CorpusFile, corpus_files
from reference import digest, plain_decode

from mediaref import MediaRef, batch_decode, cleanup_cache
from mediaref._native import StreamParser
from mediaref.errors import CorruptMediaError, MediaRefError
from mediaref.video_decoder import (
    DecodePlan,
    VideoIndex,
    decode_frames,
    nearest_cheap_frames,
    packets_to_feed,
)
from mediaref.video_decoder.dependencies import cut_off
from mediaref.video_decoder.pyav import frames_or_errors
from mediaref.video_decoder.reader import PacketReader
from mediaref.video_decoder.starts import start_points

Clip = Callable[[str], Path]

H264_CORPUS = [file for file in corpus_files("h264", "real") if file.decodes and file.codec.lower().startswith("h264")]
#: A stream that was made with a frame lost.
LOSSY = "h264/openh264__BA_MW_D_P_LOST.264"
_LONGEST = 120


def packets_of(index: VideoIndex) -> list[bytes]:
    with PacketReader(index) as reader:
        return list(reader.read_bytes(range(len(index.packets))))


def lost_without(path: Path, gone: Sequence[int], whole: VideoIndex, pixels: Sequence[object]) -> set[int]:
    """The frames that are errors in `path`, by their packets in the whole file. Fails if another frame is wrong."""
    cleanup_cache()
    index = VideoIndex.open(path)
    kept = np.delete(np.arange(len(whole.packets)), gone)
    row_of = {frame: int(kept[row]) for frame, row in enumerate(index.packet_of)}
    right = {int(row): digest for row, digest in zip(whole.packet_of, pixels, strict=True)}
    lost = set()
    for frame, got in frames_or_errors(index, range(len(index)), threads=1):
        if isinstance(got, CorruptMediaError):
            lost.add(row_of[frame])
        else:
            assert digest(got) == right[row_of[frame]], f"frame {frame}, without packets {gone}"  # type: ignore[arg-type]
    for frame in random.Random(gone[0]).sample(range(len(index)), min(2, len(index))):
        cleanup_cache()  # and with it all headers
        ((_, got),) = frames_or_errors(VideoIndex.open(path), [frame], threads=1)
        assert isinstance(got, CorruptMediaError) == (row_of[frame] in lost)
    return lost


@pytest.mark.parametrize(
    ("name", "suffix", "step"),
    [
        ("plain", ".mp4", 1),
        ("pyramid", ".mkv", 2),
        ("open_gop", ".ts", 3),
        ("cavlc_refs", ".mkv", 4),
        ("refresh_with_b", ".mp4", 5),
        ("mbaff", ".ts", 2),
        ("veryfast", ".mp4", 3),
    ],
)
def test_no_frame_is_wrong_whichever_referenced_packet_is_missing(
    clip: Clip, tmp_path: Path, name: str, suffix: str, step: int
) -> None:
    whole = VideoIndex.open(clip(name)).with_headers()
    pixels = plain_decode(clip(name), whole).pixels
    table = whole.packets
    starts = [*start_points(whole).tolist(), len(table)]
    lost_in_all = 0
    for row in np.flatnonzero(table.is_referenced).tolist()[1::step]:
        path = remuxed_without(clip(name), tmp_path / f"{row}{suffix}", [row])
        lost = lost_without(path, [row], whole, pixels)
        lost_in_all += len(lost)
        # Behind the next place to start from only what is shown before it may be lost.
        end = min(start for start in starts if start > row)
        behind = {other for other in lost if other >= end}
        assert all(other > row for other in lost)
        assert not behind or table.recovery_frames.any() or table.pts[list(behind)].max() < table.pts[end]
    assert lost_in_all > 10


def test_the_error_names_the_frame_its_packet_and_where_some_are_missing(clip: Clip, tmp_path: Path) -> None:
    path = remuxed_without(clip("no_b"), tmp_path / "gap.mp4", [5])
    index = VideoIndex.open(path)
    assert index.pts_ns is not None
    message = r"gap\.mp4: frame 8 \(packet 8, byte \d+\) depends on pictures .* missing .* right before packet 5;"
    with pytest.raises(CorruptMediaError, match=message):
        list(decode_frames(path, [8]))
    refs = [MediaRef(uri=str(path), pts_ns=int(time)) for time in index.pts_ns]
    with pytest.raises(CorruptMediaError, match="right before packet 5"):
        batch_decode(refs)
    assert [pixels is None for pixels in batch_decode(refs, on_error="skip")] == [5 <= n < 11 for n in range(23)]


def test_a_plan_says_which_frames_cannot_be_had(clip: Clip, tmp_path: Path) -> None:
    index = VideoIndex.open(remuxed_without(clip("no_b"), tmp_path / "gap.mp4", [5]))
    text = DecodePlan.of(index, [3, 8]).explain()
    assert "1 frames returned" in text
    assert "gap.mp4: frame 8 (packet 8" in text.partition("not returned: ")[2]
    assert "not returned: 3 others" in DecodePlan.of(index, range(12)).explain()


def test_a_tolerance_passes_by_what_cannot_be_had(clip: Clip, tmp_path: Path) -> None:
    index = VideoIndex.open(remuxed_without(clip("inner_intra"), tmp_path / "gap.mkv", [1]))
    lost = cut_off(index.with_headers(), range(len(index)))
    assert index.pts_ns is not None
    begins = index.pts_ns.tolist()
    assert {10, 11, 12} <= lost.keys()
    assert packets_to_feed(index, range(10, 15)).argmin() == 0
    (frame,) = nearest_cheap_frames(index, [begins[12]], begins[12] - begins[10])
    assert frame in {13, 14}
    assert frame not in lost
    (frame,) = nearest_cheap_frames(index, [begins[11]], begins[11] - begins[10])
    assert frame == 10  # all are lost


@pytest.mark.parametrize("name", H264_CLIPS)
def test_nothing_is_missing_from_a_stream_that_begins_anywhere(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name)).with_headers()
    assert (index.packets.missing == -1).all()
    packets = packets_of(index)
    for begin in range(1, len(packets), 1 + len(packets) // 40):
        parser = StreamParser("h264", index.extradata)
        parser.scan([index.headers.get(0, b"")])
        assert (parser.scan(packets[begin:]).missing == -1).all()


@pytest.mark.parametrize("name", ["open_gop", "intra_refresh"])
def test_recordings_that_are_put_together_are_whole_from_the_next_place_to_start(
    clip: Clip, tmp_path: Path, name: str
) -> None:
    whole = VideoIndex.open(clip(name)).with_headers()
    pixels = plain_decode(clip(name), whole).pixels
    point = np.flatnonzero(whole.packets.is_recovery_point & ~whole.packets.is_idr)[-1]
    gone = list(range(int(point) - 7, int(point)))
    lost = lost_without(remuxed_without(clip(name), tmp_path / "cut.ts", gone), gone, whole, pixels)
    frames = whole.packet_of.tolist()
    exact = frames.index(int(point)) + int(whole.packets.recovery_frames[point])
    assert not lost & set(frames[exact:])


@pytest.mark.corpus
@pytest.mark.parametrize("file", H264_CORPUS, ids=lambda file: file.name)
def test_nothing_is_missing_from_a_corpus_file(file: CorpusFile) -> None:
    index = VideoIndex.open(file.path).with_headers()
    lost = cut_off(index, range(len(index)))
    assert len(lost) == (28 if file.name == LOSSY else 0)


@pytest.mark.corpus
@pytest.mark.parametrize("file", H264_CORPUS, ids=lambda file: file.name)
def test_no_frame_of_a_corpus_file_is_wrong_where_a_packet_is_missing(file: CorpusFile, tmp_path: Path) -> None:
    try:
        whole = VideoIndex.open(file.path).with_headers()
        if len(whole) > _LONGEST or whole.pts_ns is not None or "frame_num-gaps" in file.features:
            pytest.skip("long, in a container, or gaps are allowed, which hide what is missing")
        pixels = plain_decode(file.path, whole)
    except (MediaRefError, av.FFmpegError) as error:
        pytest.skip(str(error))
    if len(pixels.pixels) != len(whole) or any(pixels.corrupt) or file.name == LOSSY:
        pytest.skip("damaged")
    table, packets = whole.packets, packets_of(whole)
    # Where an IDR picture is missing, the numbers may go on by chance.
    rows = np.flatnonzero(table.is_referenced & table.has_picture & ~table.is_second_field & ~table.is_idr).tolist()
    for row in random.Random(file.name).sample(rows, min(3, len(rows))):
        gone = [row, row + 1] if table.is_second_field[row + 1 : row + 2].any() else [row]
        path = tmp_path / "gap.264"
        path.write_bytes(b"".join(packet for at, packet in enumerate(packets) if at not in gone))
        lost_without(path, gone, whole, pixels.pixels)
