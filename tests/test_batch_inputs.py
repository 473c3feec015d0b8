"""Which videos a batch is over, what they are called, and which run of several takes which."""

from __future__ import annotations

from pathlib import Path

import pytest

from codec_video_prep.batch import list_videos
from codec_video_prep.batch.job import Video, plan_parts
from codec_video_prep.config import OptionError
from mediaref.errors import InvalidReferenceError, MediaNotFoundError

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with files that are called videos; nothing looks into them here."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in [*(f"clip{number}.mp4" for number in range(7)), "bad.mp4", "notes.md"]:
        (folder / name).write_bytes(b"")
    return folder


def test_videos_are_found_in_folders_patterns_lists_and_tables(clips: Path, tmp_path: Path) -> None:
    every = [str(clips / "bad.mp4"), *(str(clips / f"clip{number}.mp4") for number in range(7))]
    (tmp_path / "list.txt").write_text(f"# clips\n{every[1]}\n\n  {every[2]}  \n")
    pq.write_table(pa.table({"n": [1, 2, 3], "uri": [every[3], every[3], None]}), tmp_path / "flat.parquet")
    refs = pa.array([{"uri": every[4], "pts_ns": time} for time in (0, 5)])
    pq.write_table(pa.table({"frame": refs}), tmp_path / "refs.parquet")
    assert list_videos([str(clips)]) == every
    assert list_videos([str(clips / "clip[12].mp4")]) == every[2:4]
    assert list_videos([f"file://{clips}/clip1.mp4"]) == [f"file://{clips}/clip1.mp4"]
    assert list_videos([str(tmp_path / "list.txt")]) == every[1:3]
    assert list_videos([str(tmp_path / "flat.parquet")]) == [every[3]]
    assert list_videos([str(tmp_path / "refs.parquet")], column="frame") == [every[4]]
    assert list_videos([every[2], str(clips), every[2]]) == [every[2], *every[:2], *every[3:]]


def test_remote_patterns_keep_their_scheme() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/batch/a.mp4", b"a")
    memory.pipe_file("/batch/list.txt", b"memory://batch/a.mp4\n")
    try:
        assert list_videos(["memory://batch/*.mp4"]) == ["memory:///batch/a.mp4"]
        assert list_videos(["memory://batch/list.txt"]) == ["memory://batch/a.mp4"]
    finally:
        memory.rm("/batch", recursive=True)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["missing.mp4"], "missing.mp4"),
        (["nothing/*.mp4"], "matches no file"),
        (["missing.txt"], "missing.txt"),
        ([], "no input"),
    ],
)
def test_an_input_that_names_nothing_is_an_error(
    given: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((MediaNotFoundError, InvalidReferenceError), match=named):
        list_videos(given)


def test_a_table_without_the_column_names_those_it_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"caption": ["a"], "n": [1]}), tmp_path / "table.parquet")
    with pytest.raises(InvalidReferenceError, match="caption, n"):
        list_videos([str(tmp_path / "table.parquet")])
    with pytest.raises(InvalidReferenceError, match="neither text"):
        list_videos([str(tmp_path / "table.parquet")], column="n")
    (tmp_path / "text.parquet").write_text("not a table")
    with pytest.raises(InvalidReferenceError, match="no table"):
        list_videos([str(tmp_path / "text.parquet")])


def test_keys_tell_videos_apart_and_have_no_dots() -> None:
    uris = [
        "a/clip.one.mp4",
        "b/clip.one.mp4",
        "s3://bucket/clip.one.mp4?version=2",
        "data:video/mp4;base64,AAAA",
        ".mp4",
    ]
    keys = [Video.of(uri).key for uri in uris]
    assert len(set(keys)) == 5
    assert all("." not in key and "/" not in key for key in keys)
    assert keys[0].startswith("clip_one-")


def test_shards_share_the_parts_out() -> None:
    uris = [f"{number}.mp4" for number in range(23)]
    shares = [plan_parts(uris, 4, 3, shard) for shard in range(3)]
    together = sorted((part for share in shares for part in share), key=lambda part: part.number)
    assert [video.uri for part in together for video in part.videos] == uris
    assert together == plan_parts(uris, 4, 1, 0)
    for wrong in ((4, 3, 3), (4, 0, 0), (0, 1, 0), (4, 3, -1)):
        with pytest.raises(OptionError):
            plan_parts(uris, *wrong)
