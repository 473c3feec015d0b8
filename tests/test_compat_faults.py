"""Faults of 0.3.1, 1.1.0 and 2.1.0 that are not here, those that no other file tests; `test_compat_map.py` has all."""

from __future__ import annotations

import gc
import io
import os
import shutil
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from clips import make_clip
from PIL import Image
from web_server import WebServer

from mediaref import MediaRef, batch_decode, cached_av, cleanup_cache
from mediaref.errors import TimestampError
from mediaref.video_decoder import PyAVVideoDecoder, TorchCodecVideoDecoder

Clip = Callable[[str], Path]


def at(path: Path | str, pts_ns: int = 0) -> MediaRef:
    return MediaRef(uri=str(path), pts_ns=pts_ns)


# --- wrong frames -------------------------------------------------------------------------------------------------


def test_a_file_that_was_replaced_gives_its_new_pixels(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    for name in ("plain", "ten_bit"):
        shutil.copy(clip(name), tmp_path / "new.mp4")
        (tmp_path / "new.mp4").replace(path)
        expected = at(clip(name)).to_ndarray()
        np.testing.assert_array_equal(at(path).to_ndarray(), expected)
        np.testing.assert_array_equal(batch_decode([at(path)])[0], expected)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_time_behind_the_last_frame_has_none_though_the_sound_goes_on(tmp_path: Path, suffix: str) -> None:
    path = make_clip(tmp_path / f"clip{suffix}", frames=12, audio=True)
    with av.open(str(path)) as container:
        assert (container.duration or 0) > 900_000, "microseconds: the sound is longer than the pictures"
    at(path, 399_000_000).to_ndarray()
    for late in (400_000_001, 700_000_000):
        with pytest.raises(TimestampError, match="runs from 0 ns"):
            at(path, late).to_ndarray()
        with pytest.raises(TimestampError):
            batch_decode([at(path), at(path, late)])


# --- threads, processes, caches -------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_decoder_that_is_open_across_a_fork_works_on_both_sides(clip: Clip) -> None:
    with PyAVVideoDecoder(clip("plain")) as decoder:
        expected = decoder[5].sum()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(20)
            os._exit(0 if decoder[5].sum() == expected else 1)
        assert decoder[5].sum() == expected
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to see which files are open")
def test_no_file_stays_open_whatever_the_size_of_the_cache(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AV_CACHE_SIZE", "0")
    for number in range(12):
        shutil.copy(clip("plain"), tmp_path / f"{number}.mp4")
    refs = [at(path) for path in tmp_path.iterdir()]
    decoders = [PyAVVideoDecoder(ref.uri) for ref in refs]
    assert len(batch_decode(refs, allow_multi_video=True)) == len(decoders) == 12
    assert [path for path in _open_files() if path.startswith(str(tmp_path))] == []


def _open_files() -> list[str]:
    found = []
    for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208 - the entry of the listing itself is gone after it
        try:
            found.append(os.readlink(f"/proc/self/fd/{entry}"))  # noqa: PTH115
        except FileNotFoundError:
            continue
    return found


def test_a_container_that_was_closed_is_not_handed_out_again(clip: Clip) -> None:
    for source in (clip("plain"), str(clip("plain")), io.BytesIO(clip("plain").read_bytes()), clip("plain")):
        with cached_av.open(source, "r", keep_av_open=True) as container:
            assert len(list(container.decode(video=0))) == 24  # type: ignore[union-attr]


@pytest.mark.torch
def test_torchcodec_decodes_more_videos_than_a_cache_of_ten_holds(clip: Clip, tmp_path: Path) -> None:
    expected = at(clip("plain")).to_ndarray().astype(float)
    for number in range(12):
        shutil.copy(clip("plain"), tmp_path / f"{number}.mp4")
        with TorchCodecVideoDecoder(tmp_path / f"{number}.mp4") as decoder:
            assert np.abs(decoder[0].transpose(1, 2, 0) - expected).mean() < 2
    cleanup_cache()


# --- cost ---------------------------------------------------------------------------------------------------------


def test_no_packet_is_read_twice_for_a_batch(clip: Clip, rows_read: list[int]) -> None:
    times = [0, 100_000_000, 2_000_000_000, 5_000_000_000, 5_100_000_000, 7_900_000_000]
    batch_decode([at(clip("long"), time) for time in times], threads=1)  # its headers are known from here on
    rows_read.clear()
    batch_decode([at(clip("long"), time) for time in times], threads=1)
    assert rows_read
    assert len(rows_read) == len(set(rows_read))


def test_nobody_is_made_to_collect_garbage(clip: Clip) -> None:
    collections: list[str] = []

    def note(phase: str, _: object) -> None:
        collections.append(phase)

    gc.collect()
    gc.disable()
    gc.callbacks.append(note)
    try:
        for _ in range(25):
            at(clip("plain")).to_ndarray()
    finally:
        gc.callbacks.remove(note)
        gc.enable()
    assert collections == []


def test_files_of_a_batch_are_read_side_by_side(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / name)
    with WebServer(tmp_path).running() as server:
        refs = [MediaRef(uri=server.url(f"pairs/{name}")) for name in ("a.png", "b.png")]
        for pixels in batch_decode(refs, allow_images=True, threads=2):
            assert pixels[0, 0].tolist() == [1, 2, 3]
        assert not server.pair.broken, "nobody had to give up waiting for the other"


# --- errors and warnings ------------------------------------------------------------------------------------------


def test_gaps_that_are_allowed_are_not_warned_of(clip: Clip) -> None:
    refs = [at(clip("long"), time) for time in (0, 1_500_000_000, 7_000_000_000)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(batch_decode(refs, gap_threshold=10)) == 3


def test_one_and_many_references_raise_the_same_kinds(clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    for ref in (at(tmp_path / "none.mp4"), at(clip("plain"), 10**12), at(tmp_path / "empty.mp4"), MediaRef(uri="none")):
        with pytest.raises(ValueError) as alone:
            ref.to_ndarray()
        with pytest.raises(ValueError) as together:
            batch_decode([ref], allow_images=True)
        assert type(alone.value) is type(together.value)
