"""Ray Data on a real cluster of two nodes on this machine, and the same callables without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import make_clip

from codec_video_prep.batch import list_videos, run_batch
from codec_video_prep.integrations.ray import PrepareVideos
from mediaref import MediaRef, batch_decode
from mediaref.bit_tables import bit_cost_table
from mediaref.errors import CorruptMediaError, InvalidReferenceError
from mediaref.ray import DecodeRefs, ReadBitCosts

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

OPTIONS = {"num_sampled_frames": 12, "min_group_frames": 4}
TIMES = (0, 200_000_000, 100_000_000)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with six short clips of two sizes, and one file that is no video."""
    folder = tmp_path_factory.mktemp("ray")
    for number in range(6):
        make_clip(folder / f"clip{number}.mp4", frames=14, size=(96, 80 + 16 * (number % 2)), seed=number)
    (folder / "bad.mp4").write_bytes(b"this is not a video")
    return folder


def rows(clips: Path) -> list[dict[str, Any]]:
    videos = sorted(clips.glob("clip*.mp4"))
    return [{"video": str(video), "refs": [{"uri": str(video), "pts_ns": time} for time in TIMES]} for video in videos]


def expected(row: dict[str, Any]) -> np.ndarray:
    return np.stack(batch_decode([MediaRef(**ref) for ref in row["refs"]]))


# --- the callables by themselves -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dict", "arrow", "json"])
def test_lists_of_references_become_pictures(kind: str, clips: Path) -> None:
    given = rows(clips)
    batch: Any = {"video": np.array([row["video"] for row in given]), "refs": [row["refs"] for row in given]}
    if kind == "arrow":
        batch = pa.Table.from_pylist(given)
    if kind == "json":
        batch["refs"] = [[json.dumps(ref) for ref in row["refs"]] for row in given]
    made = DecodeRefs()(batch)
    assert list(made["video"]) == [row["video"] for row in given]
    for row, frames in zip(given, made["frames"], strict=True):
        assert np.array_equal(frames, expected(row))


def test_references_that_fail_are_marked_when_told_to_skip(clips: Path) -> None:
    (row, *_) = rows(clips)
    row["refs"].insert(1, {"uri": str(clips / "bad.mp4"), "pts_ns": 0})
    batch = {"refs": [row["refs"]]}
    made = DecodeRefs(on_error="skip")(batch)
    assert made["frames_decoded"].tolist() == [[True, False, True, True]]
    assert len(made["frames"][0]) == 3
    with pytest.raises(CorruptMediaError, match=r"bad\.mp4"):
        DecodeRefs()(batch)


def test_a_row_of_two_sizes_and_a_missing_column_are_refused(clips: Path) -> None:
    first, second, *_ = rows(clips)
    with pytest.raises(InvalidReferenceError, match="96x80, 96x96"):
        DecodeRefs()({"refs": [first["refs"] + second["refs"]]})
    with pytest.raises(InvalidReferenceError, match="no column 'refs'; they have uri"):
        DecodeRefs()({"uri": ["a"]})


def test_videos_become_tables_of_bits(clips: Path) -> None:
    videos = [row["video"] for row in rows(clips)]
    made = pa.concat_tables(ReadBitCosts(on_error="skip")({"uri": [*videos, str(clips / "bad.mp4")]}))
    assert made.equals(pa.concat_tables([bit_cost_table(video) for video in videos]))
    with pytest.raises(CorruptMediaError, match=r"bad\.mp4"):
        list(ReadBitCosts()({"uri": [str(clips / "bad.mp4")]}))


def test_videos_become_folders(clips: Path, tmp_path: Path) -> None:
    made = PrepareVideos(str(tmp_path), OPTIONS)({"uri": list_videos([str(clips)])})
    assert made["error"].tolist() == ["CorruptMediaError", *[""] * 6]
    assert "bad.mp4" in made["message"][0]
    assert made["prepared"][0] == ""
    for folder, canvases in zip(made["prepared"][1:], made["canvases"][1:], strict=True):
        assert len(list(Path(folder).glob("canvas_*.jpg"))) == canvases > 0


# --- on a cluster ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two nodes with one CPU each."""
    ray = pytest.importorskip("ray", reason="ray is not installed: make test-ray")
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    ray.init(address=nodes.address, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    assert len(ray.nodes()) == 2
    yield nodes.address
    ray.shutdown()
    nodes.shutdown()


@pytest.mark.ray
def test_a_dataset_of_references_is_decoded(cluster: str, clips: Path) -> None:
    import ray

    given = {row["video"]: row for row in rows(clips)}
    data = ray.data.from_items(list(given.values()), override_num_blocks=3)
    made = data.map_batches(DecodeRefs, batch_size=2, concurrency=2).take_all()
    assert sorted(row["video"] for row in made) == sorted(given)
    for row in made:
        assert np.array_equal(row["frames"], expected(given[row["video"]]))


@pytest.mark.ray
def test_a_dataset_of_videos_becomes_tables_of_bits(cluster: str, clips: Path, tmp_path: Path) -> None:
    import ray

    videos = [{"uri": row["video"]} for row in rows(clips)]
    data = ray.data.from_items(videos, override_num_blocks=3).map_batches(ReadBitCosts, batch_size=1, concurrency=2)
    data.write_parquet(str(tmp_path / "bits"))
    written = pa.parquet.read_table(tmp_path / "bits").sort_by([("uri", "ascending"), ("frame_index", "ascending")])
    assert written.to_pylist() == [row for video in videos for row in bit_cost_table(video["uri"]).to_pylist()]


@pytest.mark.ray
def test_a_dataset_of_videos_is_prepared_on_both_nodes(cluster: str, clips: Path, tmp_path: Path) -> None:
    import ray

    videos = [{"uri": uri} for uri in list_videos([str(clips)])]
    where = {"output": str(tmp_path), "options": OPTIONS}
    data = ray.data.from_items(videos, override_num_blocks=7)
    made = data.map_batches(PrepareVideos, fn_constructor_kwargs=where, batch_size=1, concurrency=2).take_all()
    assert sorted(row["error"] for row in made) == [*[""] * 6, "CorruptMediaError"]
    assert len([entry for entry in tmp_path.iterdir() if (entry / "_DONE").exists()]) == 6


@pytest.mark.ray
@pytest.mark.parametrize("format", ["folders", "webdataset", "bitcosts"])
def test_a_batch_on_a_cluster_writes_what_one_here_writes(
    cluster: str, format: str, clips: Path, tmp_path: Path
) -> None:
    videos = list_videos([str(clips)])
    settings: dict[str, Any] = {"format": format, "options": OPTIONS, "videos_per_part": 2}
    there = run_batch(videos, str(tmp_path / "there"), ray=cluster, **settings)
    here = run_batch(videos, str(tmp_path / "here"), workers=1, **settings)
    assert vars(there.tally) == vars(here.tally) == {"total": 7, "done": 6, "before": 0, "failed": 1}
    listed = [
        sorted(str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("*"))
        for name in ("there", "here")
    ]
    assert listed[0] == listed[1]
    for name in listed[0]:
        if name.endswith((".jpg", ".npy", ".parquet")) and not name.startswith("errors"):
            assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    again = run_batch(videos, str(tmp_path / "there"), ray=cluster, **settings)
    assert vars(again.tally) == {"total": 7, "done": 0, "before": 6, "failed": 1}
