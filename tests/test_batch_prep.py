"""Many videos: what a batch is over, that nothing is lost or done twice whatever ends a run, and who can read it."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import make_clip
from PIL import Image

from codec_video_prep import cli, run_preinfer
from codec_video_prep.batch import BatchResult, Tally, list_videos, run_batch
from codec_video_prep.batch.job import Video
from codec_video_prep.config import OptionError
from codec_video_prep.output import OutputError, OutputExistsError
from codec_video_prep.progress import BatchLine
from codec_video_prep.webdataset import write_shard
from mediaref.bitcost import read_bit_costs

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pq = pytest.importorskip("pyarrow.parquet")

Capture = pytest.CaptureFixture[str]
Outputs = Callable[[str], Path]

OPTIONS = {"num_sampled_frames": 12, "min_group_frames": 4}
BAD = "bad.mp4"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with seven short clips and one file that is no video."""
    folder = tmp_path_factory.mktemp("batch")
    for number in range(7):
        make_clip(folder / f"clip{number}.mp4", frames=14, size=(96, 80), seed=number)
    (folder / BAD).write_bytes(b"this is not a video")
    return folder


def run(clips: Path, output: Path | str, **settings: Any) -> BatchResult:
    settings = {"options": OPTIONS, "workers": 1, **settings}
    return run_batch(list_videos([str(clips)]), str(output), **settings)


