"""Matroska and WebM: the index from the headers of blocks, and what is left to FFmpeg."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from clips import make_clip
from corpus import CorpusFile, corpus_files
from reference import digest, plain_decode
from two_roads import assert_same, indexed_by_packets
from web_server import WebServer

from mediaref import MediaRef, ReadStats, batch_decode, cleanup_cache
from mediaref.errors import MediaRefError
from mediaref.video_decoder import VideoIndex, decode_frames

Clip = Callable[[str], Path]

#: Blocks tell no decoding times, and say where the frame itself stands.
DIFFERENT = ("dts", "position")
X264 = {"preset": "veryfast", "threads": "1", "x264-params": "keyint=6:bframes=2:scenecut=0"}
VPX = {"deadline": "realtime", "cpu-used": "8", "g": "6"}


def assert_told_rightly(path: Path) -> VideoIndex:
    """The blocks say what the packets say, and the packets stand where the blocks say."""
    index = VideoIndex.open(path)
    assert index.description is not None
    assert_same(index, indexed_by_packets(path), but=DIFFERENT)
    content = path.read_bytes()
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    places = zip(index.packets.position.tolist(), index.packets.size.tolist(), strict=True)
    assert [content[position : position + size] for position, size in places] == packets
    return index


@pytest.mark.parametrize("kind", ["plain", "audio", "live", "small clusters", "late"])
def test_the_blocks_tell_what_all_packets_tell(kind: str, tmp_path: Path) -> None:
    muxing = {"live": {"live": "1"}, "small clusters": {"cluster_time_limit": "40"}}.get(kind, {})
    late = {"timestamps": range(100, 120)} if kind == "late" else {}
    path = make_clip(
        tmp_path / "a.mkv", frames=20, options=X264, audio=kind == "audio", container_options=muxing, **late
    )
    index = assert_told_rightly(path)
    plain = plain_decode(path, index).pixels
    for frame, pixels in decode_frames(index, [1, 8, 19], threads=1):
        assert digest(pixels) == plain[frame]


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9", "libsvtav1"])
def test_codecs_other_than_h264(codec: str, tmp_path: Path) -> None:
    options = {
        "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:keyint=5:pools=1:frame-threads=1"},
        "libvpx-vp9": VPX,
        "libsvtav1": {"preset": "12", "g": "5", "svtav1-params": "lp=1"},
    }[codec]
    assert_told_rightly(make_clip(tmp_path / "a.mkv", codec=codec, frames=11, options=options))


def test_what_comes_beside_frames_is_left_to_ffmpeg(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "alpha.webm", codec="libvpx-vp9", frames=8, pix_fmt="yuva420p", options=VPX)
    assert VideoIndex.open(path).description is None


# --- files that no muxer of FFmpeg writes -------------------------------------------------------------------------


def element(number: int, body: bytes, *, is_open: bool = False) -> bytes:
    """An element of EBML, if it `is_open` one of unknown size."""
    size = b"\x01" + (b"\xff" * 7 if is_open else len(body).to_bytes(7, "big"))
    return number.to_bytes((number.bit_length() + 7) // 8, "big") + size + body


def unsigned(number: int, value: int) -> bytes:
    return element(number, value.to_bytes(8, "big"))


def block(content: bytes, time: int, flags: int, track: int = 1) -> bytes:
    return bytes([0x80 | track]) + time.to_bytes(2, "big", signed=True) + bytes([flags]) + content


Frames = Sequence[tuple[bytes, int, bool]]


@pytest.fixture(scope="module")
def frames(clip: Clip) -> tuple[bytes, Frames]:
    """Extradata, and content, time in milliseconds and key flag of the frames of a clip."""
    with av.open(str(clip("plain"))) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        times = [round(1000 * float((packet.pts or 0) * packet.time_base)) for packet in packets]
        extradata = stream.codec_context.extradata or b""
        return extradata, [(bytes(p), time, p.is_keyframe) for p, time in zip(packets, times, strict=True)]


def matroska(
    extradata: bytes, clusters: bytes, *, more: bytes = b"", is_open: bool = False, has_rate: bool = True
) -> bytes:
    """A file of one H.264 track, with `more` in its entry."""
    head = element(0x1A45DFA3, element(0x4282, b"matroska") + unsigned(0x4287, 4) + unsigned(0x4285, 2))
    picture = element(0xE0, unsigned(0xB0, 176) + unsigned(0xBA, 144))
    entry = unsigned(0xD7, 1) + unsigned(0x73C5, 1) + unsigned(0x83, 1) + element(0x86, b"V_MPEG4/ISO/AVC")
    entry += element(0x63A2, extradata) + picture + (unsigned(0x23E383, 33_333_333) if has_rate else b"") + more
    body = element(0x1549A966, unsigned(0x2AD7B1, 1_000_000)) + element(0x1654AE6B, element(0xAE, entry)) + clusters
    return head + element(0x18538067, body, is_open=is_open)


def cluster(time: int, *blocks: bytes, is_open: bool = False) -> bytes:
    return element(0x1F43B675, unsigned(0xE7, time) + b"".join(blocks), is_open=is_open)


def simple(frame: tuple[bytes, int, bool], base: int = 0) -> bytes:
    content, time, key = frame
    return element(0xA3, block(content, time - base, 0x80 if key else 0))


def group(frame: tuple[bytes, int, bool], *, more: bytes = b"", duration: int = 33) -> bytes:
    content, time, key = frame
    reference = b"" if key else element(0xFB, b"\xff")
    return element(0xA0, element(0xA1, block(content, time, 0)) + unsigned(0x9B, duration) + reference + more)


def written(tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "a.mkv").write_bytes(content)
    return tmp_path / "a.mkv"


@pytest.mark.parametrize("is_open", [False, True])
def test_groups_simple_blocks_and_clusters_of_unknown_size(
    frames: tuple[bytes, Frames], tmp_path: Path, is_open: bool
) -> None:
    extradata, all_frames = frames
    first, second = all_frames[:12], all_frames[12:]
    clusters = cluster(0, *map(group, first), element(0xEC, bytes(9)), is_open=is_open)
    clusters += cluster(300, *(simple(frame, 300) for frame in second), is_open=is_open)
    clusters += element(0x1254C367, b"") + element(0xEC, bytes(300))
    index = assert_told_rightly(written(tmp_path, matroska(extradata, clusters, is_open=is_open)))
    assert len(index) == 24


def test_durations_that_nobody_tells_are_those_that_ffmpeg_makes_out(
    frames: tuple[bytes, Frames], tmp_path: Path
) -> None:
    extradata, all_frames = frames
    content = matroska(extradata, cluster(0, *map(simple, all_frames)), has_rate=False)
    assert_told_rightly(written(tmp_path, content))


UNUSUAL: dict[str, Callable[[Frames], tuple[bytes, bytes]]] = {
    "lacing": lambda f: (
        b"".join([*map(simple, f[:5]), element(0xA3, block(b"\0" + f[5][0], f[5][1], 0x02)), *map(simple, f[6:])]),
        b"",
    ),
    "a group with more in it": lambda f: (
        b"".join([*map(group, f[:5]), group(f[5], more=element(0x75A2, b"\0\1")), *map(group, f[6:])]),
        b"",
    ),
    "an encrypted block": lambda f: (b"".join(map(simple, f)) + element(0xAF, b"abcd"), b""),
    "a delay": lambda f: (b"".join(map(simple, f)), unsigned(0x56AA, 40_000_000)),
    "stripped headers": lambda f: (
        b"".join(map(simple, [(content[1:], time, key) for content, time, key in f])),
        element(0x6D80, element(0x6240, element(0x5034, unsigned(0x4254, 3) + element(0x4255, b"\0")))),
    ),
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_what_is_unusual_is_left_to_ffmpeg(kind: str, frames: tuple[bytes, Frames], tmp_path: Path) -> None:
    extradata, all_frames = frames
    blocks, more = UNUSUAL[kind](all_frames)
    path = written(tmp_path, matroska(extradata, cluster(0, blocks), more=more))
    index = VideoIndex.open(path)
    assert index.description is None
    plain = plain_decode(path, index).pixels
    ((_, pixels),) = decode_frames(index, [3], threads=1)
    assert digest(pixels) == plain[3]


def test_key_flags_that_lie_are_found_out(frames: tuple[bytes, Frames], tmp_path: Path) -> None:
    extradata, all_frames = frames
    lies = [(content, time, True) for content, time, _ in all_frames]
    path = written(tmp_path, matroska(extradata, cluster(0, *map(simple, lies))))
    index = VideoIndex.open(path)
    assert index.is_key.all()
    plain = plain_decode(path, index).pixels
    for frame in (22, 7, 13):
        ((_, pixels),) = decode_frames(VideoIndex.open(path), [frame], threads=1)
        assert digest(pixels) == plain[frame]


def test_a_file_that_is_cut_off_gives_the_frames_that_are_left(frames: tuple[bytes, Frames], tmp_path: Path) -> None:
    extradata, all_frames = frames
    whole = matroska(extradata, cluster(0, *map(simple, all_frames)))
    honest = VideoIndex.open(written(tmp_path, whole))
    plain = plain_decode(tmp_path / "a.mkv", honest).pixels
    end = int(honest.packets.position[18])
    cut = VideoIndex.open(written(tmp_path, whole[:end]))
    assert 15 <= len(cut) <= 18
    assert [digest(pixels) for _, pixels in decode_frames(cut, range(12), threads=1)] == plain[:12]


@pytest.mark.parametrize("seed", range(4))
def test_damaged_blocks_give_an_index_or_an_error_of_ours(
    frames: tuple[bytes, Frames], tmp_path: Path, seed: int
) -> None:
    extradata, all_frames = frames
    whole = matroska(extradata, cluster(0, *map(group, all_frames[:12])) + cluster(0, *map(simple, all_frames[12:])))
    heads = np.flatnonzero([byte in {0xA0, 0xA1, 0xA3, 0x9B, 0xFB, 0x1F, 0xAE, 0xE7} for byte in whole])
    rng = random.Random(seed)
    for _ in range(25):
        content = bytearray(whole)
        for _ in range(rng.choice([1, 2, 12])):
            at = min(int(rng.choice(heads)) + rng.randrange(12), len(content) - 1)
            content[at] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
        path = written(tmp_path, bytes(content))
        try:
            index = VideoIndex.open(path)
            list(decode_frames(index, [0, len(index) - 1], threads=1))
        except MediaRefError:
            continue


# --- from afar ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("site")
    make_clip(folder / "a.mkv", frames=120, size=(320, 240), options=X264)
    with WebServer(folder).running() as server:
        yield server


def test_a_remote_file_is_read_once_and_counted_and_then_in_parts(server: WebServer) -> None:
    path = server.folder / "a.mkv"
    local = VideoIndex.open(path)
    size = path.stat().st_size
    url = server.url("files/a.mkv")
    cleanup_cache()
    server.requests.clear()
    with ReadStats() as opening:
        index = VideoIndex.open(url)
    assert opening.requests == len([method for method, _, _ in server.requests if method == "GET"])
    assert size - (40 << 10) < opening.bytes_read <= size + (64 << 10)
    np.testing.assert_array_equal(index.pts_ns, local.pts_ns)  # type: ignore[arg-type]
    expected = dict(decode_frames(local, [3, 64, 110], threads=1))
    with ReadStats() as reading:
        for frame, pixels in decode_frames(index, [3, 64, 110], threads=1):
            np.testing.assert_array_equal(pixels, expected[frame])
    assert reading.bytes_read < size / 6
    assert reading.requests <= 3


def test_a_kept_index_of_a_remote_file_costs_no_reading(server: WebServer, tmp_path: Path) -> None:
    url = server.url("files/a.mkv")
    VideoIndex.open(url).save(tmp_path / "a.index")
    cleanup_cache()
    with ReadStats() as opening:
        index = VideoIndex.open(url, sidecar=tmp_path / "a.index")
    assert opening.bytes_read == 0
    times = index.pts_ns
    assert times is not None
    refs = [MediaRef(uri=url, pts_ns=int(times[50]))]
    with ReadStats() as reading:
        assert batch_decode(refs)[0].shape == (240, 320, 3)
    assert reading.bytes_read < (server.folder / "a.mkv").stat().st_size / 20


FILES = [file for file in corpus_files("h264", "hevc", "vp9", "av1", "real") if file.path.suffix in {".mkv", ".webm"}]


@pytest.mark.corpus
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_corpus_blocks_tell_what_all_packets_tell(file: CorpusFile) -> None:
    try:
        index = VideoIndex.open(file.path)
    except MediaRefError as error:
        with pytest.raises(type(error)):
            indexed_by_packets(file.path)
        return
    if index.description is None:
        pytest.skip("its blocks do not tell everything")
    assert_told_rightly(file.path)
