"""Fragmented MP4: the index from the fragments' tables alone, few requests for them, and tables that lie."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from clips import make_clip
from reference import digest, plain_decode
from two_roads import assert_same, indexed_by_packets
from web_server import WebServer

from mediaref import MediaRef, ReadStats, batch_decode, cleanup_cache, limits
from mediaref.errors import CorruptMediaError, LimitExceededError
from mediaref.storage.ranges import ROUND_TRIP_BYTES
from mediaref.video_decoder import VideoIndex, decode_frames
from mediaref.video_decoder.pyav import frames_or_errors

Clip = Callable[[str], Path]

#: Options of FFmpeg's muxer, whether with sound, and whether the boxes tell all.
KINDS = {
    "the first group in the moov": ("frag_keyframe", False, True),
    "an empty moov": ("frag_keyframe+empty_moov", False, True),
    "offsets from the moof": ("frag_keyframe+empty_moov+default_base_moof", True, True),
    "offsets from the file's begin": ("frag_keyframe+empty_moov", True, True),
    "offsets from nothing": ("frag_keyframe+empty_moov+omit_tfhd_offset", False, True),
    "a moof for each track": ("frag_keyframe+empty_moov+separate_moof", True, True),
    "a late moov": ("frag_keyframe+delay_moov", True, True),
    "cmaf": ("cmaf", False, True),
    "dash": ("dash", False, True),
    "dash with one sidx for all": ("dash+global_sidx", True, True),
    "no mfra": ("frag_keyframe+empty_moov+skip_trailer", False, True),
    "each frame a fragment": ("frag_every_frame+empty_moov", False, True),
    "each frame but the first ones a fragment": ("frag_every_frame", False, True),
    "negative composition offsets": ("frag_keyframe+empty_moov+negative_cts_offsets", True, True),
    # Which times FFmpeg gives the first frames depends on how many fragments it has read by then.
    "negative offsets from some fragment on": ("frag_every_frame+empty_moov+negative_cts_offsets", False, False),
}


def fragmented(
    path: Path, flags: str, *, audio: bool = False, frames: int = 20, size: tuple[int, int] = (64, 48)
) -> Path:
    settings = {"preset": "veryfast", "threads": "1", "x264-params": "keyint=6:bframes=2:scenecut=0"}
    return make_clip(
        path, frames=frames, size=size, options=settings, container_options={"movflags": flags}, audio=audio
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_boxes_tell_what_all_packets_tell(kind: str, tmp_path: Path) -> None:
    flags, audio, is_told = KINDS[kind]
    path = fragmented(tmp_path / "a.mp4", flags, audio=audio)
    index = VideoIndex.open(path)
    assert (index.description is not None) == is_told
    assert len(index) == 20
    # FFmpeg takes the rate from the fragments that it has read by then; where a `sidx` lists them that is the first.
    assert_same(index, indexed_by_packets(path), but=("average_rate",) if b"sidx" in path.read_bytes() else ())
    plain = plain_decode(path, index).pixels
    for frame, pixels in decode_frames(index, [1, 8, 19], threads=1):
        assert digest(pixels) == plain[frame]


def test_codecs_other_than_h264(tmp_path: Path) -> None:
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    for codec, options in (
        ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none:keyint=5:pools=1:frame-threads=1"}),
        ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "g": "5"}),
        ("libsvtav1", {"preset": "12", "g": "5", "svtav1-params": "lp=1"}),
    ):
        path = make_clip(tmp_path / f"{codec}.mp4", codec=codec, frames=11, options=options, container_options=flags)
        index = VideoIndex.open(path)
        assert index.description is not None, codec
        # FFmpeg's parser takes the durations of VP9 away.
        assert_same(index, indexed_by_packets(path), but=("duration",) if codec == "libvpx-vp9" else ())


def test_media_data_behind_the_first_packet_is_not_read(tmp_path: Path) -> None:
    path = fragmented(tmp_path / "a.mp4", "frag_keyframe+empty_moov")
    index = VideoIndex.open(path)
    content = bytearray(path.read_bytes())
    for position, size in zip(index.packets.position[1:].tolist(), index.packets.size[1:].tolist(), strict=True):
        content[position : position + size] = b"\xaa" * size
    (tmp_path / "bare.mp4").write_bytes(content)
    bare = VideoIndex.open(tmp_path / "bare.mp4")
    np.testing.assert_array_equal(bare.pts_ns, index.pts_ns)  # type: ignore[arg-type]
    np.testing.assert_array_equal(bare.packets.position, index.packets.position)


# --- from afar ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("site")
    for name, flags in (
        ("mfra", "frag_keyframe+empty_moov+default_base_moof"),
        ("sidx", "dash+global_sidx"),
        ("chain", "frag_keyframe+empty_moov+skip_trailer"),
    ):
        fragmented(folder / f"{name}.mp4", flags, frames=120, size=(320, 240))
    with WebServer(folder).running() as server:
        yield server


#: Requests before those that fetch fragments: head, end, the whole of what was met half, the first packet.
_FEW = 5


@pytest.mark.parametrize("name", ["mfra", "sidx", "chain"])
def test_only_fragments_tables_are_fetched(server: WebServer, name: str) -> None:
    path = server.folder / f"{name}.mp4"
    index = VideoIndex.open(path)
    content = path.read_bytes()
    fragments = content.count(b"moof")
    assert fragments == 20
    with ReadStats() as opening:
        remote = VideoIndex.open(server.url(f"files/{name}.mp4"))
    np.testing.assert_array_equal(remote.pts_ns, index.pts_ns)  # type: ignore[arg-type]
    np.testing.assert_array_equal(remote.packets.position, index.packets.position)
    first = int(index.packets.size[0])
    assert opening.bytes_read < len(content) - int(index.packets.size.sum()) + first + 3 * ROUND_TRIP_BYTES // 2
    assert opening.requests <= fragments + _FEW
    local = dict(decode_frames(index, [3, 60, 110], threads=1))
    with ReadStats() as reading:
        for frame, pixels in decode_frames(remote, [3, 60, 110], threads=1):
            np.testing.assert_array_equal(pixels, local[frame])
    assert reading.bytes_read < len(content) / 4


def test_small_fragments_that_nothing_lists_are_not_waited_for_one_by_one(server: WebServer) -> None:
    path = fragmented(server.folder / "small.mp4", "frag_every_frame+empty_moov+skip_trailer", frames=480)
    with ReadStats() as opening:
        remote = VideoIndex.open(server.url("files/small.mp4"))
    np.testing.assert_array_equal(remote.pts_ns, VideoIndex.open(path).pts_ns)  # type: ignore[arg-type]
    size = path.stat().st_size
    assert size > 150 << 10
    assert opening.round_trips <= 2 + size // ROUND_TRIP_BYTES
    assert opening.bytes_read <= size + (96 << 10)


@pytest.mark.parametrize("name", ["mfra", "sidx"])
def test_fragments_that_are_listed_are_asked_for_at_once(
    server: WebServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mediaref.storage.ranges import Ranges

    rounds: list[int] = []
    answers = Ranges._answers

    def counted(self: Ranges, spans: list[tuple[int, int]]) -> list[object]:
        rounds.append(len(spans))
        return answers(self, spans)

    monkeypatch.setattr(Ranges, "_answers", counted)
    cleanup_cache()
    VideoIndex.open(server.url(f"files/{name}.mp4"))
    assert len([count for count in rounds if count]) <= _FEW
    assert max(rounds) > 10


# --- tables that lie ----------------------------------------------------------------------------------------------


def run_at(content: bytes, number: int = 1) -> int:
    """Where the content of a `trun` box begins."""
    at = 0
    for _ in range(number):
        at = content.index(b"trun", at) + 4
    return at


def announcing(path: Path, target: Path, samples: int, *, with_fields: bool) -> Path:
    """A copy of a fragmented file of which one run announces so many samples."""
    content = bytearray(path.read_bytes())
    at = run_at(content, 2)
    flags = int.from_bytes(content[at : at + 4], "big")
    struct.pack_into(">II", content, at, flags if with_fields else flags & ~0xF00, samples)
    target.write_bytes(content)
    return target


@pytest.mark.parametrize("with_fields", [True, False])
@pytest.mark.parametrize("samples", [10_000, 130_000_000, 0xFFFFFFFF])
@pytest.mark.parametrize("fallback", [True, False])
def test_runs_of_more_samples_than_there_is_room_for_are_refused(
    tmp_path: Path, samples: int, with_fields: bool, fallback: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fragmented(tmp_path / "a.mp4", "frag_keyframe+empty_moov")
    assert whole.stat().st_size < 10_000
    path = announcing(whole, tmp_path / "lies.mp4", samples, with_fields=with_fields)
    if fallback:
        with pytest.raises(CorruptMediaError, match="room for"):
            indexed_by_packets(path)
    with pytest.raises(CorruptMediaError, match=rf"lies\.mp4: .*at byte \d+ announces {samples} samples, more than"):
        MediaRef(uri=str(path), pts_ns=0).to_ndarray()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited by Linux")
def test_a_run_that_lies_takes_no_memory(tmp_path: Path) -> None:
    path = announcing(
        fragmented(tmp_path / "a.mp4", "frag_keyframe+empty_moov"),
        tmp_path / "lies.mp4",
        130_000_000,
        with_fields=False,
    )
    code = (
        "import resource, sys; from mediaref import MediaRef\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: MediaRef(uri=sys.argv[1], pts_ns=0).to_ndarray()\n"
        "except ValueError: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    shown = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(shown.stdout) < 200 << 10  # KiB; most of it is PyAV being imported


def test_more_samples_than_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fragmented(tmp_path / "a.mp4", "frag_keyframe+empty_moov")
    monkeypatch.setattr(limits, "MAX_PACKETS", 19)
    cleanup_cache()
    with pytest.raises(LimitExceededError, match=r"a\.mp4: .*MAX_PACKETS"):
        VideoIndex.open(path)


def test_a_fragment_that_lies_about_a_place_loses_its_own_frames_and_no_others(tmp_path: Path) -> None:
    path = fragmented(tmp_path / "a.mp4", "frag_keyframe+empty_moov+default_base_moof")
    honest = VideoIndex.open(path)
    plain = plain_decode(path, honest).pixels
    content = bytearray(path.read_bytes())
    at = run_at(content, 2)
    struct.pack_into(">i", content, at + 8, struct.unpack_from(">i", content, at + 8)[0] + 40)
    (tmp_path / "lies.mp4").write_bytes(content)
    refs = [MediaRef(uri=str(tmp_path / "lies.mp4"), pts_ns=int(time)) for time in honest.pts_ns]  # type: ignore[union-attr]
    decoded = batch_decode(refs, on_error="skip")
    lost = [frame for frame, pixels in enumerate(decoded) if pixels is None]
    assert lost
    assert set(lost) <= set(range(6, 12))
    for frame, pixels in enumerate(decoded):
        assert pixels is None or digest(pixels) == plain[frame]


def test_a_fragment_that_is_cut_off_is_lost_alone(tmp_path: Path) -> None:
    path = fragmented(tmp_path / "a.mp4", "frag_keyframe+empty_moov+default_base_moof")
    honest = VideoIndex.open(path)
    content = path.read_bytes()
    for end in (int(honest.packets.position[14]), content.rindex(b"trun") + 9, content.rindex(b"trun") + 40):
        (tmp_path / "cut.mp4").write_bytes(content[:end])
        cut = VideoIndex.open(tmp_path / "cut.mp4")
        plain = plain_decode(path, honest).pixels
        whole = int((cut.packets.position + cut.packets.size <= end).sum())
        assert 10 <= whole <= len(cut) <= 20
        for frame, pixels in frames_or_errors(cut, range(len(cut)), threads=1):
            is_there = int(cut.packet_of[frame]) < whole
            assert digest(pixels) == plain[frame] if isinstance(pixels, np.ndarray) else not is_there


def test_a_list_of_fragments_that_lies_costs_time_at_most(server: WebServer) -> None:
    index = VideoIndex.open(server.folder / "sidx.mp4")
    content = bytearray((server.folder / "sidx.mp4").read_bytes())
    at = content.index(b"sidx") + 4
    entry = at + (32 if content[at] else 24)
    for number in range(12):
        struct.pack_into(">I", content, entry + 12 * number, 12345 + number)
    (server.folder / "lies.mp4").write_bytes(content)
    remote = VideoIndex.open(server.url("files/lies.mp4"))
    np.testing.assert_array_equal(remote.packets.position, index.packets.position)
