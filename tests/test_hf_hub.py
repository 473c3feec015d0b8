"""`hf://` uris, through the Hub's own file system: references, bit costs and batches of what lies in a data set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import make_clip
from hub_server import HubServer
from PIL import Image

from mediaref import MediaRef, batch_bit_costs, batch_decode, cleanup_cache
from mediaref.errors import AccessDeniedError, MediaNotFoundError
from mediaref.video_decoder import VideoIndex

hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (pip install 'mediaref[hf]')")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pq = pytest.importorskip("pyarrow.parquet")

Clip = Callable[[str], Path]

REPOSITORY = "ann/clips"
BASE = f"hf://datasets/{REPOSITORY}"


@pytest.fixture
def folder(clip: Clip, tmp_path: Path) -> Path:
    """What the data set holds: two videos in a folder, one beside it, a picture and a table of references."""
    folder = tmp_path / "repository"
    (folder / "videos" / "deep").mkdir(parents=True)
    for number, name in enumerate(("videos/one.mp4", "videos/deep/two.mp4", "three.mkv")):
        make_clip(folder / name, frames=14, size=(96, 80), seed=number)
    (folder / "long.mp4").write_bytes(clip("long").read_bytes())
    Image.effect_noise((40, 30), 50).convert("RGB").save(folder / "a b.png")
    uris = [f"{BASE}/videos/one.mp4", f"{BASE}/three.mkv"]
    refs = [{"uri": uri, "pts_ns": pts_ns} for uri in uris for pts_ns in (0, 100_000_000)]
    pq.write_table(pa.table({"ref": refs}), folder / "refs.parquet")
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[HubServer]:
    with HubServer(folder, REPOSITORY).running() as server:
        yield server


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> Iterator[None]:
    hub.HfFileSystem.clear_instance_cache()
    cleanup_cache()
    yield
    hub.HfFileSystem.clear_instance_cache()


def options_for(server: HubServer, token: str | bool = False) -> dict[str, Any]:
    return {"storage_options": {"endpoint": server.endpoint, "token": token}}


def test_what_lies_on_the_hub_is_read_as_what_lies_here(server: HubServer, folder: Path) -> None:
    options = options_for(server)
    image = MediaRef(uri=f"{BASE}/a b.png")
    assert image.validate_uri(**options)
    assert not MediaRef(uri=f"{BASE}/none.png").validate_uri(**options)
    np.testing.assert_array_equal(image.to_ndarray(**options), MediaRef(uri=str(folder / "a b.png")).to_ndarray())
    for name in ("videos/one.mp4", "three.mkv"):
        times = VideoIndex.open(folder / name).pts_ns
        assert times is not None
        here = [MediaRef(uri=str(folder / name), pts_ns=int(time)) for time in times[[2, 9, 13]]]
        there = [MediaRef(uri=f"{BASE}/{name}", pts_ns=ref.pts_ns) for ref in here]
        for ours, expected in zip(batch_decode(there, **options), batch_decode(here), strict=True):
            np.testing.assert_array_equal(ours, expected)
        for cost, expected_cost in zip(batch_bit_costs(there, **options), batch_bit_costs(here), strict=True):
            np.testing.assert_array_equal(cost.bits, expected_cost.bits)


def test_few_bytes_of_a_long_video_are_read_from_the_hub(server: HubServer, folder: Path) -> None:
    content = (folder / "long.mp4").read_bytes()
    (folder / "long.mp4").write_bytes(content + (24 << 20).to_bytes(4, "big") + b"free" + bytes((24 << 20) - 8))
    ref = MediaRef(uri=f"{BASE}/long.mp4", pts_ns=10**9)
    expected = MediaRef(uri=str(folder / "long.mp4"), pts_ns=10**9).to_ndarray()
    np.testing.assert_array_equal(ref.to_ndarray(**options_for(server)), expected)
    read = [
        [int(edge) for edge in (range or "bytes=0-").removeprefix("bytes=").split("-")] for _, range in server.reads
    ]
    assert sum(end - begin + 1 for begin, end in read) < len(content) + (64 << 10)  # of 24 MiB


def test_what_is_not_on_the_hub_is_not_found(server: HubServer) -> None:
    for uri in (f"{BASE}/none.mp4", "hf://datasets/ann/none/a.mp4"):
        with pytest.raises(MediaNotFoundError):
            MediaRef(uri=uri, pts_ns=0).to_ndarray(**options_for(server))


def test_a_private_data_set_takes_a_token(folder: Path) -> None:
    ref = MediaRef(uri=f"{BASE}/a b.png")
    with HubServer(folder, REPOSITORY, token="hf_secret").running() as server:
        assert ref.to_ndarray(**options_for(server, "hf_secret")).shape == (30, 40, 3)
        with pytest.raises((AccessDeniedError, MediaNotFoundError)) as refused:  # the Hub does not say which
            ref.to_ndarray(**options_for(server, "hf_other"))
        assert "hf_other" not in str(refused.value)


def test_a_file_that_was_replaced_on_the_hub_is_read_anew(server: HubServer, folder: Path) -> None:
    options = options_for(server)
    before = VideoIndex.open(f"{BASE}/three.mkv", **options)
    content = bytearray((folder / "three.mkv").read_bytes())
    content[-1] ^= 1  # of the same size
    (folder / "three.mkv").write_bytes(content)
    hub.HfFileSystem.clear_instance_cache()  # the Hub's file system asks once for what there is
    assert VideoIndex.open(f"{BASE}/three.mkv", **options).identity != before.identity


@pytest.mark.parametrize(
    ("given", "done"),
    [
        (f"{BASE}/videos", ["one", "two"]),
        (f"{BASE}/*.mkv", ["three"]),
        (f"{BASE}/refs.parquet --column ref", ["one", "three"]),
        (f"{BASE}/videos/one.mp4", ["one"]),
    ],
)
def test_a_batch_is_over_what_lies_on_the_hub(given: str, done: list[str], server: HubServer, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": server.endpoint, "HF_HOME": str(tmp_path / "hub")}
    command = "import sys; from codec_video_prep.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["batch", "--input", *given.split(), "--output", str(tmp_path / "out"), "--quiet"]
    words += ["--num-sampled-frames", "12", "--min-group-frames", "4"]
    ended = subprocess.run(
        [sys.executable, "-c", command, *words], env=environment, capture_output=True, text=True, timeout=240
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["videos"], told["done"], told["failed"]) == (len(done), len(done), 0)
    folders = {path.name.rpartition("-")[0] for path in (tmp_path / "out").iterdir() if (path / "_DONE").is_file()}
    assert folders == set(done)
