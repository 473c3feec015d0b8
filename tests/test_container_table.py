"""Indexes from the tables of MP4 and MOV files: the same as those from all packets, and nothing is guessed."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import make_clip
from corpus import CorpusFile, corpus_files
from reference import digest, plain_decode
from two_roads import assert_same, indexed_by_packets

from mediaref import MediaRef, batch_decode, cleanup_cache, limits
from mediaref.bitcost import read_bit_costs
from mediaref.containers.mp4 import Movie
from mediaref.errors import CorruptMediaError, LimitExceededError, MediaRefError
from mediaref.storage import Source
from mediaref.storage.ranges import Ranges
from mediaref.video_decoder import DecodePlan, VideoIndex, container_table, decode_frames

Clip = Callable[[str], Path]

#: Clips in MP4 files whose tables tell everything.
TABLED = [
    *("plain", "pyramid", "open_gop", "intra_refresh", "no_b", "cavlc", "lossless", "slices", "odd_size", "ten_bit"),
    *("full_range", "variable_rate", "ntsc", "late_start", "rotated", "edit_list", "with_audio", "hevc"),
    *("hevc_open_gop", "hevc_rotated", "vp9_gops", "vp9_rotated", "one_frame", "long", "fragmented"),
]
#: Clips in MP4 files that are indexed by a pass over their packets: fields may be coded, or
#: FFmpeg makes its packets from the samples.
NOT_TABLED = ["mbaff", "progressive_as_fields", "mpeg4"]


@pytest.mark.parametrize("name", TABLED)
def test_the_table_tells_what_all_packets_tell(clip: Clip, name: str) -> None:
    tabled = VideoIndex.open(clip(name))
    assert tabled.description is not None
    assert_same(tabled, indexed_by_packets(clip(name)))


@pytest.mark.parametrize("name", NOT_TABLED)
def test_a_table_that_cannot_tell_everything_is_not_used(clip: Clip, name: str) -> None:
    assert VideoIndex.open(clip(name)).description is None


@pytest.mark.parametrize("name", [name for name in TABLED if name != "one_frame"])
def test_plans_need_only_the_headers_of_what_they_touch(clip: Clip, name: str) -> None:
    packeted = indexed_by_packets(clip(name))
    rng = random.Random(name)
    for count in (1, 1, 2, 5):
        cleanup_cache()
        frames = rng.sample(range(len(packeted)), count)
        plan = DecodePlan.of(VideoIndex.open(clip(name)), frames)
        np.testing.assert_array_equal(plan.packets, DecodePlan.of(packeted, frames).packets)


def test_headers_are_read_from_a_keyframe_to_the_frame_and_kept(clip: Clip) -> None:
    cleanup_cache()
    index = VideoIndex.open(clip("long"))
    keys = np.flatnonzero(index.packets.is_key)
    frame = int(np.flatnonzero(index.packet_of == keys[2] + 7)[0])
    assert np.flatnonzero(index.packets.scanned_from >= 0).tolist() == [0]
    refined = index.with_headers([frame])
    read = [0, *range(int(keys[2]), int(keys[2]) + 8)]
    assert np.flatnonzero(refined.packets.scanned_from >= 0).tolist() == read
    assert VideoIndex.open(clip("long")) is refined
    assert index.with_headers([frame]) is refined
    assert refined.with_headers([frame - 3]) is refined


def without_media(path: Path, target: Path, keep: int) -> Path:
    """A copy of an MP4 file with its media data but for the first `keep` bytes of it overwritten."""
    content = bytearray(path.read_bytes())
    at = content.index(b"mdat") - 4
    size = int.from_bytes(content[at : at + 4], "big")
    content[at + 8 + keep : at + size] = b"\xaa" * (size - 8 - keep)
    target.write_bytes(content)
    return target


def test_media_data_behind_the_first_packet_is_not_read(clip: Clip, tmp_path: Path) -> None:
    index = VideoIndex.open(clip("plain"))
    bare = without_media(clip("plain"), tmp_path / "bare.mp4", int(index.packets.size[0]))
    other = VideoIndex.open(bare)
    np.testing.assert_array_equal(other.pts_ns, index.pts_ns)  # type: ignore[arg-type]
    np.testing.assert_array_equal(other.packets.position, index.packets.position)


def test_a_description_makes_the_same_decoder_and_holds_no_samples(clip: Clip) -> None:
    index = VideoIndex.open(clip("with_audio"))
    assert index.description is not None
    assert len(index.description) < 1000
    with av.open(str(clip("with_audio"))) as container:
        assert index.extradata == container.streams.video[0].codec_context.extradata


def mark_all_as_keyframes(path: Path) -> None:
    """Drop the table of keyframes: without one every sample counts as one."""
    content = bytearray(path.read_bytes())
    at = content.index(b"stss")
    content[at : at + 4] = b"free"
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["plain", "open_gop", "hevc", "vp9_gops", "long"])
def test_keyframes_that_are_none_are_found_out(clip: Clip, tmp_path: Path, name: str) -> None:
    path = tmp_path / "keys.mp4"
    path.write_bytes(clip(name).read_bytes())
    mark_all_as_keyframes(path)
    index = VideoIndex.open(path)
    assert index.description is not None
    assert index.is_key.all()
    plain = plain_decode(path, index).pixels
    for frame in (len(index) - 2, 3, len(index) // 2):
        ((_, pixels),) = decode_frames(index, [frame], threads=1)
        assert digest(pixels) == plain[frame]


def spliced(tmp_path: Path, entry: str) -> tuple[Path, Path]:
    """An MP4 file of two encodes of which the second has its parameter sets in its first packet; and the second alone.

    `entry` names the sample entry: one that promises that there are none in packets, or one that does not.
    """
    parts = [
        make_clip(tmp_path / f"part{number}.mp4", frames=16, seed=number, options={"x264-params": params})
        for number, params in enumerate(["keyint=8:bframes=0:ref=1", "keyint=8:bframes=0:ref=1:cabac=0:8x8dct=0"])
    ]
    path = tmp_path / f"{entry}.mp4"
    with av.open(str(path), "w") as output, av.open(str(parts[0])) as first, av.open(str(parts[1])) as second:
        stream = output.add_stream_from_template(first.streams.video[0])
        stream.codec_context.codec_tag = entry
        packets = [packet for container in (first, second) for packet in container.demux(video=0) if packet.size]
        sets = sets_of(second.streams.video[0].codec_context.extradata or b"")
        for number, packet in enumerate(packets):
            content = sets + bytes(packet) if number == 16 else bytes(packet)
            copy: Any = av.Packet(content)
            copy.pts = copy.dts = number * 512
            copy.duration, copy.time_base, copy.is_keyframe = 512, packet.time_base, packet.is_keyframe
            copy.stream = stream
            output.mux(copy)
    return path, parts[1]


def sets_of(extradata: bytes) -> bytes:
    """The parameter sets of an `avcC` record, each behind its length as in a packet."""
    at, found = 6, b""
    for count in (extradata[5] & 31, None):
        if count is None:
            count, at = extradata[at], at + 1
        for _ in range(count):
            (size,) = struct.unpack_from(">H", extradata, at)
            found += struct.pack(">I", size) + extradata[at + 2 : at + 2 + size]
            at += 2 + size
    return found


@pytest.mark.parametrize("entry", ["avc1", "avc3"])
def test_parameter_sets_that_come_with_a_packet_are_found(tmp_path: Path, entry: str) -> None:
    path, second = spliced(tmp_path, entry)
    index = VideoIndex.open(path)
    assert index.description is not None
    assert index.has_constant_sets == (entry == "avc1")
    alone = plain_decode(second, VideoIndex.open(second)).pixels
    for frame in (3, 4, 1):
        ((_, pixels),) = decode_frames(VideoIndex.open(path), [16 + frame], threads=1)
        assert digest(pixels) == alone[frame]
    cleanup_cache()
    if entry == "avc3":
        (cost,), (expected,) = read_bit_costs(path, [16 + 5]), read_bit_costs(second, [5])
        np.testing.assert_array_equal(cost.bits, expected.bits)


def overwritten(path: Path, target: Path, box: bytes, offset: int, value: int) -> Path:
    content = bytearray(path.read_bytes())
    struct.pack_into(">I", content, content.index(box) + 4 + offset, value)
    target.write_bytes(content)
    return target


def test_a_table_that_lies_loses_its_own_frames_and_no_others(clip: Clip, tmp_path: Path) -> None:
    honest = VideoIndex.open(clip("no_b"))
    plain = plain_decode(clip("no_b"), honest).pixels
    keys = np.flatnonzero(honest.is_key).tolist()
    # The size of one sample: all behind it in its chunk are looked for in the wrong place.
    row = keys[1] + 2
    path = overwritten(clip("no_b"), tmp_path / "size.mp4", b"stsz", 12 + 4 * row, int(honest.packets.size[row]) + 9)
    from mediaref.video_decoder.pyav import frames_or_errors

    got = dict(frames_or_errors(VideoIndex.open(path), range(row), threads=1))
    assert [digest(got[frame]) for frame in range(row)] == plain[:row]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [
        {"options": {"x264-params": "keyint=24:bframes=3:b-adapt=0:b-pyramid=normal"}},
        {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=24:bframes=4:b-adapt=0"}},
        {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8", "g": "12"}},
        {"options": {"x264-params": "keyint=24:bframes=3:b-adapt=0:tff=1"}},
        {"codec": "mpeg4", "options": {"bf": "2", "g": "12"}},
    ],
    ids=["h264", "hevc", "vp9", "h264 in fields", "mpeg4"],
)
def test_of_a_file_cut_off_behind_its_table_all_that_is_left_comes_and_nothing_for_what_is_not(
    tmp_path: Path, arguments: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    path = make_clip(tmp_path / "whole.mp4", size=(64, 48), container_options={"movflags": "faststart"}, **arguments)
    index = VideoIndex.open(path)
    plain = plain_decode(path, index).pixels
    content = path.read_bytes()
    cut = tmp_path / "cut.mp4"
    for row in range(4, len(index.packets)):
        end = int(index.packets.position[row] + index.packets.size[row] // 2)
        cut.write_bytes(content[:end])
        is_there = index.packet_of < row
        assert _by_time(index, cut) == [plain[frame] if is_there[frame] else None for frame in range(len(index))]
        assert f"cut.mp4: the file is cut off: {len(index.packets) - row} of its 24 packets" in caplog.text
    with pytest.raises(CorruptMediaError, match=r"packet 23 \(byte \d+\) of \d+ bytes is cut short"):
        MediaRef(uri=str(cut), pts_ns=int(index.pts_ns[index.packet_of.tolist().index(23)])).to_ndarray()  # type: ignore[index]


def _by_time(index: VideoIndex, path: Path) -> list[str | None]:
    """What each frame of `index` is in another file, if it is there."""
    refs = [MediaRef(uri=str(path), pts_ns=int(time)) for time in index.pts_ns]  # type: ignore[union-attr]
    return [None if pixels is None else digest(pixels) for pixels in batch_decode(refs, on_error="skip")]


@pytest.mark.parametrize("seed", range(6))
def test_damaged_tables_give_an_index_or_an_error_of_ours(clip: Clip, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for trial in range(25):
        content = bytearray(clip(rng.choice(["plain", "edit_list", "vp9_gops", "with_audio"])).read_bytes())
        moov = content.index(b"moov")
        for _ in range(rng.choice([1, 2, 12])):
            content[rng.randrange(moov, len(content))] = rng.choice([0, 1, 127, 128, 255])
        path = tmp_path / f"{trial}.mp4"
        path.write_bytes(content)
        try:
            index = VideoIndex.open(path)
            list(decode_frames(index, [0, len(index) - 1], threads=1))
        except MediaRefError:
            continue


def test_a_table_larger_than_the_limit_is_refused(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    cleanup_cache()
    monkeypatch.setattr(limits, "MAX_READ_BYTES", 500)
    with pytest.raises(LimitExceededError, match=r"plain\.mp4: .*MAX_READ_BYTES"):
        VideoIndex.open(clip("plain"))


def test_boxes_are_found_in_pieces_of_any_size() -> None:
    def box(kind: bytes, body: bytes, wide: bool = False) -> bytes:
        return (
            struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
            if wide
            else struct.pack(">I4s", 8 + len(body), kind) + body
        )

    tracks = b"".join(
        box(b"trak", box(b"tkhd", bytes(12) + struct.pack(">I", number) + bytes(68))) for number in (3, 7)
    )
    file = box(b"ftyp", b"isom") + box(b"mdat", bytes(1000), wide=True) + box(b"moov", tracks)

    movie = movie_in(file)
    assert movie is not None
    assert movie.content == file[:12] + file[-len(box(b"moov", tracks)) :]
    assert movie.samples(7) is None
    assert movie.description(7).count(b"tkhd") == 1
    for broken in (b"", file[:20], file[:-1], b"\0\0\0\4" + file, box(b"ftyp", b"isom") + b"\0\0\0\3moov", b"RIFF" * 8):
        assert movie_in(broken) is None


def movie_in(content: bytes) -> Movie | None:
    with Ranges(Source("a.mp4", data=content)) as ranges:
        return Movie.read(ranges)


@pytest.mark.parametrize(
    ("name", "asks"), [("long", False), ("with_audio", False), ("late_start", False), ("edit_list", True)]
)
def test_ffmpeg_is_asked_for_its_index_only_where_boxes_do_not_tell(
    clip: Clip, name: str, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = container_table.packets_of_movie

    def noting(stream: Any, movie: Movie, name: str) -> Any:
        asked.append(name)
        return original(stream, movie, name)

    monkeypatch.setattr(container_table, "packets_of_movie", noting)
    cleanup_cache()
    assert VideoIndex.open(clip(name)).description is not None
    assert bool(asked) == asks


MOVIES = [file for file in corpus_files("h264", "hevc", "vp9", "av1", "real") if file.path.suffix in {".mp4", ".mov"}]


@pytest.mark.corpus
@pytest.mark.parametrize("file", MOVIES, ids=lambda file: file.name)
def test_corpus_tables_tell_what_all_packets_tell(file: CorpusFile) -> None:
    try:
        packeted = indexed_by_packets(file.path)
    except MediaRefError as error:
        with pytest.raises(type(error)):
            VideoIndex.open(file.path)
        return
    tabled = VideoIndex.open(file.path)
    if tabled.description is None:
        pytest.skip("its tables do not tell everything")
    # FFmpeg takes the rate from the fragments that it has read by then; where a `sidx` lists them that is the first.
    assert_same(tabled, packeted, but=("average_rate",) if b"sidx" in file.path.read_bytes() else ())
    cleanup_cache()
    for seed in range(4):
        frames = random.Random(seed).sample(range(len(packeted)), min(1 + 3 * seed, len(packeted)))
        plan = DecodePlan.of(VideoIndex.open(file.path), frames)
        np.testing.assert_array_equal(plan.packets, DecodePlan.of(packeted, frames).packets)
