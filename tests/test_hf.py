"""A column of references in Hugging Face datasets."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mediaref import DataURI, MediaRef, batch_decode
from mediaref.video_decoder import VideoIndex

datasets = pytest.importorskip("datasets", reason="datasets is not installed (pip install 'mediaref[hf]')")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (pip install 'mediaref[hf]')")

from mediaref.hf import MediaRefFeature  # noqa: E402

can_store_objects = pytest.mark.skipif(
    int(datasets.__version__.split(".")[0]) < 5, reason="datasets below 5 cannot store objects that it does not know"
)
REFS = [MediaRef(uri="a.png"), MediaRef(uri="b.mp4", pts_ns=3), None, MediaRef(uri="c.mp4", pts_ns=-(1 << 63))]
ROWS = [None if ref is None else ref.model_dump() for ref in REFS]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def dataset(values: list[Any] = REFS, feature: MediaRefFeature | None = None) -> Any:
    features = datasets.Features({"ref": feature or MediaRefFeature(), "n": datasets.Value("int32")})
    return datasets.Dataset.from_dict({"ref": values, "n": list(range(len(values)))}, features=features)


# --- the feature by itself ----------------------------------------------------------------------------------------


def test_the_feature_is_what_1_1_wrote_down() -> None:
    feature = MediaRefFeature()
    assert feature() == feature.pa_type == pa.struct({"uri": pa.string(), "pts_ns": pa.int64()})
    assert (feature.dtype, feature._type, repr(feature)) == ("mediaref.MediaRef", "MediaRef", _SHOWN)
    features = datasets.Features({"a": feature, "b": MediaRefFeature(decode=False)})
    assert datasets.Features.from_dict(features.to_dict()) == features
    assert features._to_yaml_list()[0] == {"name": "a", "dtype": "media_ref"}
    assert datasets.Features._from_yaml_list(features._to_yaml_list()) == features


_SHOWN = "MediaRefFeature(decode=True)"


@pytest.mark.parametrize(
    "value",
    [MediaRef(uri="a"), "a", Path("a"), {"uri": "a"}, {"uri": "a", "pts_ns": None, "more": 1}],
)
def test_encode_example_takes_references_in_every_form(value: object) -> None:
    assert MediaRefFeature().encode_example(value) == {"uri": "a", "pts_ns": None}


def test_encode_example_takes_data_uris_and_times() -> None:
    feature = MediaRefFeature()
    embedded = DataURI.from_uri("data:image/png;base64,AAAA")
    assert feature.encode_example(embedded)["uri"] == embedded.uri
    assert feature.encode_example({"uri": "a", "pts_ns": "12"}) == {"uri": "a", "pts_ns": 12}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"pts_ns": 1}, ValueError),
        ({"uri": None}, ValueError),
        ({"uri": 3}, ValueError),
        (3, TypeError),
        (b"a", TypeError),
        (MediaRef(uri="a", pts_ns=1 << 63), ValueError),
    ],
)
def test_encode_example_refuses_what_is_no_reference(value: object, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        MediaRefFeature().encode_example(value)


def test_decode_example_gives_references_or_the_very_same_dict() -> None:
    stored = {"uri": "a", "pts_ns": 3}
    assert MediaRefFeature().decode_example(stored, token_per_repo_id={}) == MediaRef(uri="a", pts_ns=3)
    assert MediaRefFeature(decode=False).decode_example(stored) is stored


# --- Arrow ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view"])
def test_cast_storage_takes_every_type_of_text(kind: str) -> None:
    array = pa.array(["x", "a", None, "b"], getattr(pa, kind)())
    for storage in (array, array[1:]):
        cast = MediaRefFeature().cast_storage(storage)
        assert cast.type == MediaRefFeature.pa_type
        expected = [None if uri is None else {"uri": uri, "pts_ns": None} for uri in storage.to_pylist()]
        assert cast.to_pylist() == expected


@pytest.mark.parametrize("kind", ["int64", "int32", "uint64", "string", "float64"])
def test_cast_storage_takes_structs_drops_what_is_no_field_and_keeps_nulls(kind: str) -> None:
    fields = {"more": pa.int8(), "pts_ns": getattr(pa, kind)(), "uri": pa.large_string()}
    time = "7" if kind == "string" else 7
    rows = [{"more": 1, "pts_ns": time, "uri": "a"}, None, {"more": 2, "pts_ns": None, "uri": "b"}]
    array = pa.array(rows, pa.struct(fields))
    expected = [{"uri": "a", "pts_ns": 7}, None, {"uri": "b", "pts_ns": None}]
    assert MediaRefFeature().cast_storage(array).to_pylist() == expected
    assert MediaRefFeature().cast_storage(array[1:]).to_pylist() == expected[1:]
    assert MediaRefFeature().cast_storage(pa.array([{"uri": "a"}])).to_pylist() == [{"uri": "a", "pts_ns": None}]


def test_cast_storage_takes_columns_of_nulls_and_of_nothing() -> None:
    assert MediaRefFeature().cast_storage(pa.nulls(3)).to_pylist() == [None] * 3
    assert MediaRefFeature().cast_storage(pa.array([], pa.string())).to_pylist() == []


def test_cast_storage_refuses_other_types() -> None:
    with pytest.raises(ValueError, match="without a field 'uri'"):
        MediaRefFeature().cast_storage(pa.array([{"path": "a"}]))
    with pytest.raises(TypeError, match="cannot read int64"):
        MediaRefFeature().cast_storage(pa.array([1]))
    with pytest.raises(ValueError):
        MediaRefFeature().cast_storage(pa.array([{"uri": "a", "pts_ns": 1.5}]))


# --- datasets -------------------------------------------------------------------------------------------------------


def test_rows_slices_and_columns_are_references() -> None:
    made = dataset()
    assert [row["ref"] for row in made] == REFS
    assert made[1:3]["ref"] == REFS[1:3]
    assert list(made["ref"]) == REFS
    assert dataset(feature=MediaRefFeature(decode=False))[1]["ref"] == ROWS[1]


def test_lists_and_nested_columns(tmp_path: Path) -> None:
    features = datasets.Features({"many": datasets.Sequence(MediaRefFeature()), "deep": {"ref": MediaRefFeature()}})
    made = datasets.Dataset.from_dict({"many": [REFS, []], "deep": [{"ref": REFS[0]}] * 2}, features=features)
    made.save_to_disk(tmp_path / "made")
    for each in (made, datasets.load_from_disk(tmp_path / "made")):
        assert each.features == features
        assert list(each[0]["many"]) == REFS
        assert list(each[1]["many"]) == []
        assert each[0]["deep"]["ref"] == REFS[0]


def test_disk_and_parquet_round_trips_keep_the_feature(tmp_path: Path) -> None:
    made = dataset()
    made.save_to_disk(tmp_path / "made")
    made.to_parquet(tmp_path / "made.parquet")
    loaded = datasets.load_dataset("parquet", data_files=str(tmp_path / "made.parquet"), split="train")
    streamed = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "made.parquet"), split="train", streaming=True
    )
    for each in (datasets.load_from_disk(tmp_path / "made"), loaded, streamed):
        assert [row["ref"] for row in each] == REFS
        assert each.features["ref"] == MediaRefFeature()


def test_map_and_filter_hand_references_in_and_out() -> None:
    made = dataset()

    def under_base(ref: MediaRef | None) -> dict[str, Any]:
        return {"ref": ref and ref.resolve_relative_path("/base").model_dump()}

    moved = made.map(under_base, input_columns="ref", features=made.features)
    assert [row["ref"] and row["ref"].uri for row in moved] == ["/base/a.png", "/base/b.mp4", None, "/base/c.mp4"]
    assert moved.features["ref"] == MediaRefFeature()
    videos = made.filter(lambda ref: ref is not None and ref.is_video, input_columns="ref")
    assert [row["n"] for row in videos] == [1, 3]

    def backwards(refs: list[MediaRef | None]) -> dict[str, Any]:
        return {"ref": [ref and ref.model_dump() for ref in refs[::-1]]}

    batched = made.map(backwards, input_columns="ref", batched=True, features=made.features)
    assert [row["ref"] for row in batched] == REFS[::-1]


@can_store_objects
def test_map_takes_references_themselves_when_told_the_features() -> None:
    made = dataset()
    moved = made.map(lambda row: {"ref": row["ref"] and row["ref"].normalized()}, features=made.features)
    assert [row["ref"] for row in moved] == REFS


def test_a_column_of_strings_is_cast() -> None:
    plain = datasets.Dataset.from_dict({"ref": ["a.png", None]})
    cast = plain.cast_column("ref", MediaRefFeature())
    assert [row["ref"] for row in cast] == [MediaRef(uri="a.png"), None]
    assert cast.cast_column("ref", MediaRefFeature(decode=False))[0]["ref"] == {"uri": "a.png", "pts_ns": None}


def test_flatten_keeps_references_whole_and_takes_stored_ones_apart() -> None:
    assert [row["ref"] for row in dataset().flatten()] == REFS
    flat = dataset(feature=MediaRefFeature(decode=False)).flatten()
    assert sorted(flat.column_names) == ["n", "ref.pts_ns", "ref.uri"]
    assert list(flat["ref.uri"]) == ["a.png", "b.mp4", None, "c.mp4"]
    assert list(flat["ref.pts_ns"]) == [None, 3, None, -(1 << 63)]


def test_arrow_pandas_and_numpy_formats() -> None:
    assert dataset().with_format("arrow")[:]["ref"].to_pylist() == ROWS
    few = dataset(REFS[:3])
    assert few.with_format("pandas")[:]["ref"].tolist() == REFS[:3]
    assert list(few.with_format("numpy")[:]["ref"]) == REFS[:3]


def test_a_time_that_pandas_has_rounded_is_no_time() -> None:
    assert MediaRefFeature().decode_example({"uri": "a", "pts_ns": 3.0}).pts_ns == 3
    with pytest.raises(ValueError, match="lost its last digits"):
        MediaRefFeature().decode_example({"uri": "a", "pts_ns": float(2**62 + 1)})


# --- reading pixels through datasets --------------------------------------------------------------------------------


def frames_of(path: Path) -> Any:
    index = VideoIndex.open(path)
    return dataset([MediaRef(uri=str(path), pts_ns=time) for time in index.pts_ns.tolist()])  # type: ignore[union-attr]


def brightness(refs: list[MediaRef]) -> dict[str, list[float]]:
    assert all(isinstance(ref, MediaRef) for ref in refs)
    return {"mean": [float(frame.mean()) for frame in batch_decode(refs)]}


@pytest.mark.parametrize("num_proc", [None, 2])
def test_map_decodes_a_column_in_processes_of_its_own(clip: Callable[[str], Path], num_proc: int | None) -> None:
    made = frames_of(clip("plain"))
    expected = brightness(made["ref"][:])["mean"]  # the parent has decoded before it forks
    mapped = made.map(brightness, input_columns="ref", batched=True, batch_size=5, num_proc=num_proc)
    assert list(mapped["mean"]) == expected
    assert mapped.features["ref"] == MediaRefFeature()


def test_map_hands_references_between_processes() -> None:
    made = dataset()
    moved = made.map(
        lambda ref, n: {"ref": ref and {**ref.model_dump(), "pts_ns": n}},
        input_columns=["ref", "n"],
        features=made.features,
        num_proc=2,
    )
    assert [row["ref"] and row["ref"].pts_ns for row in moved] == [0, 1, None, 3]


@can_store_objects
def test_streams_are_mapped_filtered_and_shuffled(clip: Callable[[str], Path], tmp_path: Path) -> None:
    made = frames_of(clip("plain"))
    made.to_parquet(tmp_path / "made.parquet")
    loaded = datasets.load_dataset("parquet", data_files=str(tmp_path / "made.parquet"), split="train", streaming=True)
    expected = brightness(made["ref"][:])["mean"]
    for stream in (loaded, made.to_iterable_dataset(num_shards=3)):
        mapped = stream.map(brightness, input_columns="ref", batched=True, batch_size=7)
        assert [row["mean"] for row in mapped] == expected
        late = stream.filter(lambda ref: ref.pts_ns > 500_000_000, input_columns="ref").shuffle(seed=1, buffer_size=8)
        times = [row["ref"].pts_ns for row in late]
        assert sorted(times) == [ref.pts_ns for ref in made["ref"] if ref.pts_ns > 500_000_000]


def test_a_column_of_videos_becomes_references_and_videos_again(clip: Callable[[str], Path]) -> None:
    paths = [str(clip("plain")), str(clip("no_b"))]
    videos = datasets.Dataset.from_dict({"video": paths}).cast_column("video", datasets.Video(decode=False))

    def first_frames(rows: dict[str, Any]) -> dict[str, list[Any]]:
        times = [(video["path"], VideoIndex.open(video["path"]).pts_ns) for video in rows["video"]]
        return {"ref": [{"uri": path, "pts_ns": int(time)} for path, all in times for time in all[:3]]}

    features = datasets.Features({"ref": MediaRefFeature()})
    refs = videos.map(first_frames, batched=True, remove_columns="video", features=features)
    assert [ref.uri for ref in refs["ref"]] == [path for path in paths for _ in range(3)]
    assert len(batch_decode(refs["ref"], allow_multi_video=True)) == 6
    uris = list(dict.fromkeys(ref.uri for ref in refs["ref"]))
    again = datasets.Dataset.from_dict({"video": uris}).cast_column("video", datasets.Video(decode=False))
    assert again[:] == videos[:]


# --- what push_to_hub does to a table before it uploads it --------------------------------------------------------


def test_images_of_this_machine_are_embedded_and_the_rest_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from datasets.table import embed_table_storage

    Image.new("RGB", (4, 3), (9, 8, 7)).save(tmp_path / "still.png")
    path = tmp_path / "still.png"
    kept = [
        MediaRef(uri="https://h/a.png"),
        MediaRef(uri=str(path), pts_ns=5),
        MediaRef(uri="no/such.png"),
        MediaRef(uri=DataURI.from_file(path)),  # type: ignore[arg-type]
        None,
    ]
    made = dataset([MediaRef(uri=str(path)), MediaRef(uri=path.as_uri()), *kept])
    with caplog.at_level(logging.WARNING, logger="mediaref"):
        table = embed_table_storage(made.data.table)
    embedded = [row and MediaRef(**row) for row in table["ref"].to_pylist()]
    assert embedded[2:] == kept
    for ref in embedded[:2]:
        assert ref.uri == DataURI.from_file(path).uri
        assert ref.to_ndarray()[0, 0].tolist() == [9, 8, 7]
    assert "1 to frames of videos, 1 to files that are not there" in caplog.text
    storage = pa.array([{"uri": str(path), "pts_ns": None}], MediaRefFeature.pa_type)
    assert MediaRefFeature().embed_storage(storage, local_files=False) is storage


# --- importing ------------------------------------------------------------------------------------------------------


def test_importing_warns_of_nothing() -> None:
    code = "import mediaref.hf, datasets; print(datasets.Features.from_dict({'a': {'_type': 'MediaRef'}}))"
    shown = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert _SHOWN in shown.stdout
    assert "experimental" not in shown.stderr
