"""Bytes that cannot be had, from afar or from a disk: the error of the frames that need them, and of no others."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import make_clip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from web_server import WebServer

from mediaref import MediaRef, batch_bit_costs, batch_decode, cleanup_cache, iter_decode
from mediaref.errors import StorageError
from mediaref.storage import Source, locate, ranges
from mediaref.storage.ranges import Ranges
from mediaref.video_decoder import VideoIndex, decode_frames, pyav, reader

FRAMES = range(0, 100, 2)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    options = {"preset": "ultrafast", "x264-params": "keyint=25:bframes=2:b-adapt=0:scenecut=0", "crf": "12"}
    make_clip(folder / "long.mp4", frames=100, size=(320, 240), options=options)
    return folder


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[WebServer]:
    with WebServer(site).running() as server:
        yield server


@pytest.fixture(autouse=True)
def _fresh(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "_PAUSES", (0.0, 0.0))
    cleanup_cache()
    server.holes.clear()


def refs_to(uri: str, index: VideoIndex, frames: Any) -> list[MediaRef]:
    assert index.pts_ns is not None
    return [MediaRef(uri=uri, pts_ns=int(index.pts_ns[frame])) for frame in frames]


def a_packet_that_no_picture_refers_to(index: VideoIndex) -> tuple[int, int]:
    """The frame in it, an even one in the middle of the second group, and a byte of it."""
    frame = next(frame for frame in range(30, 50, 2) if not index.is_referenced[frame])
    return frame, int(index.packets.position[index.packet_of[frame]]) + 1


def assert_only_lost(results: list[Any], site: Path, frames: Any, lost: set[int]) -> None:
    sound = dict(decode_frames(site / "long.mp4", list(frames)))
    for frame, pixels in zip(frames, results, strict=True):
        assert (pixels is None) == (frame in lost), frame
        if pixels is not None:
            np.testing.assert_array_equal(pixels, sound[frame])


@pytest.mark.parametrize("load", [batch_decode, lambda *args, **kw: list(iter_decode(*args, **kw))])
def test_one_bad_range_costs_only_the_frame_in_it(server: WebServer, site: Path, load: Any) -> None:
    """Although it was asked for in one piece with others."""
    index = VideoIndex.open(server.url("holed/long.mp4"))
    bad, byte = a_packet_that_no_picture_refers_to(index)
    server.holes.add(byte)
    refs = refs_to(index.source.uri, index, FRAMES)
    assert_only_lost(load(refs, on_error="skip"), site, FRAMES, {bad})
    with pytest.raises(StorageError, match=rf"frame {bad} of .*long\.mp4: bytes \d+ to \d+: cannot be read"):
        load(refs)


def test_a_bad_range_whose_headers_are_not_known_costs_no_frame_before_it_and_none_of_other_groups(
    server: WebServer, site: Path
) -> None:
    index = VideoIndex.open(site / "long.mp4")
    bad, byte = a_packet_that_no_picture_refers_to(index)
    server.holes.add(byte)
    found = batch_decode(refs_to(server.url("holed/long.mp4"), index, FRAMES), on_error="skip")
    lost = {frame for frame, pixels in zip(FRAMES, found, strict=True) if pixels is None}
    assert bad in lost
    assert all(index.packet_of[frame] >= index.packet_of[bad] and frame < 50 for frame in lost)
    assert_only_lost(found, site, FRAMES, lost)


def test_bit_costs_of_frames_that_cannot_be_fetched_are_skipped(server: WebServer, site: Path) -> None:
    index = VideoIndex.open(server.url("holed/long.mp4"))
    bad, byte = a_packet_that_no_picture_refers_to(index)
    server.holes.add(byte)
    costs = batch_bit_costs(refs_to(index.source.uri, index, FRAMES), on_error="skip")
    assert [frame for frame, cost in zip(FRAMES, costs, strict=True) if cost is None] == [bad]


def test_a_server_that_is_gone_is_given_up_soon(server: WebServer, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each share of the file is not waited for anew."""
    monkeypatch.setattr(pyav, "_FETCHED_BYTES", 10_000)
    with WebServer(site).running() as other:
        index = VideoIndex.open(other.url("files/long.mp4"))
        refs = refs_to(index.source.uri, index, FRAMES)
        stream = iter_decode(refs, on_error="skip", threads=1)
        found = [next(stream)]
        other.is_gone = True
        asked = len(other.requests)
        found += list(stream)
        assert len(other.requests) - asked < 60  # the client asks twice where a connection is closed
    came = [pixels is not None for pixels in found]
    assert came[0]
    assert not came[-1]
    assert came == sorted(came, reverse=True)
    assert_only_lost(found, site, FRAMES, set(FRAMES[sum(came) :]))


