"""Whatever a file or a reference holds: a result or an error of ours, in bounded time, with nothing left behind."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from clips import make_clip
from damaged_videos import Report, compare_many, damaged, explore, explore_many, sound_files
from hypothesis import given
from hypothesis import strategies as st

from mediaref import DataURI, MediaRef
from mediaref.errors import MediaRefError, UnsupportedBitstreamError

FILES = 160


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.CRITICAL, "mediaref"):
        yield


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sound_files(tmp_path_factory.mktemp("sound"))


def test_sound_files_pass_all_calls(sound: list[Path], tmp_path: Path) -> None:
    """Otherwise the damaged ones would prove little."""
    report = Report()
    for path in sound:
        explore(path, report, prepare=path.suffix == ".mp4")
    assert report.faults == []
    assert {outcome for outcome in report.outcomes if "result" not in outcome} <= {
        "read_bit_costs: UnsupportedBitstreamError",
        "run_preinfer: UnsupportedBitstreamError",
    }


def test_damaged_videos_give_results_or_errors_of_ours(sound: list[Path], tmp_path: Path) -> None:
    report = explore_many(range(FILES), sound, tmp_path, every_prepared=8)
    assert report.faults == []
    assert list(tmp_path.iterdir()) == []
    reached = sum(count for outcome, count in report.outcomes.items() if outcome.endswith("result"))
    assert reached > FILES  # the damage leaves most files alive enough to be read into


def test_damaged_videos_are_indexed_over_http_as_from_the_disk(sound: list[Path], tmp_path: Path) -> None:
    report = compare_many(range(FILES // 2), sound, tmp_path)
    assert report.faults == []
    assert report.outcomes["VideoIndex over HTTP: result"] > FILES // 4


def test_colours_that_cannot_be_turned_into_rgb_are_an_error_of_ours(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48), options={"x264-params": "colormatrix=YCgCo"})
    with pytest.raises(UnsupportedBitstreamError, match="into RGB"):
        MediaRef(uri=str(path), pts_ns=0).to_ndarray()


def test_an_error_that_is_not_ours_is_reported() -> None:
    report = Report()
    report.call("a file", "a call", lambda: [][0])
    assert "IndexError" in report.faults[0]


def test_damage_depends_on_the_seed_alone(sound: list[Path]) -> None:
    content = sound[0].read_bytes()
    assert damaged(content, ".mp4", random.Random(7)) == damaged(content, ".mp4", random.Random(7)) != content


_PIECES = ["data:", "image/png", "text/plain", ";base64", ";charset=utf-8", ",", "AAAA", "=", "%20", "%", "+", " ", "é"]


@given(st.text(max_size=60) | st.lists(st.sampled_from(_PIECES), max_size=8).map("".join).map("data:".__add__))
def test_any_text_is_a_data_uri_or_an_error_of_ours(text: str) -> None:
    try:
        uri = DataURI.from_uri(text)
        assert DataURI.from_uri(str(uri)).decoded_data == uri.decoded_data
    except MediaRefError:
        pass


@given(st.text(max_size=40), st.none() | st.integers())
def test_any_uri_and_time_is_a_reference_or_a_value_error(uri: str, pts_ns: int | None) -> None:
    try:
        ref = MediaRef(uri=uri, pts_ns=pts_ns)
    except ValueError:
        return
    assert MediaRef.model_validate_json(ref.model_dump_json()) == ref
