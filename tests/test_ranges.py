"""Pieces of files: as many bytes and requests as there must be, and again where a connection breaks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import fsspec
import numpy as np
import pytest
from clips import make_clip
from hypothesis import given
from hypothesis import strategies as st
from web_server import WebServer

from mediaref import MediaRef, ReadStats, batch_bit_costs, batch_decode, cleanup_cache, iter_decode
from mediaref.errors import CorruptMediaError, FileChangedError, StorageError
from mediaref.storage import locate, ranges
from mediaref.storage.ranges import Ranges, coalesced
from mediaref.video_decoder import DecodePlan, VideoIndex, decode_frames, pyav

Clip = Callable[[str], Path]

#: What is fetched of a file before anything is known of it.
_LOOKED_AT_BYTES = 96 << 10


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos long enough for reading parts of them to matter; the table first, last, and amid sound."""
    folder = tmp_path_factory.mktemp("site")
    options = {"preset": "ultrafast", "x264-params": "keyint=25:bframes=2:b-adapt=0:scenecut=0", "crf": "18"}
    for name, movflags, audio in (("last", "", False), ("first", "faststart", False), ("sound", "faststart", True)):
        make_clip(
            folder / f"{name}.mp4",
            frames=200,
            size=(320, 240),
            options=options,
            container_options={"movflags": movflags} if movflags else None,
            audio=audio,
        )
    return folder


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[WebServer]:
    with WebServer(site).running() as server:
        yield server


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cleanup_cache()


@pytest.mark.parametrize("name", ["last", "first", "sound"])
@pytest.mark.parametrize("frames", [[60], [3, 110, 190], list(range(40, 56)), list(range(0, 200, 5))])
def test_little_more_is_read_than_the_table_and_the_packets(
    server: WebServer, site: Path, name: str, frames: list[int]
) -> None:
    local = list(decode_frames(site / f"{name}.mp4", frames, threads=1))
    cleanup_cache()
    url = server.url(f"files/{name}.mp4")
    with ReadStats() as opening:
        index = VideoIndex.open(url)
    moov = (site / f"{name}.mp4").read_bytes()
    table = int.from_bytes(moov[moov.index(b"moov") - 4 :][:4], "big")
    assert opening.bytes_read <= table + int(index.packets.size[0]) + _LOOKED_AT_BYTES
    assert opening.requests <= 4
    server.requests.clear()
    with ReadStats() as reading:
        remote = list(decode_frames(index, frames, threads=2))
    for (frame, pixels), (expected_frame, expected) in zip(remote, local, strict=True):
        assert frame == expected_frame
        np.testing.assert_array_equal(pixels, expected)
    gets = [request for request in server.requests if request[0] == "GET"]
    assert len(gets) == reading.requests <= len(index.packets.is_key.nonzero()[0]) + 1
    plan = DecodePlan.of(index, frames)
    assert reading.packets_fed == len(plan.packets)
    assert reading.frames_returned == len(frames)
    # What decoding may need up to the frames, before the headers are known, and an eleventh of gaps.
    runs = [range(span.start, int(span.packets[-1]) + 1) for span in plan.spans]
    wanted = sum(int(index.packets.size[run.start : run.stop].sum()) for run in runs)
    assert reading.bytes_read <= wanted * 12 / 11
    with ReadStats() as again:  # the headers are known: the packets of the plan, and no others
        list(decode_frames(index, frames, threads=1))
    assert again.bytes_read <= plan.packet_bytes * 12 / 11


@pytest.mark.parametrize(("name", "cold"), [("first", 2), ("last", 2)])
def test_few_answers_are_waited_for_before_a_frame_comes(server: WebServer, site: Path, name: str, cold: int) -> None:
    """What the file is, its head and its end; packets. When the index is known packets alone."""
    times = VideoIndex.open(site / f"{name}.mp4").pts_ns
    assert times is not None
    for frame, expected in ((60, cold), (60, 1), (150, 1)):
        ref = MediaRef(uri=server.url(f"far/{name}.mp4"), pts_ns=int(times[frame]))
        server.round_trips = 0
        with ReadStats() as stats:
            pixels = ref.to_ndarray()
        assert stats.round_trips == server.round_trips == expected
        local = MediaRef(uri=str(site / f"{name}.mp4"), pts_ns=ref.pts_ns)
        np.testing.assert_array_equal(pixels, local.to_ndarray())
    server.round_trips = 0
    assert ref.to_bit_cost().packet_bits == local.to_bit_cost().packet_bits
    assert server.round_trips == 1