@pytest.fixture(scope="module")
def outputs(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """`outputs(format)` is the output of a batch over all clips, made on first use; not to be changed."""
    made: dict[str, Path] = {}

    def get(format: str) -> Path:
        if format not in made:
            made[format] = tmp_path_factory.mktemp(format) / "out"
            run(clips, made[format], format=format, videos_per_part=3)
        return made[format]

    return get


def failures(output: Path, name: str = "errors.parquet") -> list[dict[str, str]]:
    rows: list[dict[str, str]] = pq.read_table(output / name).to_pylist()
    return rows


def folders(output: Path) -> dict[str, Path]:
    """The finished folder of each clip, by the clip's name."""
    return {folder.name.rpartition("-")[0]: folder for folder in output.iterdir() if (folder / "_DONE").is_file()}


def shard_members(output: Path) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    for shard in sorted(output.glob("part-*.tar")):
        with tarfile.open(shard) as file:
            for member in file:
                assert member.name not in members
                members[member.name] = file.extractfile(member).read()  # type: ignore[union-attr]
    return members


# --- what comes out --------------------------------------------------------------------------------------------------


def test_folders_are_those_of_single_runs_and_a_bad_video_is_reported(clips: Path, tmp_path: Path) -> None:
    told: list[Tally] = []
    result = run(clips, tmp_path / "out", progress=lambda tally: told.append(Tally(**vars(tally))))
    assert vars(result.tally) == {"total": 8, "done": 7, "before": 0, "failed": 1}
    assert [tally.done + tally.failed for tally in told] == list(range(1, 9))
    made = folders(tmp_path / "out")
    assert sorted(made) == [f"clip{number}" for number in range(7)]
    single = run_preinfer(str(clips / "clip3.mp4"), str(tmp_path / "single"), **OPTIONS)  # type: ignore[arg-type]
    for name in [*single.canvas_files, "src_patch_position.npy", "frame_ids.npy"]:
        assert (made["clip3"] / name).read_bytes() == (Path(single.out_dir) / name).read_bytes()
    (failure,) = failures(tmp_path / "out")
    assert failure["uri"] == str(clips / BAD)
    assert failure["error"] == "CorruptMediaError"
    assert BAD in failure["message"]
    visible = {entry.name for entry in (tmp_path / "out").iterdir()}
    assert visible == {"batch.json", "errors.parquet", "receipts", *(folder.name for folder in made.values())}


@pytest.mark.parametrize("format", ["folders", "webdataset", "bitcosts"])
def test_every_output_says_where_it_comes_from(format: str, outputs: Outputs) -> None:
    output = outputs(format)
    batch = json.loads((output / "batch.json").read_text())
    marks = {name: batch[name] for name in ("config_hash", "library_version")}
    tables = [*output.glob("*.parquet")]
    assert tables
    for table in tables:
        stored = {key.decode(): value.decode() for key, value in pq.read_schema(table).metadata.items()}
        assert stored.items() >= marks.items()
    texts = [path.read_bytes() for path in [*output.glob("receipts/*.json"), *output.glob("*/meta.json")]]
    texts += [content for name, content in shard_members(output).items() if name.endswith(".json")]
    assert len(texts) == {"folders": 3 + 7, "webdataset": 3 + 7, "bitcosts": 3}[format]
    assert all(json.loads(text).items() >= marks.items() for text in texts)


def test_shards_hold_each_sample_once_and_whole(outputs: Outputs) -> None:
    output = outputs("webdataset")
    assert [path.name for path in sorted(output.glob("part-*"))] == [f"part-00000{n}.tar" for n in range(3)]
    members = shard_members(output)
    metas = {name.removesuffix(".json"): json.loads(data) for name, data in members.items() if name.endswith(".json")}
    assert len(metas) == 7
    for key, meta in metas.items():
        positions = np.load(io.BytesIO(members.pop(f"{key}.patch_positions.npy")))
        assert positions.shape == (meta["total_patches"], 3)
        for name in meta["canvas_files"]:
            with Image.open(io.BytesIO(members.pop(f"{key}.{name}"))) as canvas:
                assert canvas.size == tuple(reversed(meta["processed_hw"]))
        del members[f"{key}.json"]
    assert not members


def test_shards_are_read_by_webdataset(outputs: Outputs) -> None:
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    shards = [str(path) for path in sorted(outputs("webdataset").glob("part-*.tar"))]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"))
    assert len(samples) == 7
    for sample in samples:
        height, width = sample["json"]["processed_hw"]
        assert sample["__key__"].startswith("clip")
        assert sample["canvas_000.jpg"].shape == (height, width, 3)
        assert sample["patch_positions.npy"].shape == (sample["json"]["total_patches"], 3)


def test_a_key_that_readers_would_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dot or a slash"):
        write_shard(tmp_path / "shard.tar", [("a.b", tmp_path)])


def bit_tables(outputs: Outputs) -> list[str]:
    return [str(path) for path in sorted(outputs("bitcosts").glob("part-*.parquet"))]


def check_bits(row: dict[str, Any]) -> None:
    cost = read_bit_costs(row["uri"], [row["frame_index"]])[0]
    assert np.reshape(row["bits"], (row["rows"], row["cols"])).tolist() == cost.bits.tolist()
    told = {name: row[name] for name in ("pts_ns", "picture_type", "packet_bits", "unit")}
    assert told == {name: getattr(cost, name) for name in told}


def test_bit_costs_come_as_tables(clips: Path, outputs: Outputs) -> None:
    rows = [row for path in bit_tables(outputs) for row in pq.read_table(path).to_pylist()]
    wanted = [(str(clips / f"clip{number}.mp4"), frame) for number in range(7) for frame in range(14)]
    assert [(row["uri"], row["frame_index"]) for row in rows] == wanted
    for row in rows[::9]:
        check_bits(row)


def test_bit_cost_tables_are_read_by_polars(outputs: Outputs) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = polars.read_parquet(bit_tables(outputs))
    assert frame.height == 98
    assert (frame["bits"].list.len() == frame["rows"] * frame["cols"]).all()
    check_bits(frame.row(20, named=True))


def test_bit_cost_tables_are_read_by_datasets(outputs: Outputs, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    loaded = datasets.Dataset.from_parquet(bit_tables(outputs), cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == 98
    check_bits(loaded[20])


# --- nothing lost, nothing done twice --------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["folders", "webdataset", "bitcosts"])
def test_a_second_run_finds_everything_done(format: str, clips: Path, outputs: Outputs) -> None:
    output = outputs(format)
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}
    again = run(clips, output, format=format, videos_per_part=3)
    assert vars(again.tally) == {"total": 8, "done": 0, "before": 7, "failed": 1}
    after = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}
    assert [path.name for path in after if after[path] != before.get(path)] == ["errors.parquet"]
    assert len(failures(output)) == 1


def finished(output: Path, format: str) -> dict[str, float]:
    """When each clip that is done was prepared, as its metadata tells, wherever it lies."""
    found = output.iterdir() if format == "folders" else output.glob(".staging*/part*/*")
    folders = [folder for folder in found if not folder.name.startswith(".")]
    texts = [(folder / "meta.json").read_bytes() for folder in folders if (folder / "_DONE").exists()]
    if format == "webdataset":
        texts += [content for name, content in shard_members(output).items() if name.endswith(".json")]
    metas = [json.loads(text) for text in texts]
    return {meta["video"]: meta["timings"]["total"] for meta in metas}


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process group")
@pytest.mark.parametrize(
    ("format", "whole_group", "goals"),
    [("folders", True, [1, 4]), ("webdataset", False, [2])],
    ids=["folders, all processes", "shards, only the parent"],
)
def test_killed_again_and_again_no_clip_is_lost_or_done_twice(
    format: str, whole_group: bool, goals: list[int], clips: Path, tmp_path: Path
) -> None:
    words = ["--input", str(clips), "--output", str(tmp_path), "--format", format, "--videos-per-part", "3"]
    words += ["--workers", "2", "--quiet", "--num_sampled_frames", "12", "--min_group_frames", "4"]
    command = [sys.executable, "-m", "codec_video_prep.cli", "batch", *words]
    done: dict[str, float] = {}
    kills = 0
    for goal in goals:
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
        while process.poll() is None and len(finished(tmp_path, format)) < goal:
            time.sleep(0.005)
        kills += process.poll() is None
        if whole_group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        now = finished(tmp_path, format)
        assert now.items() >= done.items()
        done = now
    assert kills == len(goals)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    now = finished(tmp_path, format)
    assert now.items() >= done.items()
    assert sorted(now) == [str(clips / f"clip{number}.mp4") for number in range(7)]
    assert len(failures(tmp_path)) == 1
    assert not list(tmp_path.glob(".*staging*"))
    assert not list(tmp_path.glob(".*part-*"))


def test_runs_of_several_machines_make_one_output(clips: Path, tmp_path: Path) -> None:
    for shard in (1, 0):
        run(clips, tmp_path, format="webdataset", videos_per_part=2, num_shards=2, shard_id=shard)
    keys = {name.partition(".")[0] for name in shard_members(tmp_path)}
    assert len(keys) == 7
    assert len(list(tmp_path.glob("part-*.tar"))) == 4
    found = [failures(tmp_path, f"errors-00{shard}-of-002.parquet") for shard in (0, 1)]
    assert sorted(map(len, found)) == [0, 1]


def test_another_batch_is_not_mixed_in(clips: Path, tmp_path: Path) -> None:
    run(clips, tmp_path, format="webdataset", videos_per_part=2)
    for other in ({"format": "folders"}, {"options": {**OPTIONS, "patch": 16}}, {"videos_per_part": 3}):
        with pytest.raises(OutputExistsError, match="another batch"):
            run(clips, tmp_path, **{"format": "webdataset", "videos_per_part": 2, **other})
    run(clips, tmp_path, format="webdataset", videos_per_part=5, overwrite=True)
    assert len(list(tmp_path.glob("part-*.tar"))) == 2  # none of the four of before
    assert len({name.partition(".")[0] for name in shard_members(tmp_path)}) == 7


def test_a_list_that_grows_is_gone_on_with_and_one_that_shrinks_leaves_nothing_over(
    clips: Path, tmp_path: Path
) -> None:
    every = list_videos([str(clips / "clip*.mp4")])
    settings: dict[str, Any] = {"format": "webdataset", "videos_per_part": 2, "options": OPTIONS, "workers": 2}
    assert run_batch(every[:4], str(tmp_path), **settings).tally.done == 4
    assert vars(run_batch(every, str(tmp_path), **settings).tally) == {"total": 7, "done": 3, "before": 4, "failed": 0}
    run_batch(every[:3], str(tmp_path), **settings)
    assert len({name.partition(".")[0] for name in shard_members(tmp_path)}) == 3


def test_failures_are_tried_again_when_asked(clips: Path, tmp_path: Path) -> None:
    videos = Path(shutil.copytree(clips, tmp_path / "videos"))
    run(videos, tmp_path / "out")
    shutil.copy(videos / "clip0.mp4", videos / BAD)
    assert run(videos, tmp_path / "out").tally.failed == 1
    assert vars(run(videos, tmp_path / "out", retry_failed=True).tally)["failed"] == 0
    assert failures(tmp_path / "out") == []


def test_an_output_that_cannot_be_written_stops_the_batch(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError):
        run(clips, tmp_path / "out")
    key = Video.of(str(clips / "clip2.mp4")).key
    (tmp_path / "taken" / key).mkdir(parents=True)
    (tmp_path / "taken" / key / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputExistsError, match=r"thesis\.tex"):
        run(clips, tmp_path / "taken")


@pytest.mark.parametrize(
    "settings",
    [{"format": "zip"}, {"workers": 0}, {"videos_per_part": 0}, {"shard_id": 1}, {"options": {"patch": 0}}],
)
def test_a_wrong_option_is_refused_before_anything_is_written(settings: Any, clips: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError):
        run(clips, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_tells_what_it_did(clips: Path, tmp_path: Path, capsys: Capture) -> None:
    words = ["batch", "--input", str(clips), "--output", str(tmp_path / "out"), "--num-sampled-frames", "12"]
    assert cli.main([*words, "--min-group-frames", "4"]) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["videos"], told["done"], told["failed"], told["errors"]) == (8, 7, 1, "errors.parquet")
    assert "8/8 videos, 1 failed" in printed.err


def test_a_batch_that_could_prepare_nothing_has_failed(clips: Path, tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["batch", "--input", str(clips / BAD), "--output", str(tmp_path / "out"), "--quiet"]) == 1
    assert json.loads(capsys.readouterr().out)["failed"] == 1
    assert cli.main(["batch", "--input", "missing.txt", "--output", str(tmp_path / "out"), "--quiet"]) == 1
    assert capsys.readouterr().err.startswith("codec-video-prep batch: missing.txt")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_has_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    terminal = Terminal()
    with BatchLine(terminal) as line:
        for done in range(1, 6):
            now[0] += 0.5
            line.show(Tally(total=410, done=done, before=200, failed=1))
    assert terminal.getvalue().rpartition("\r")[2].strip() == "206/410 videos, 1 failed, 2/s, 1:42 left"
    plain = io.StringIO()
    with BatchLine(plain) as line:
        for done in range(1, 101):
            now[0] += 0.5
            line.show(Tally(total=100, done=done))
    assert plain.getvalue().count("\n") == 6  # the first, one each ten seconds, the last
    assert plain.getvalue().endswith("100/100 videos, 2/s, 0:50\n")


# --- remote ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server on this machine with an empty bucket, found through the environment as AWS's own tools do."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    server_module = pytest.importorskip("moto.server", reason="moto is not installed")
    import s3fs

    name = f"batch-{secrets.token_hex(4)}"  # the server's memory outlives it
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir(name)
    yield f"s3://{name}"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.parametrize("format", ["folders", "webdataset", "bitcosts"])
def test_results_go_to_object_storage(format: str, clips: Path, bucket: str) -> None:
    import s3fs

    remote, place = s3fs.S3FileSystem(), bucket.removeprefix("s3://")
    remote.put(str(clips / "clip1.mp4"), f"{place}/in/clip1.mp4")
    remote.put(str(clips / "clip2.mp4"), f"{place}/in/clip2.mp4")
    videos = list_videos([f"{bucket}/in/*.mp4"])
    assert videos == [f"{bucket}/in/clip1.mp4", f"{bucket}/in/clip2.mp4"]
    settings: dict[str, Any] = {"format": format, "options": OPTIONS, "workers": 1}
    assert run_batch([*videos, str(clips / BAD)], f"{bucket}/out", **settings).tally.done == 2
    written = remote.find(f"{place}/out", detail=True)
    key = Video.of(videos[0]).key
    results = {"folders": f"{key}/_DONE", "webdataset": "part-000000.tar", "bitcosts": "part-000000.parquet"}
    assert f"{place}/out/{results[format]}" in written
    assert pq.read_table(io.BytesIO(remote.cat(f"{place}/out/errors.parquet"))).num_rows == 1
    again = run_batch([*videos, str(clips / BAD)], f"{bucket}/out", **settings)
    assert vars(again.tally) == {"total": 3, "done": 0, "before": 2, "failed": 1}
    if format == "folders":  # killed after the upload and before the receipt: found there, not done again
        remote.rm(f"{place}/out/receipts", recursive=True)
        run_batch([*videos, str(clips / BAD)], f"{bucket}/out", **settings)
        remote.invalidate_cache()
        meta = f"{place}/out/{key}/meta.json"
        assert remote.info(meta)["LastModified"] == written[meta]["LastModified"]
