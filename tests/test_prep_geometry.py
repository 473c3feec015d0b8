"""The size of a prepared frame. The expected sizes were seen in the original's output."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec_video_prep.config import MIN_PIXELS, OptionError, PreinferConfig
from codec_video_prep.geometry import resolve_geometry


def config(**options: object) -> PreinferConfig:
    return PreinferConfig(video="a.mp4", out_dir="out", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("width", "height", "options", "padded"),
    [
        (176, 144, {}, (140, 168)),
        (352, 288, {"max_pixels": 40000, "block_size": 3}, (168, 210)),
        (352, 288, {}, (280, 364)),
        (100, 40, {}, (28, 112)),
        (40, 30, {}, (56, 84)),
        (30, 40, {}, (84, 56)),
        (30, 200, {}, (196, 28)),
        (1200, 30, {}, (28, 1204)),
        (640, 360, {}, (280, 504)),
        (390, 390, {}, (392, 392)),
        (406, 378, {}, (392, 392)),
        (800, 32, {"max_pixels": 20000}, (28, 700)),
        (640, 272, {}, (252, 588)),
        (340, 256, {}, (252, 336)),
        (340, 256, {"max_pixels": 40000, "block_size": 3}, (168, 210)),
    ],
)
def test_sizes_are_the_originals(width: int, height: int, options: dict[str, int], padded: tuple[int, int]) -> None:
    assert resolve_geometry(height, width, config(**options)).padded == padded


def test_without_max_pixels_the_longer_side_decides() -> None:
    assert resolve_geometry(720, 1280, config(max_pixels=0)).padded == (336, 616)
    assert resolve_geometry(100, 120, config(max_pixels=0)).padded == (112, 112)


def test_no_resize_pads_at_the_bottom_and_the_right() -> None:
    geometry = resolve_geometry(50, 90, config(no_resize=True))
    assert (geometry.resized, geometry.padded) == ((50, 90), (56, 112))
    frame = geometry.pad(np.full((50, 90, 3), 7, np.uint8))
    assert frame.shape == (56, 112, 3)
    assert (frame[:50, :90] == 7).all()
    assert frame.sum() == 7 * 50 * 90 * 3


def test_a_strip_is_refused() -> None:
    resolve_geometry(2, 400, config())
    with pytest.raises(OptionError, match="402x2"):
        resolve_geometry(2, 402, config())


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([2, 3]), st.sampled_from([0, 20_000, 153_664]))
def test_prepared_frames_are_whole_blocks_within_the_limits(
    height: int, width: int, block_size: int, max_pixels: int
) -> None:
    if max(height, width) > 200 * min(height, width):
        return
    made = config(block_size=block_size, max_pixels=max_pixels)
    geometry = resolve_geometry(height, width, made)
    rows, columns = geometry.padded
    assert rows % made.factor == columns % made.factor == 0
    assert geometry.blocks == (rows // made.factor, columns // made.factor)
    assert geometry.block_count * block_size**2 == geometry.patches[0] * geometry.patches[1]
    if max_pixels:
        # A side is at least one block, which a very long strip pays for with its area.
        assert rows * columns <= max_pixels or made.factor in geometry.padded
        assert rows * columns >= MIN_PIXELS or height * width > max_pixels