def test_bit_costs_take_the_same_road(server: WebServer, site: Path) -> None:
    frames = [7, 90, 181]
    index = VideoIndex.open(site / "last.mp4")
    assert index.pts_ns is not None
    times = [int(index.pts_ns[frame]) for frame in frames]
    expected = batch_bit_costs([MediaRef(uri=str(site / "last.mp4"), pts_ns=time) for time in times])
    url = server.url("files/last.mp4")
    VideoIndex.open(url)
    with ReadStats() as stats:
        costs = batch_bit_costs([MediaRef(uri=url, pts_ns=time) for time in times])
    for ours, theirs in zip(costs, expected, strict=True):
        np.testing.assert_array_equal(ours.bits, theirs.bits)
    assert stats.bytes_read == index.packet_bytes[frames].sum()
    assert stats.requests == 3


def test_blocks_of_counters_nest_and_see_the_threads_of_their_calls(site: Path, clip: Clip) -> None:
    uris = [str(site / "last.mp4"), str(clip("plain"))]
    refs = [MediaRef(uri=uri, pts_ns=0) for uri in uris]
    with ReadStats() as outer:
        batch_decode(refs[:1])
        with ReadStats() as inner:
            batch_decode(refs, allow_multi_video=True, threads=2)
    assert inner.frames_returned == 2
    assert outer.frames_returned == 3
    assert outer.bytes_read > inner.bytes_read > 0
    batch_decode(refs[:1])
    assert outer.frames_returned == 3


def test_a_connection_that_breaks_is_made_again_and_then_given_up(
    server: WebServer, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "_PAUSES", (0.0, 0.0))
    index = VideoIndex.open(server.url("flaky/last.mp4"))
    local = dict(decode_frames(site / "last.mp4", [3, 110], threads=1))
    for frame, pixels in decode_frames(index, [3, 110], threads=1):
        np.testing.assert_array_equal(pixels, local[frame])
    server.requests.clear()
    with pytest.raises(StorageError, match=r"cut/last\.mp4"):
        VideoIndex.open(server.url("cut/last.mp4"))
    # Its head and its end, asked for along with what the file is, and then its head thrice.
    assert [method for method, _, _ in server.requests].count("GET") == 5


def test_a_file_that_changes_behind_its_index_is_not_read(server: WebServer, site: Path, clip: Clip) -> None:
    path = site / "changing.mp4"
    path.write_bytes((site / "last.mp4").read_bytes())
    index = VideoIndex.open(server.url("files/changing.mp4"))
    path.write_bytes((site / "first.mp4").read_bytes())
    with pytest.raises(CorruptMediaError, match=r"changing\.mp4: has changed since it was indexed"):
        list(decode_frames(index, [5]))


@pytest.mark.parametrize("store", ["files", "memory"])
def test_a_file_that_changes_between_calls_is_indexed_again(server: WebServer, site: Path, store: str) -> None:
    """Whatever was remembered of it, what comes is the file's that is there now."""
    contents = [(site / name).read_bytes() for name in ("last.mp4", "sound.mp4")]
    make_clip(site / "short.mp4", frames=20, size=(64, 48))
    contents.append((site / "short.mp4").read_bytes())
    uri = server.url("files/between.mp4") if store == "files" else "memory://between.mp4"
    for round_, content in enumerate([contents[0], contents[2], contents[1], contents[0]]):
        (site / "between.mp4").write_bytes(content)
        fsspec.filesystem("memory").pipe("/between.mp4", content)
        local = MediaRef(uri=str(site / "between.mp4"), pts_ns=400_000_000)
        ref = MediaRef(uri=uri, pts_ns=400_000_000)
        np.testing.assert_array_equal(batch_decode([ref])[0], batch_decode([local])[0], str(round_))
        np.testing.assert_array_equal(ref.to_bit_cost().bits, local.to_bit_cost().bits)
        late = MediaRef(uri=uri, pts_ns=5_000_000_000)
        assert (batch_decode([late], on_error="skip")[0] is None) == (content is contents[2])


def test_headers_of_a_file_that_has_changed_are_not_read(server: WebServer, site: Path) -> None:
    path = site / "changing.mp4"
    path.write_bytes((site / "last.mp4").read_bytes())
    index = VideoIndex.open(server.url("files/changing.mp4"))
    path.write_bytes((site / "first.mp4").read_bytes())
    with pytest.raises(FileChangedError):
        index.with_headers([60])


def test_frames_before_the_end_of_a_file_that_is_cut_come(server: WebServer, site: Path) -> None:
    whole = (site / "first.mp4").read_bytes()
    index = VideoIndex.open(site / "first.mp4")
    (site / "cut.mp4").write_bytes(whole[: int(index.packets.position[120])])
    refs = [MediaRef(uri=server.url("files/cut.mp4"), pts_ns=int(index.pts_ns[frame])) for frame in (4, 90, 150)]  # type: ignore[index]
    assert [pixels is None for pixels in batch_decode(refs, on_error="skip")] == [False, False, True]
    with pytest.raises(CorruptMediaError, match=r"cut\.mp4: packet \d+ \(byte \d+\) of \d+ bytes is cut short"):
        batch_decode(refs)


