"""Options: what they take, what they refuse, and what makes two runs the same."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from codec_video_prep.config import CHOICES, FLAGS, WITHOUT_EFFECT, OptionError, PreinferConfig
from mediaref.errors import MediaRefError


def config(**options: object) -> PreinferConfig:
    return PreinferConfig(**{"video": "a.mp4", "out_dir": "out", **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_an_unknown_word_names_the_option_and_its_choices(name: str) -> None:
    with pytest.raises(OptionError) as caught:
        config(**{name: "nonsense"})
    for word in (name, "nonsense", *CHOICES[name]):
        assert word in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, MediaRefError)


@pytest.mark.parametrize(("name", "choice"), [(name, choice) for name in CHOICES for choice in CHOICES[name]])
def test_every_choice_is_taken(name: str, choice: str) -> None:
    assert getattr(config(**{name: choice}), name) == choice


def test_the_name_that_the_original_command_gives_packet_peaks_is_taken() -> None:
    assert config(frame_sampling_mode="pkt_peak").frame_sampling_mode == "pkt_size_peak"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_sampled_frames", 0),
        ("num_sampled_frames", 10_000_001),
        ("num_sampled_frames", 1.5),
        ("num_sampled_frames", "8"),
        ("num_sampled_frames", True),
        ("num_sampled_frames", None),
        ("num_sampled_frames", float("nan")),
        ("images_per_group", 0),
        ("patch", -14),
        ("patch", 1025),
        ("block_size", 1),
        ("block_size", 4),
        ("max_pixels", -1),
        ("max_pixels", 3135),
        ("bitcost_pct", 100.5),
        ("iframe_score_clip_percentile", -1),
        ("sample_fps", float("inf")),
        ("readiness_delta_ratio", float("nan")),
        ("avoid_keyframes", "no"),
        ("out_dir", ""),
        ("out_dir", "s3://bucket/out"),
        ("video", 7),
    ],
)
def test_a_value_out_of_range_names_the_option(name: str, value: object) -> None:
    with pytest.raises(OptionError, match=f"^{name}="):
        config(**{name: value})


@pytest.mark.parametrize(
    "options",
    [
        {"frame_sampling_mode": "fps", "sample_fps": 0},
        {"frame_sampling_mode": "pkt_peak", "sample_fps": 0},
        {"min_group_frames": 20, "max_group_frames": 10},
        {"grouping_mode": "fixed", "group_size": 3},
        {"patch": 64, "max_pixels": 10_000},
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        config(**options)


def test_numbers_of_numpy_and_paths_become_plain_values(tmp_path: object) -> None:
    made = config(num_sampled_frames=np.int64(5), sample_fps=np.float32(2.0), out_dir=tmp_path)
    assert type(made.num_sampled_frames) is int
    assert type(made.sample_fps) is float
    assert made.out_dir == str(tmp_path)


def test_the_hash_changes_with_every_option_that_changes_the_result_and_no_other() -> None:
    others = {"max_dim": 600, "max_pixels": 0, "patch": 16, "block_size": 3, "min_group_frames": 9}
    for field in dataclasses.fields(PreinferConfig):
        before = getattr(config(), field.name)
        if field.name in FLAGS:
            after: object = not before
        elif field.name in CHOICES:
            after = next(choice for choice in CHOICES[field.name] if choice != before)
        elif isinstance(before, str):
            after = before + "x"
        else:
            after = others.get(field.name, before + 1 if before < 99 or before > 100 else before - 1)
        same = config(**{field.name: after}).config_hash == config().config_hash
        assert same == (field.name in WITHOUT_EFFECT), field.name


def test_positional_arguments_keep_the_original_order() -> None:
    names = [field.name for field in dataclasses.fields(PreinferConfig)]
    assert names[:6] == ["video", "out_dir", "num_sampled_frames", "group_size", "images_per_group", "patch"]
    assert names[6:10] == ["max_pixels", "block_size", "min_group_frames", "max_group_frames"]
