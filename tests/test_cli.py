"""The `mediaref` command."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mediaref import DataURI, MediaRef
from mediaref.cli import doctor, hf_feature, main, refs
from mediaref.cli.bitcost import picture
from mediaref.errors import InvalidReferenceError
from mediaref.video_decoder import VideoIndex

Clip = Callable[[str], Path]
Capture = pytest.CaptureFixture[str]


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mediaref", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


# --- usage --------------------------------------------------------------------------------------------------------


def test_version_and_wrong_usage(capsys: Capture) -> None:
    assert command("--version").stdout.startswith("mediaref ")
    for wrong in ([], ["dekode"], ["decode", "a.png"], ["inspect", "a", "--jso"]):
        with pytest.raises(SystemExit) as stopped:
            main(wrong)
        assert stopped.value.code == 2
    assert "usage: mediaref" in capsys.readouterr().err


def test_errors_are_one_line_and_status_1(capsys: Capture, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.mp4")
    taken = tmp_path / "taken"
    taken.touch()
    for arguments in (
        ["inspect", missing],
        ["bitcost", f"{missing}@0s", "-o", str(tmp_path / "a.png")],
        ["decode", "{}", "-o", str(tmp_path)],
        ["decode", "data:,x", "-o", str(taken)],
    ):
        assert main(arguments) == 1
        told = capsys.readouterr()
        assert told.err.startswith("mediaref: ")
        assert told.err.count("\n") == 1
        assert not told.out


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("a.png", MediaRef(uri="a.png")),
        ("a.mp4@1.5s", MediaRef(uri="a.mp4", pts_ns=1_500_000_000)),
        ("a.mp4@40ms", MediaRef(uri="a.mp4", pts_ns=40_000_000)),
        ("a.mp4@1234567890123456789ns", MediaRef(uri="a.mp4", pts_ns=1234567890123456789)),
        ("a.mp4@0.0333333333333333s", MediaRef(uri="a.mp4", pts_ns=33333333)),
        ("s3://me@host/a.mp4@2us", MediaRef(uri="s3://me@host/a.mp4", pts_ns=2000)),
        ("me@host.png", MediaRef(uri="me@host.png")),
        ("a.mp4@5", MediaRef(uri="a.mp4@5")),
        ('{"uri": "a@1s", "pts_ns": 7}', MediaRef(uri="a@1s", pts_ns=7)),
    ],
)
def test_references_on_the_command_line(text: str, ref: MediaRef) -> None:
    assert refs.parse(text) == ref


def test_json_that_is_no_reference_is_named() -> None:
    with pytest.raises(InvalidReferenceError, match="pts_ns"):
        refs.parse('{"uri": "a", "pts_ns": "soon"}')


# --- inspect --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "open_gop", "with_audio", "variable_rate", "raw", "mpeg4"])
def test_inspect_tells_what_the_index_knows(clip: Clip, capsys: Capture, name: str) -> None:
    index = VideoIndex.open(clip(name))
    assert main(["inspect", str(clip(name)), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["video"]["codec"] == index.codec
    assert [row["pts_ns"] for row in told["frames"]] == (
        [None] * len(index) if index.pts_ns is None else index.pts_ns.tolist()
    )
    assert [row["key"] for row in told["frames"]] == index.is_key.tolist()
    assert [stream["type"] for stream in told["streams"] if stream["read"]] == ["video"]
    assert len(told["streams"]) == (2 if name == "with_audio" else 1)
    gops = told["gops"]
    assert sum(gop["frames"] for gop in gops) == len(index)
    assert sum(gop["bytes"] for gop in gops) == index.packet_bytes.sum()
    assert [gop["first_frame"] for gop in gops] == np.flatnonzero(index.is_key).tolist()


def test_inspect_shows_tables(clip: Clip, capsys: Capture) -> None:
    assert main(["inspect", str(clip("with_audio"))]) == 0
    short = capsys.readouterr().out
    assert "groups of pictures" in short
    assert "aac" in short
    assert main(["inspect", str(clip("with_audio")), "--frames"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(short.splitlines()) + 24 + 3


# --- decode ---------------------------------------------------------------------------------------------------------


def test_a_reader_that_has_seen_enough_is_no_error(clip: Clip) -> None:
    nobody_reads, stdout = os.pipe()
    os.close(nobody_reads)
    video = str(clip("with_audio"))
    with os.fdopen(stdout, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "mediaref", "inspect", video], stdout=pipe, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_decode_writes_the_pixels_of_every_reference(clip: Clip, capsys: Capture, tmp_path: Path) -> None:
    Image.new("RGB", (5, 4), (1, 2, 3)).save(tmp_path / "still life.png")
    embedded = DataURI.from_file(tmp_path / "still life.png").uri
    texts = [f"{clip('plain')}@0.2s", str(tmp_path / "still life.png"), embedded, f"{clip('plain')}@100ms"]
    assert main(["decode", *texts, "-o", str(tmp_path / "new" / "out")]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in paths] == [
        "000000_plain_200000000ns.png",
        "000001_still_life.png",
        "000002_embedded.png",
        "000003_plain_100000000ns.png",
    ]
    assert sorted(paths) == sorted((tmp_path / "new" / "out").iterdir())
    for path, text in zip(paths, texts, strict=True):
        np.testing.assert_array_equal(MediaRef(uri=path).to_ndarray(), refs.parse(text).to_ndarray())  # type: ignore[arg-type]


def test_decode_takes_references_from_stdin_and_goes_on_after_a_bad_one(
    clip: Clip, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [MediaRef(uri=str(clip("plain")), pts_ns=10**8).model_dump_json(), "", f"{clip('plain')}@99s", "no.png"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    assert main(["decode", "-", f"{clip('plain')}@0s", "-o", str(tmp_path), "--format", "jpeg"]) == 1
    told = capsys.readouterr()
    assert [Path(line).name[:6] for line in told.out.splitlines()] == ["000000", "000003"]
    assert "2 of 4 references could not be read" in told.err
    assert {path.suffix for path in tmp_path.iterdir()} == {".jpeg"}


# --- bitcost --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "odd_size", "rotated", "vp9"])
def test_bitcost_draws_a_map_of_the_frame(clip: Clip, capsys: Capture, tmp_path: Path, name: str) -> None:
    ref = MediaRef(uri=str(clip(name)), pts_ns=10**8)
    assert main(["bitcost", ref.model_dump_json(), "-o", str(tmp_path / "map.png")]) == 0
    told = capsys.readouterr().out
    cost = ref.to_bit_cost()
    assert f"{cost.packet_bits} bits: {cost.bits.sum()} in blocks, {cost.overhead_bits}" in told
    drawn = MediaRef(uri=str(tmp_path / "map.png")).to_ndarray()
    assert drawn.shape == ref.to_ndarray().shape
    light = drawn.astype(int).sum(axis=2)
    cells = cost.cells.repeat(4, axis=0).repeat(4, axis=1)[: cost.height, : cost.width]
    assert (np.diff(light.ravel()[np.argsort(cells, axis=None)]) >= -2).all(), "more bits are darker than by rounding"
    assert light.min() < light.max() / 3
    assert drawn.reshape(-1, 3)[cells.argmax()].tolist() == [255, 250, 190]
    np.testing.assert_array_equal(drawn, picture(cost))


def test_bitcost_of_an_image_or_an_unread_codec_says_so(clip: Clip, capsys: Capture, tmp_path: Path) -> None:
    for text, words in ((str(clip("plain")), "no pts_ns"), (f"{clip('mpeg4')}@0s", "mpeg4")):
        assert main(["bitcost", text, "-o", str(tmp_path / "map.png")]) == 1
        assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# --- doctor ---------------------------------------------------------------------------------------------------------


def test_doctor_finds_this_installation_well(capsys: Capture) -> None:
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) == len(doctor.CHECKS) + 1
    assert told[-1] == "all is well"


def test_doctor_says_what_is_wrong(capsys: Capture) -> None:
    def broken() -> str:
        raise ImportError("no such library")

    assert doctor.run({"good": lambda: "yes", "bad": broken}) == 1
    assert "good: OK (yes)\nbad: FAIL (ImportError: no such library)" in capsys.readouterr().out


# --- status, enable-hf-feature, disable-hf-feature ------------------------------------------------------------------


@given(text=st.text(alphabet="x\n\r# ="))
def test_taking_the_block_back_gives_the_text_byte_for_byte(text: str) -> None:
    patched = hf_feature.apply_patch(text)
    assert hf_feature.is_enabled(patched)
    assert not hf_feature.is_enabled(text)
    assert hf_feature.apply_patch(patched) == patched
    assert hf_feature.remove_patch(patched) == text
    assert hf_feature.remove_patch(text) == text


def test_a_block_that_1_1_wrote_is_known() -> None:
    compile(hf_feature.apply_patch("x = 1"), "features.py", "exec")
    theirs = (
        "x = 1\n\n# === BEGIN: mediaref auto-registration ===\nanything\n# === END: mediaref auto-registration ===\n"
    )
    assert hf_feature.is_enabled(theirs)
    assert hf_feature.remove_patch(theirs) == "x = 1\n"


@pytest.fixture
def features_file(tmp_path: Path) -> Path:
    path = tmp_path / "site" / "datasets" / "features" / "features.py"
    path.parent.mkdir(parents=True)
    (path.parent.parent / "__init__.py").write_text("raise ImportError('finding datasets must not import it')\n")
    path.write_bytes("ä = 1\r\n".encode())
    path.chmod(0o640)
    return path


def test_enable_and_disable_touch_no_other_name_of_the_file(features_file: Path) -> None:
    site = str(features_file.parents[2])
    shared = features_file.parents[3] / "cache.py"
    shared.hardlink_to(features_file)
    before = shared.read_bytes()

    def ask(*arguments: str) -> str:
        done = command(*arguments, PYTHONPATH=os.pathsep.join([site, os.environ.get("PYTHONPATH", "")]))
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert ask("status").startswith("disabled")
    assert ask("disable-hf-feature").startswith("Already disabled")
    assert ask("enable-hf-feature", "--dry-run").startswith("Would be enabled")
    assert features_file.read_bytes() == before
    assert ask("enable-hf-feature").startswith("Enabled")
    assert ask("enable-hf-feature").startswith("Already enabled")
    assert json.loads(ask("status", "--json")) == {"enabled": True, "features_file": str(features_file)}
    assert shared.read_bytes() == before
    assert features_file.stat().st_mode & 0o777 == 0o640
    assert ask("disable-hf-feature").startswith("Disabled")
    assert features_file.read_bytes() == before
    assert [path.name for path in features_file.parent.iterdir() if path.suffix != ".pyc"] == ["features.py"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_status_1(features_file: Path) -> None:
    features_file.parent.chmod(0o555)
    done = command("enable-hf-feature", PYTHONPATH=str(features_file.parents[2]))
    features_file.parent.chmod(0o755)
    assert done.returncode == 1
    assert "Permission denied" in done.stderr


@pytest.mark.skipif(find_spec("datasets") is None, reason="datasets is not installed (pip install 'mediaref[hf]')")
def test_once_enabled_datasets_knows_the_feature_by_itself(tmp_path: Path) -> None:
    spec = find_spec("datasets")
    assert spec is not None
    assert spec.submodule_search_locations
    shutil.copytree(spec.submodule_search_locations[0], tmp_path / "datasets")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    assert command("enable-hf-feature", PYTHONPATH=path).returncode == 0
    for first in ("datasets", "mediaref.hf", "datasets.features.features"):
        code = f"import {first}, datasets; print(datasets.Features.from_dict({{'a': {{'_type': 'MediaRef'}}}}))"
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
        assert "MediaRefFeature(decode=True)" in done.stdout, done.stderr