def test_packets_that_are_gone_cost_only_the_frames_that_need_them(server: WebServer, site: Path) -> None:
    path = site / "shrinking.mp4"
    path.write_bytes((site / "first.mp4").read_bytes())
    index = replace(VideoIndex.open(path), file_size=VideoIndex.open(path).packets.position[120])
    index = replace(index, source=locate(server.url("files/shrinking.mp4")), identity="")
    index = replace(index, identity=index.source.identity())
    got = dict(pyav.frames_or_errors(index, [4, 90, 150, 190]))
    assert [isinstance(pixels, np.ndarray) for pixels in got.values()] == [True, True, False, False]
    assert "is cut short: the file ends before it does" in str(got[190])


def test_a_remote_video_is_streamed_in_parts(server: WebServer, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyav, "_FETCHED_BYTES", 100_000)
    index = VideoIndex.open(site / "last.mp4")
    refs = [MediaRef(uri=server.url("files/last.mp4"), pts_ns=int(time)) for time in index.pts_ns]  # type: ignore[union-attr]
    VideoIndex.open(refs[0].uri)
    with ReadStats() as stats:
        stream = iter_decode(refs, threads=1)
        next(stream)
        assert stats.bytes_read < index.packets.size.sum() / 3
        assert sum(1 for _ in stream) == 199
    assert stats.bytes_read <= index.packets.size.sum() * 12 / 11


def test_any_file_system_of_fsspec_gives_ranges(site: Path) -> None:
    fsspec.filesystem("memory").pipe("/a/last.mp4", (site / "last.mp4").read_bytes())
    with ReadStats() as stats:
        ((_, pixels),) = decode_frames("memory://a/last.mp4", [60], threads=1)
    ((_, expected),) = decode_frames(site / "last.mp4", [60], threads=1)
    np.testing.assert_array_equal(pixels, expected)
    assert 0 < stats.bytes_read < (site / "last.mp4").stat().st_size / 2


@given(
    wanted=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 900)), min_size=1, max_size=12),
    earlier=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 900)), max_size=6),
)
def test_any_ranges_in_any_order_give_the_files_bytes(
    wanted: list[tuple[int, int]], earlier: list[tuple[int, int]]
) -> None:
    content = random.Random(1).randbytes(5600)
    fsspec.filesystem("memory").pipe("/bytes", content)
    with Ranges(locate("memory://bytes")) as pieces:
        for position, size in earlier:
            assert pieces.read(position, size, at_least=700) == content[position : position + size]
        pieces.fetch(*np.array(wanted).T)
        with ReadStats() as stats:
            for position, size in wanted:
                assert pieces.read(position, size) == content[position : position + size]
    assert stats.requests == 0  # all of it is there


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40).map(np.cumsum), st.floats(0, 1))
def test_gaps_are_closed_within_the_waste_allowed(edges: np.ndarray, waste: float) -> None:  # type: ignore[type-arg]
    spans = list(zip(edges[:-1:2].tolist(), edges[1::2].tolist(), strict=False))
    closed = coalesced(spans, waste)
    wanted = sum(end - begin for begin, end in spans)
    assert wanted <= sum(end - begin for begin, end in closed) <= wanted * (1 + waste)
    assert all(any(begin >= b and end <= e for b, e in closed) for begin, end in spans)
    assert all(before[1] < after[0] for before, after in pairwise(closed))


@pytest.mark.parametrize("name", ["transport.ts", "sound.mp4"])
def test_what_ffmpeg_reads_of_a_remote_file_is_counted(site: Path, clip: Clip, name: str) -> None:
    (site / "transport.ts").write_bytes(clip("transport").read_bytes())
    cleanup_cache()
    with WebServer(site).running() as watched, ReadStats() as stats:
        batch_decode([MediaRef(uri=watched.url(f"files/{name}"), pts_ns=1_000_000_000)])
    assert stats.bytes_read == watched.bytes_sent
    assert stats.requests == sum(method == "GET" for method, _, _ in watched.requests)


def test_images_from_afar_are_counted(server: WebServer, site: Path) -> None:
    from PIL import Image

    Image.effect_noise((300, 200), 50).save(site / "a.png")
    with ReadStats() as stats:
        MediaRef(uri=server.url("files/a.png")).to_ndarray()
    assert stats.bytes_read == (site / "a.png").stat().st_size
    assert stats.requests == 1