def test_bit_costs_of_a_server_that_is_gone_are_given_up_soon(
    server: WebServer, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_FETCHED_BYTES", 10_000)
    with WebServer(site).running() as other:
        index = VideoIndex.open(other.url("files/long.mp4")).with_headers()
        other.is_gone = True
        asked = len(other.requests)
        refs = refs_to(index.source.uri, index, FRAMES)
        assert batch_bit_costs(refs, on_error="skip") == [None] * len(refs)
        assert len(other.requests) - asked < 60


def test_whether_a_file_has_changed_is_asked_again_where_no_answer_comes(server: WebServer, site: Path) -> None:
    index = VideoIndex.open(server.url("files/long.mp4"))
    server.hang_ups = 4  # the client itself asks for more than the head, and again where a connection is closed
    ((_, pixels),) = decode_frames(index, [41])
    np.testing.assert_array_equal(pixels, dict(decode_frames(site / "long.mp4", [41]))[41])


class _Scratched(io.FileIO):
    """A file on a disk with a sector that cannot be read."""

    sector = range(0)

    def read(self, size: int = -1) -> bytes:
        content = super().read(size)
        if self.tell() - len(content) < self.sector.stop and self.sector.start < self.tell():
            raise OSError(errno.EIO, "Input/output error")
        return content


def test_a_bad_sector_costs_only_the_frame_in_it(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = VideoIndex.open(site / "long.mp4")
    bad, byte = a_packet_that_no_picture_refers_to(index)
    scratched = type("Scratched", (_Scratched,), {"sector": range(byte, byte + 1)})
    refs = refs_to(index.source.uri, index, FRAMES)
    opened = Source.open
    with monkeypatch.context() as patch:
        patch.setattr(Source, "open", lambda source: scratched(source.path) if source.path else opened(source))
        found = batch_decode(refs, on_error="skip")
        costs = batch_bit_costs(refs, on_error="skip")
        with pytest.raises(StorageError, match=rf"frame {bad} of .*long\.mp4: cannot be read at byte .*Input/output"):
            batch_decode(refs)
    assert_only_lost(found, site, FRAMES, {bad})
    assert [frame for frame, cost in zip(FRAMES, costs, strict=True) if cost is None] == [bad]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wanted=st.lists(st.tuples(st.integers(0, 30_000), st.integers(1, 900)), min_size=1, max_size=40),
    holes=st.sets(st.integers(0, 31_000), max_size=3),
)
def test_all_pieces_come_but_those_with_a_hole_which_is_asked_about_once(
    server: WebServer, site: Path, wanted: list[tuple[int, int]], holes: set[int]
) -> None:
    content = (site / "long.mp4").read_bytes()
    server.holes = set()
    with Ranges(locate(server.url("holed/long.mp4"))) as pieces:
        assert pieces.size == len(content)
        server.holes = holes
        broken = {(at, size) for at, size in wanted if any(at <= hole < at + size for hole in holes)}
        pieces.fetch(*np.array(wanted).T)
        server.requests.clear()
        came = 0
        for at, size in wanted:
            try:
                assert pieces.read(at, size) == content[at : at + size]
                came += 1
                assert (at, size) not in broken
            except StorageError:
                # One that overlaps a broken one may have been lost with it.
                assert any(at < end + length and end < at + size for end, length in broken)
        assert not server.requests
        assert came or broken
