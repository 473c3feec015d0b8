"""Matroska from afar, by its cues: parts of a file are enough for a few frames, and they are the right ones."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import fsspec
import numpy as np
import pytest
from clips import make_clip
from corpus import CorpusFile, corpus_files

from mediaref import MediaRef, ReadStats, batch_bit_costs, batch_decode, cleanup_cache, nearby
from mediaref.containers import matroska
from mediaref.errors import MediaRefError, TimestampError
from mediaref.storage import locate
from mediaref.storage.ranges import Ranges
from mediaref.video_decoder import VideoIndex
from mediaref.video_decoder.parts import index_around

X264 = {"preset": "veryfast", "threads": "1"}
X265 = {"preset": "ultrafast"}
#: Encoder, its options, and those of the muxer.
KINDS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "closed groups": ("libx264", {**X264, "x264-params": "keyint=12:bframes=3:scenecut=0"}, {}),
    "open groups": ("libx264", {**X264, "x264-params": "keyint=12:bframes=3:open-gop=1:scenecut=0"}, {}),
    "keyframes alone": ("libx264", {**X264, "x264-params": "keyint=1"}, {}),
    "small clusters": (
        "libx264",
        {**X264, "x264-params": "keyint=12:bframes=2:scenecut=0"},
        {"cluster_time_limit": "100"},
    ),
    "hevc": ("libx265", {**X265, "x265-params": "log-level=none:keyint=12:pools=1:frame-threads=1"}, {}),
    "open groups of hevc": (
        "libx265",
        {**X265, "x265-params": "log-level=none:keyint=20:open-gop=1:bframes=4:pools=1:frame-threads=1"},
        {},
    ),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "g": "12"}, {}),
    "av1": ("libsvtav1", {"preset": "12", "g": "12", "svtav1-params": "lp=1"}, {}),
}


#: What is fetched of a file before anything is known of it.
_LOOKED_AT_BYTES = 96 << 10


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cleanup_cache()


def afar(path: Path) -> str:
    """The uri of a copy of a file in a remote file system."""
    fsspec.filesystem("memory").pipe(f"/{path.name}", path.read_bytes())
    return f"memory://{path.name}"


def is_whole_around(uri: str, times: list[int], tolerance: int = 0) -> bool:
    with Ranges(locate(uri)) as ranges:
        return index_around(locate(uri), ranges, times, tolerance)[1]


def times_of(index: VideoIndex, count: int, seed: int) -> list[int]:
    """Begins of frames, their last nanoseconds, and others in between."""
    begin, end = index.span_ns()
    assert index.pts_ns is not None
    rng = random.Random(seed)
    begins = rng.sample(index.pts_ns.tolist(), min(count, len(index)))
    # Decoded behind a keyframe, and shown before it.
    keys = np.flatnonzero(index.packets.is_key)
    latest_key = keys[np.searchsorted(keys, index.packet_of, side="right") - 1]
    leading = np.flatnonzero(index.packets.pts[latest_key] > index.packets.pts[index.packet_of])
    times = [*begins, *(max(begin, time - 1) for time in begins), *(rng.randrange(begin, end) for _ in range(count))]
    return times + index.pts_ns[leading[3 : 3 + count]].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_frames_from_parts_are_those_of_the_whole(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matroska, "_SHARE_IN_PARTS", 2.0)
    codec, options, muxing = KINDS[kind]
    path = make_clip(
        tmp_path / f"{kind}.mkv", codec=codec, frames=240, options=options, container_options=muxing, audio=True
    )
    index = VideoIndex.open(path)
    times, uri = times_of(index, 3, seed=1), afar(path)
    end = index.span_ns()[1] - 1
    expected = batch_decode([MediaRef(uri=str(path), pts_ns=time) for time in [*times, end]])
    from_parts = 0
    for time, pixels in zip(times, expected, strict=False):
        cleanup_cache()  # once it was read whole, it is known
        from_parts += not is_whole_around(uri, [time, end])
        alone, last = batch_decode([MediaRef(uri=uri, pts_ns=time), MediaRef(uri=uri, pts_ns=end)])
        np.testing.assert_array_equal(alone, pixels)
        np.testing.assert_array_equal(last, expected[-1])
    assert from_parts > len(times) // 2


@pytest.mark.parametrize("kind", KINDS)
def test_frames_chosen_in_parts_are_those_chosen_in_the_whole(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matroska, "_SHARE_IN_PARTS", 2.0)
    codec, options, muxing = KINDS[kind]
    path = make_clip(tmp_path / f"{kind}.mkv", codec=codec, frames=240, options=options, container_options=muxing)
    index = VideoIndex.open(path).with_headers()
    times, uri = times_of(index, 3, seed=2), afar(path)
    from_parts = 0
    for time in times:
        for tolerance in (1, 10**8, 3 * 10**8, 10**10):
            (expected,) = nearby([MediaRef(uri=str(path), pts_ns=time)], tolerance)
            cleanup_cache()  # once it was read whole, it is known
            from_parts += not is_whole_around(uri, [time], tolerance)
            ref = MediaRef(uri=uri, pts_ns=time)
            assert nearby([ref], tolerance)[0].pts_ns == expected.pts_ns
            np.testing.assert_array_equal(ref.to_ndarray(tolerance_ns=tolerance), expected.to_ndarray())
    assert from_parts > 2 * len(times)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {"preset": "ultrafast", "threads": "1", "crf": "10", "x264-params": "keyint=12:bframes=2:scenecut=0"}
    return make_clip(tmp_path_factory.mktemp("long") / "long.mkv", frames=600, size=(320, 240), options=options)


def test_little_is_read_and_few_answers_are_waited_for(long: Path) -> None:
    uri, size = afar(long), long.stat().st_size
    index = VideoIndex.open(long)
    assert index.pts_ns is not None
    for frame in (300, 41):
        with ReadStats() as stats:
            MediaRef(uri=uri, pts_ns=int(index.pts_ns[frame])).to_ndarray()
        window = int(index.packets.size[:48].sum())  # four groups: 20 frames are to follow
        assert stats.bytes_read < window + (200 << 10) < size / 4
        assert stats.round_trips <= 5


def test_the_next_group_is_not_read_where_the_frames_behind_a_time_show_that_it_is_complete(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "threads": "1", "crf": "12", "x264-params": "keyint=60:bframes=2:scenecut=0"}
    path = make_clip(tmp_path / "groups.mkv", frames=900, size=(160, 96), options=options)
    index = VideoIndex.open(path)
    assert index.pts_ns is not None
    group = int(index.packets.size[480:540].sum())
    for frame, groups in ((485, 1), (510, 1), (530, 2)):
        cleanup_cache()
        with ReadStats() as stats:
            MediaRef(uri=afar(path), pts_ns=int(index.pts_ns[frame])).to_ndarray()
        assert groups - 0.5 < (stats.bytes_read - _LOOKED_AT_BYTES) / group < groups + 0.5


def test_frames_that_last_longer_than_the_file_says_are_found_with_the_next_group(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "threads": "1", "crf": "12", "x264-params": "keyint=60:bframes=2:scenecut=0"}
    path = make_clip(
        tmp_path / "slow.mkv",
        frames=900,
        size=(160, 96),
        options=options,
        timestamps=[10 * number for number in range(900)],
        time_base=Fraction(1, 30),
    )
    index = VideoIndex.open(path)
    assert index.pts_ns is not None
    time, uri = int(index.pts_ns[530]) + 10**8, afar(path)
    assert not is_whole_around(uri, [time])
    with ReadStats() as stats:
        pixels = MediaRef(uri=uri, pts_ns=time).to_ndarray()
    np.testing.assert_array_equal(pixels, MediaRef(uri=str(path), pts_ns=time).to_ndarray())
    assert stats.bytes_read < path.stat().st_size / 2
    assert stats.round_trips <= 4


def test_many_calls_come_to_read_it_whole(long: Path) -> None:
    uri, size = afar(long), long.stat().st_size
    begins = VideoIndex.open(long).pts_ns
    assert begins is not None
    with ReadStats() as stats:
        for frame in range(5, 600, 17):
            MediaRef(uri=uri, pts_ns=int(begins[frame])).to_ndarray()
    assert 1.5 * size < stats.bytes_read < 4 * size
    with ReadStats() as stats:
        MediaRef(uri=uri, pts_ns=int(begins[301])).to_ndarray()
    assert stats.round_trips == 1


def test_a_time_outside_is_refused_as_ever(long: Path) -> None:
    uri = afar(long)
    with pytest.raises(TimestampError, match="the video runs from 0 ns to before 20000000000 ns"):
        MediaRef(uri=uri, pts_ns=20_000_000_000).to_ndarray()


def test_bit_costs_have_the_numbers_of_the_whole(long: Path) -> None:
    (cost,) = batch_bit_costs([MediaRef(uri=afar(long), pts_ns=10_000_000_000)])
    assert cost.frame_index == 300


def test_errors_have_the_numbers_of_the_whole(long: Path, tmp_path: Path) -> None:
    index = VideoIndex.open(long)
    content = bytearray(long.read_bytes())
    begin = int(index.packets.position[int(index.packet_of[300])])
    content[begin + 4 : begin + 40] = bytes(36)
    path = tmp_path / "damaged.mkv"
    path.write_bytes(content)
    with pytest.raises(MediaRefError, match="frame 300"):
        MediaRef(uri=afar(path), pts_ns=10_000_000_000).to_ndarray()


def test_key_flags_that_lie_give_no_other_frames(long: Path, tmp_path: Path) -> None:
    index = VideoIndex.open(long)
    assert index.pts_ns is not None
    content = bytearray(long.read_bytes())
    for row in range(5, 600, 7):
        content[int(index.packets.position[row]) - 1] |= 0x80
    path = tmp_path / "keys.mkv"
    path.write_bytes(content)
    uri = afar(path)
    for frame in (301, 320, 451):
        time = int(index.pts_ns[frame])
        cleanup_cache()
        ours = MediaRef(uri=uri, pts_ns=time).to_ndarray()
        np.testing.assert_array_equal(ours, MediaRef(uri=str(long), pts_ns=time).to_ndarray())


def cue_bytes(content: bytes) -> slice:
    begin = content.rindex(bytes.fromhex("1c53bb6b"))
    return slice(begin, len(content))


def turned(cues: bytes, by: int) -> bytes:
    """Each cue with the cluster of the one that stands `by` further on."""
    places = [found.span(1) for found in re.finditer(rb"\xf1\x83(...)", cues, re.DOTALL)]
    assert len(places) > 20
    changed = bytearray(cues)
    for number, (begin, end) in enumerate(places):
        from_, to = places[min(max(number + by, 0), len(places) - 1)]
        changed[begin:end] = cues[from_:to]
    return bytes(changed)


LIES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "clusters further on": lambda cues, rng: turned(cues, 1),
    "clusters far on": lambda cues, rng: turned(cues, 9),
    "clusters before": lambda cues, rng: turned(cues, -4),
    "bytes changed": lambda cues, rng: bytes(
        rng.randrange(256) if at > 8 and rng.random() < 0.02 else byte for at, byte in enumerate(cues)
    ),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("seed", range(3))
def test_cues_that_lie_give_no_other_frames(long: Path, tmp_path: Path, lie: str, seed: int) -> None:
    rng = random.Random(seed)
    content = long.read_bytes()
    where = cue_bytes(content)
    path = tmp_path / f"{seed}.mkv"
    path.write_bytes(content[: where.start] + LIES[lie](content[where], rng))
    uri = afar(path)
    times = times_of(VideoIndex.open(long), 2, seed)
    expected = batch_decode([MediaRef(uri=str(long), pts_ns=time) for time in times])
    for time, pixels in zip(times, expected, strict=True):
        np.testing.assert_array_equal(MediaRef(uri=uri, pts_ns=time).to_ndarray(), pixels)


def remuxed(source: Path, target: Path) -> bool:
    """Put the packets of a file's first video into a Matroska file; whether they go there, and are some groups."""
    keys = 0
    try:
        with av.open(str(source)) as container, av.open(str(target), "w") as output:
            stream = output.add_stream_from_template(container.streams.video[0])
            for packet in container.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    keys += packet.is_keyframe
                    output.mux(packet)
    except (av.error.FFmpegError, ValueError, IndexError):
        return False
    return keys > 2


FILES = [
    file
    for file in corpus_files("h264", "hevc", "vp9", "av1", "real")
    if file.path.suffix in {".mkv", ".webm", ".mp4", ".mov"}
]


@pytest.mark.corpus
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_corpus_frames_from_parts_are_those_of_the_whole(
    file: CorpusFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matroska, "_SHARE_IN_PARTS", 2.0)
    path = tmp_path / "a.mkv"
    if not remuxed(file.path, path):
        pytest.skip("it does not go into Matroska, or is one or two groups of pictures")
    try:
        index = VideoIndex.open(path)
        times = times_of(index, 4, seed=2)
    except MediaRefError as error:
        pytest.skip(str(error))
    uri = afar(path)
    local = batch_decode([MediaRef(uri=str(path), pts_ns=time) for time in times], on_error="skip")
    for time, theirs in zip(times, local, strict=True):
        cleanup_cache()
        (ours,) = batch_decode([MediaRef(uri=uri, pts_ns=time)], on_error="skip")
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            np.testing.assert_array_equal(ours, theirs)
