"""Indexes, plans and decoders in other processes: there they open the file anew, and it must be the same."""

from __future__ import annotations

import base64
import multiprocessing
import pickle
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from reference import digest
from web_server import WebServer

from mediaref import cleanup_cache
from mediaref.errors import FileChangedError, MediaNotFoundError
from mediaref.storage import AccessPolicy
from mediaref.video_decoder import DecodePlan, PyAVVideoDecoder, VideoIndex, decode_frames

Clip = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    cleanup_cache()
    yield
    cleanup_cache()


def elsewhere(thing: object) -> bytes:
    """What `thing` is pickled to, for somebody who knows nothing of it."""
    pickled = pickle.dumps(thing)
    cleanup_cache()
    return pickled


def _pixels(index: VideoIndex, frame: int) -> str:
    return digest(next(decode_frames(index, [frame]))[1])


@pytest.mark.parametrize("name", ["plain", "transport"])
def test_a_spawned_process_is_given_an_index(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(_pixels, index, 7).result(60) == _pixels(index, 7)


def test_an_index_is_small_to_send_and_that_of_the_same_file_in_the_same_process(clip: Clip) -> None:
    index = VideoIndex.open(clip("long"))
    assert len(pickle.dumps(index)) < 1000
    assert pickle.loads(pickle.dumps(index)) is index


def test_a_file_that_became_another_one_in_between_is_an_error(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    shutil.copy(clip("plain"), path)
    pickled = [elsewhere(thing) for thing in (VideoIndex.open(path), PyAVVideoDecoder(path))]
    shutil.copy(clip("no_b"), path)
    for each in pickled:
        with pytest.raises(FileChangedError, match=r"clip\.mp4: has changed"):
            pickle.loads(each)
    path.unlink()
    with pytest.raises(MediaNotFoundError, match=r"clip\.mp4"):
        pickle.loads(pickled[0])


def test_a_copy_of_the_file_in_its_place_is_the_same_file(clip: Clip, tmp_path: Path) -> None:
    """As it is on another machine that has the folder at the same place."""
    path = tmp_path / "clip.mp4"
    shutil.copy2(clip("plain"), path)
    pickled = elsewhere(VideoIndex.open(path))
    shutil.copy2(path, tmp_path / "copy.mp4").replace(path)
    assert _pixels(pickle.loads(pickled), 5) == _pixels(VideoIndex.open(clip("plain")), 5)


def test_data_and_remote_files_are_sent_too(clip: Clip, tmp_path: Path) -> None:
    shutil.copy(clip("plain"), tmp_path / "clip.mp4")
    expected = _pixels(VideoIndex.open(clip("plain")), 5)
    inline = "data:video/mp4;base64," + base64.b64encode(clip("plain").read_bytes()).decode()
    server = WebServer(tmp_path)
    with server.running():
        url = server.url("files/clip.mp4")
        for uri in (inline, url):
            assert _pixels(pickle.loads(elsewhere(VideoIndex.open(uri))), 5) == expected
        pickled = elsewhere(VideoIndex.open(url))
        shutil.copy(clip("no_b"), tmp_path / "clip.mp4")
        with pytest.raises(FileChangedError):
            pickle.loads(pickled)


def test_a_policy_that_was_in_force_still_holds(clip: Clip, tmp_path: Path) -> None:
    shutil.copy(clip("plain"), tmp_path / "clip.mp4")
    server = WebServer(tmp_path)
    with server.running():
        with AccessPolicy(hosts=["127.0.0.1"], allow_private_addresses=True) as policy:
            pickled = elsewhere(VideoIndex.open(server.url("files/clip.mp4")))
        assert pickle.loads(pickled).source.policies == (policy,)


@pytest.mark.parametrize("name", ["plain", "veryfast", "intra_refresh", "mpeg4"])
def test_a_plan_is_the_same_plan(clip: Clip, name: str) -> None:
    plan = DecodePlan.of(VideoIndex.open(clip(name)), [3, 17, 17, 11])
    again = pickle.loads(elsewhere(plan))
    assert again.explain() == plan.explain()
    for span, other in zip(again.spans, plan.spans, strict=True):
        np.testing.assert_array_equal(span.packets, other.packets)
        np.testing.assert_array_equal(span.stand_ins, other.stand_ins)
    assert len(pickle.loads(pickle.dumps(DecodePlan.of(plan.index, []))).spans) == 0


def test_a_decoder_keeps_its_options(clip: Clip) -> None:
    for options in ({}, {"output_format": "native", "threads": 1}):
        decoder = PyAVVideoDecoder(clip("hevc_400"), **options)  # type: ignore[arg-type]
        again = pickle.loads(elsewhere(decoder))
        batch, expected = again.get_frames_at([2, 9]), decoder.get_frames_at([2, 9])
        np.testing.assert_array_equal(batch.data, expected.data)
        assert (batch.pixel_format, again._threads) == (expected.pixel_format, decoder._threads)
