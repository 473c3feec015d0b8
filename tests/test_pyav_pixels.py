"""Pixels: those of a full decode, bit for bit, whatever frames are asked for and however they are decoded."""

from __future__ import annotations

import dataclasses
import os
import random
import re
import shutil
import threading
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from clips import CLIPS, layered, make_clip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import digest, plain_decode
from two_roads import indexed_by_packets

from mediaref.bitcost import iter_bit_costs, read_bit_costs
from mediaref.errors import CorruptMediaError, InvalidReferenceError
from mediaref.video_decoder import DecodePlan, PyAVVideoDecoder, VideoIndex, decode_frames, reader
from mediaref.video_decoder.packets import PacketTable
from mediaref.video_decoder.reader import PacketReader

Clip = Callable[[str], Path]


@pytest.mark.parametrize("name", list(CLIPS))
def test_any_frames_are_those_of_a_full_decode(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    plain = plain_decode(clip(name), index)
    assert len(plain.pixels) == len(index)
    rng = random.Random(1)
    for count, threads in ((len(index), 1), (len(index), 2), (1, 1), (1, 2), (3, 2), (6, 1)):
        asked = sorted(rng.sample(range(len(index)), min(count, len(index))))
        got = [(frame, digest(pixels)) for frame, pixels in decode_frames(index, asked, threads=threads)]
        assert got == [(frame, plain.pixels[frame]) for frame in asked]


@pytest.mark.parametrize("name", ["open_gop", "hevc", "hevc_open_gop", "mpeg4", "pyramid"])
def test_frames_around_every_start_point_in_twos(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    plain = plain_decode(clip(name), index).pixels
    for key in np.flatnonzero(index.is_key).tolist():
        for other in range(max(0, key - 4), min(len(index), key + 4)):
            got = dict(decode_frames(index, [key, other], threads=1))
            assert {frame: digest(pixels) for frame, pixels in got.items()} == {f: plain[f] for f in (key, other)}


@pytest.mark.parametrize("name", ["intra_refresh", "refresh_with_b", "hevc_layers"])
def test_each_frame_alone(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    plain = plain_decode(clip(name), index).pixels
    for frame in range(len(index)):
        ((_, pixels),) = decode_frames(index, [frame], threads=1 + frame % 2)
        assert digest(pixels) == plain[frame]


def test_each_frame_of_vp9_in_layers_alone(clip: Clip, tmp_path: Path) -> None:
    path = layered(clip("vp9_error_resilient"), tmp_path / "layers.ivf")
    index = VideoIndex.open(path)
    plain = plain_decode(path, index).pixels
    for frame in range(len(index)):
        ((_, pixels),) = decode_frames(index, [frame], threads=1 + frame % 2)
        assert digest(pixels) == plain[frame]


def test_a_decoder_that_will_not_do_without_what_was_left_out_is_given_it(tmp_path: Path) -> None:
    path = CLIPS["hevc_layers"].build(tmp_path, "layers")
    index = VideoIndex.open(path).with_headers()
    plain = plain_decode(path, index).pixels
    index.packets.depends_on.setflags(write=True)
    index.packets.depends_on[:] = 0  # a table that knows of no dependency at all
    for frame in range(len(index)):
        ((_, pixels),) = decode_frames(index, [frame], threads=1)
        assert digest(pixels) == plain[frame]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_set_of_targets_in_any_order(clip: Clip, data: st.DataObject) -> None:
    name = data.draw(
        st.sampled_from(["pyramid", "open_gop", "transport", "hevc", "hevc_open_gop", "hevc_raw", "mbaff"])
    )
    index = VideoIndex.open(clip(name))
    asked = data.draw(st.lists(st.integers(0, len(index) - 1), min_size=1, max_size=12))
    plain = _plain(clip(name), index)
    got = dict(decode_frames(index, asked, threads=data.draw(st.sampled_from([1, 2]))))
    assert list(got) == sorted(set(asked))
    assert all(digest(pixels) == plain[frame] for frame, pixels in got.items())


_PLAIN: dict[Path, list[object]] = {}


def _plain(path: Path, index: VideoIndex) -> list[object]:
    if path not in _PLAIN:
        _PLAIN[path] = list(plain_decode(path, index).pixels)
    return _PLAIN[path]


def test_scaling_is_area_averaging_in_the_orientation_shown(clip: Clip) -> None:
    for name in ("plain", "rotated"):
        index = VideoIndex.open(clip(name))
        with av.open(str(clip(name))) as container:
            frame = next(container.decode(video=0))
        width, height = index.orientation.apply_size(70, 50)
        scaled = frame.reformat(width, height, interpolation="AREA").to_ndarray(format="rgb24")
        ((_, small),) = decode_frames(index, [0], size=(70, 50))
        np.testing.assert_array_equal(small, index.orientation.apply(scaled))
        assert small.shape == (50, 70, 3)
        ((_, whole),), ((_, quarter),) = (
            decode_frames(index, [0], size=size)
            for size in ((index.width, index.height), (index.width // 4, index.height // 4))
        )
        mean = whole.reshape(quarter.shape[0], 4, quarter.shape[1], 4, 3).mean(axis=(1, 3))
        luma = np.array([0.299, 0.587, 0.114])  # chroma has half the samples, and is not averaged over the same ones
        assert np.abs((quarter - mean) @ luma).mean() < 1


def test_arrays_are_writable_contiguous_and_of_their_own(clip: Clip) -> None:
    for name in ("plain", "rotated", "odd_size"):
        frames = [pixels for _, pixels in decode_frames(clip(name), [0, 1, 2])]
        for pixels in frames:
            assert pixels.flags.c_contiguous
            assert pixels.flags.writeable
        before = [frame.copy() for frame in frames]
        frames[0][:] = 0
        for frame, kept in zip(frames[1:], before[1:], strict=True):
            np.testing.assert_array_equal(frame, kept)


def test_nothing_is_decoded_that_was_not_asked_for(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    index = VideoIndex.open(clip("long"))
    read: list[int] = []
    original = PacketReader.read

    def counting(self: PacketReader, rows: list[int], *stand_ins: frozenset[int]) -> object:
        for row, packet in original(self, rows, *stand_ins):
            read.append(row)
            yield row, packet

    monkeypatch.setattr(PacketReader, "read", counting)
    list(decode_frames(index, [200], threads=1))
    assert len(read) < 40
    read.clear()
    iterator = decode_frames(index, range(240), threads=1)
    next(iterator)
    iterator.close()
    assert len(read) < 60


def test_a_wrong_request_is_refused_at_once(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(IndexError, match="no frame 24"):
        decode_frames(clip("plain"), [0, 24])
    with pytest.raises(IndexError, match="no frame -1"):
        iter_bit_costs(clip("plain"), [-1])
    with pytest.raises(ValueError, match="threads"):
        decode_frames(clip("plain"), [0], threads=0)
    with pytest.raises(FileNotFoundError):
        decode_frames(tmp_path / "none.mp4", [0])


def test_no_thread_outlives_a_call(clip: Clip) -> None:
    before = set(threading.enumerate())
    list(decode_frames(clip("long"), range(0, 240, 10), threads=2))
    assert set(threading.enumerate()) <= before
    abandoned = decode_frames(clip("long"), range(0, 240, 10), threads=2)
    next(abandoned)
    abandoned.close()
    # Their work is done, and they are told to end; they are not waited for, as the garbage collector may be closing.
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_many_threads_share_one_file(clip: Clip) -> None:
    index = VideoIndex.open(clip("pyramid"))
    plain = _plain(clip("pyramid"), index)

    def work(seed: int) -> bool:
        asked = random.Random(seed).sample(range(len(index)), 6)
        return all(digest(pixels) == plain[frame] for frame, pixels in decode_frames(index, asked, threads=1))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(24)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_index_and_an_open_iterator_survive_a_fork(clip: Clip) -> None:
    index = VideoIndex.open(clip("pyramid"))
    plain = _plain(clip("pyramid"), index)
    running = decode_frames(index, range(len(index)), threads=1)
    frame, pixels = next(running)
    child = os.fork()
    if child == 0:
        right = all(digest(p) == plain[f] for f, p in decode_frames(VideoIndex.open(clip("pyramid")), [3, 21]))
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert digest(pixels) == plain[frame]
    assert all(digest(p) == plain[f] for f, p in running)


def test_a_file_that_shrinks_after_indexing_is_an_error_that_names_the_packet(clip: Clip, tmp_path: Path) -> None:
    for name in ("plain", "matroska"):
        path = tmp_path / clip(name).name
        shutil.copy(clip(name), path)
        index = VideoIndex.open(path)
        last = int(np.argmax(index.packet_of))
        with path.open("r+b") as file:
            file.truncate(int(index.packets.position[index.packet_of[last]]))
        with pytest.raises(CorruptMediaError, match=clip(name).name):
            list(decode_frames(index, [last]))


def test_a_frame_whose_data_is_gone_is_named_and_the_others_come(clip: Clip, tmp_path: Path) -> None:
    from mediaref.video_decoder.pyav import frames_or_errors

    index = VideoIndex.open(clip("no_b"))
    victim = int(np.flatnonzero(index.is_key)[1])
    row = int(index.packet_of[victim])
    damaged = bytearray(clip("no_b").read_bytes())
    position, size = int(index.packets.position[row]), int(index.packets.size[row])
    damaged[position : position + size] = bytes(size)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(damaged)
    stale = VideoIndex.open(path)
    plain = plain_decode(clip("no_b"), index)
    for frame, pixels in frames_or_errors(stale, list(range(victim)), threads=1):
        assert isinstance(pixels, np.ndarray)
        assert digest(pixels) == plain.pixels[frame]


@pytest.mark.parametrize("codec", ["libx265", "mpeg4"])
def test_a_false_keyframe_is_found_out(tmp_path: Path, codec: str) -> None:
    options = {
        "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:keyint=24:bframes=0:pools=1:frame-threads=1"},
        "mpeg4": {"g": "24", "bf": "0"},
    }[codec]
    path = make_clip(tmp_path / "false.mkv", codec=codec, frames=24, options=options)
    index = VideoIndex.open(path)
    plain = plain_decode(path, index)
    index.packets.is_key.setflags(write=True)
    index.packets.is_key[12] = True  # what some muxers write
    got = dict(decode_frames(index, [14, 20], threads=1))
    assert {frame: digest(pixels) for frame, pixels in got.items()} == {f: plain.pixels[f] for f in (14, 20)}


def test_parameter_sets_that_came_once_reach_a_decoder_that_starts_later(tmp_path: Path) -> None:
    """Two streams in one, the second with its parameter sets in its first packet only, as some cameras send them."""
    options = {"x264-params": "keyint=4:bframes=0:scenecut=0"}
    first, second = (
        make_clip(tmp_path / f"{width}.h264", frames=16, size=(width, 64), options=options) for width in (96, 112)
    )
    content = second.read_bytes()
    units = [b"\0\0\0\1" + unit for unit in re.split(rb"\x00{2,3}\x01", content)[1:]]
    later = [unit for unit in units[3:] if unit[4] & 31 not in (6, 7, 8)]
    path = tmp_path / "both.h264"
    path.write_bytes(first.read_bytes() + b"".join(units[:3] + later))
    index = VideoIndex.open(path)
    plain = plain_decode(path, index)
    assert [shape for shape, _ in plain.pixels] == [(64, 96, 3)] * 16 + [(64, 112, 3)] * 16
    assert len(index) == 32
    for frame in (2, 17, 25, 31):
        assert len(DecodePlan.of(index, [frame]).packets) <= 5
        ((_, pixels),) = decode_frames(index, [frame], threads=1)
        assert digest(pixels) == plain.pixels[frame]


def test_a_seek_that_leads_astray_is_noticed(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    index = VideoIndex.open(clip("matroska"))
    plain = _plain(clip("matroska"), index)
    keys = np.flatnonzero(index.packets.is_key)
    too_far = int(index.packets.pts[keys[-1]])
    monkeypatch.setattr(reader, "_WORTH_A_SEEK", 0)
    monkeypatch.setattr(reader._Demuxer, "_moves", lambda self, key: iter([(too_far, False)]))
    for frame in (3, 13, 21):
        ((_, pixels),) = decode_frames(index, [frame], threads=1)
        assert digest(pixels) == plain[frame]


@pytest.mark.parametrize("name", ["matroska", "transport", "flv", "vp9", "av1"])
def test_packets_are_found_again_by_seeking(clip: Clip, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    index = indexed_by_packets(clip(name))
    assert not index.is_directly_readable
    monkeypatch.setattr(reader, "_WORTH_A_SEEK", 0)
    with PacketReader(index) as packets:
        everything = {row: bytes(packet) for row, packet in packets.read(range(len(index.packets)))}
        for row in random.Random(2).sample(range(len(index.packets)), 10):
            ((found, packet),) = packets.read([row])
            assert (found, bytes(packet)) == (row, everything[row])
    assert [len(everything[row]) for row in sorted(everything)] == index.packets.size.tolist()


def test_the_same_bytes_presented_twice_are_told_apart(clip: Clip) -> None:
    index = VideoIndex.open(clip("plain"))
    twice = {field.name: np.tile(getattr(index.packets, field.name), 2) for field in dataclasses.fields(PacketTable)}
    twice["dts"][24:] += 12288
    table = PacketTable(**twice)
    found = types.SimpleNamespace(size=int(table.size[5]), pos=int(table.position[5]), dts=int(table.dts[29]))
    assert table.match(found, 0) == 29
    found.dts = int(table.dts[5])
    assert table.match(found, 29) == 5
    found.size += 1
    assert table.match(found, 5) is None


def test_packets_that_are_gone_are_named(clip: Clip) -> None:
    index = VideoIndex.open(clip("plain"))
    beyond = dataclasses.replace(index.packets, position=index.packets.position + clip("plain").stat().st_size)
    with (
        PacketReader(dataclasses.replace(index, packets=beyond)) as packets,
        pytest.raises(CorruptMediaError, match=r"plain\.mp4: packet 23 \(byte \d+\) of \d+ bytes is cut short"),
    ):
        list(packets.read([23]))


def test_an_index_is_not_used_on_another_file(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    shutil.copy(clip("plain"), path)
    index = VideoIndex.open(path)
    shutil.copy(clip("cavlc"), path)
    for read in (lambda: list(decode_frames(index, [3])), lambda: read_bit_costs(index, [3])):
        with pytest.raises(CorruptMediaError, match=r"clip\.mp4: has changed since it was indexed"):
            read()
    assert len(list(decode_frames(path, [3]))) == 1


def test_the_decoder_class_gives_batches(clip: Clip) -> None:
    frames = list(decode_frames(clip("variable_rate"), range(24)))
    with PyAVVideoDecoder(clip("variable_rate")) as decoder:
        metadata = decoder.metadata
        assert (metadata.num_frames, metadata.width, metadata.height) == (24, 176, 144)
        assert metadata.end_stream_seconds == metadata.begin_stream_seconds + metadata.duration_seconds
        batch = decoder.get_frames_played_at([0.1, 0.0, 0.1])
        assert batch.data.shape == (3, 3, 144, 176)
        np.testing.assert_array_equal(batch.data[1], frames[0][1].transpose(2, 0, 1))
        np.testing.assert_array_equal(batch.data[0], batch.data[2])
        np.testing.assert_allclose(batch.pts_seconds + batch.duration_seconds, [14 / 90, 3 / 90, 14 / 90])
        span = decoder.get_frames_played_in_range(0.0, 0.2)
        assert len(span) == 6
        assert len(decoder.get_frames_played_in_range(0.0, 0.0)) == 0
        np.testing.assert_array_equal(decoder[-1], frames[-1][1].transpose(2, 0, 1))
        assert decoder[3:9:2].shape[0] == 3
        with pytest.raises(IndexError):
            decoder[24]
        with pytest.raises(ValueError, match="Invalid stop"):
            decoder.get_frames_played_in_range(0.0, 99.0)


def test_resampling_repeats_and_drops(clip: Clip) -> None:
    decoder = PyAVVideoDecoder(clip("plain"))
    batch = decoder.get_frames_played_in_range(0.0, 0.4, fps=10)
    assert batch.pts_seconds.tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3], abs=1e-8)
    assert len(decoder.get_frames_played_in_range(0.0, 0.1, fps=60)) == 6


@pytest.fixture
def two_sizes(tmp_path: Path) -> Path:
    """Eight frames of 96 x 64 and eight of 64 x 96."""
    parts = [
        make_clip(tmp_path / f"{number}.h264", frames=8, size=size, options={"x264-params": "bframes=2:keyint=8"})
        for number, size in enumerate([(96, 64), (64, 96)])
    ]
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def test_a_size_that_changes_in_mid_stream_is_followed(two_sizes: Path) -> None:
    index = VideoIndex.open(two_sizes)
    shapes = [pixels.shape for _, pixels in decode_frames(index, range(16), threads=1)]
    assert shapes == [(64, 96, 3)] * 8 + [(96, 64, 3)] * 8
    plain = plain_decode(two_sizes, index)
    for frame in (3, 9, 15):
        ((_, pixels),) = decode_frames(index, [frame], threads=1)
        assert digest(pixels) == plain.pixels[frame]


@pytest.mark.parametrize("ask", [lambda video: video.get_frames_at([15, 0]), lambda video: video[4:12]])
def test_frames_of_two_sizes_are_no_one_batch(two_sizes: Path, ask: Callable[[PyAVVideoDecoder], object]) -> None:
    decoder = PyAVVideoDecoder(two_sizes)
    assert decoder[8:].shape == (8, 3, 96, 64)
    with pytest.raises(InvalidReferenceError, match=r"both\.h264: frame [04] is 96 x 64 .* frame (8|15) 64 x 96 "):
        ask(decoder)
