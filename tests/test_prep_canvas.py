"""Canvases and the positions of their patches say the same thing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec_video_prep.bad_frames import is_bad
from codec_video_prep.canvas import PADDING, is_whole, keep_mask, pack_group
from codec_video_prep.geometry import Geometry
from codec_video_prep.grouping import Group
from codec_video_prep.selection import Selection

PATCH = 3


def geometry(rows: int, columns: int, block_size: int = 2) -> Geometry:
    size = (rows * PATCH * block_size, columns * PATCH * block_size)
    return Geometry(size, size, size, PATCH, block_size)


@st.composite
def packings(draw: st.DrawFn) -> tuple[Group, list[np.ndarray], list[int], int, Geometry]:
    shape = geometry(draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.sampled_from([2, 3])))
    images, count = draw(st.integers(1, 4)), draw(st.integers(4, 7))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    frames = [rng.integers(0, 256, (*shape.padded, 3), np.uint8) for _ in range(count)]
    anchor = draw(st.integers(0, 2))
    selection = Selection((images - 1) * shape.block_count)
    for place in range(anchor + 1, count):
        selection.offer(place, rng.random(shape.blocks))
    ids = sorted(rng.choice(100, count, replace=False).tolist())
    return Group(0, 0, count, anchor, "", selection), frames, ids, images, shape


@given(packings())
def test_every_patch_is_where_its_position_says(packing: tuple) -> None:  # type: ignore[type-arg]
    group, frames, ids, images, shape = packing
    canvases, origins = pack_group(group, frames, ids, images, shape)
    assert canvases.shape == (images, *shape.padded, 3)
    assert origins.shape == (images, *shape.patches, 3)
    for image, row, column in np.ndindex(*origins.shape[:3]):
        ours = canvases[image, row * PATCH :, column * PATCH :][:PATCH, :PATCH]
        frame, from_row, from_column = origins[image, row, column]
        if frame == PADDING:
            assert not ours.any()
            assert (from_row, from_column) == (PADDING, PADDING)
        else:
            source = frames[ids.index(frame)][from_row * PATCH :, from_column * PATCH :][:PATCH, :PATCH]
            assert (ours == source).all()


@given(packings())
def test_the_anchor_is_whole_and_blocks_follow_in_order(packing: tuple) -> None:  # type: ignore[type-arg]
    group, frames, ids, images, shape = packing
    canvases, origins = pack_group(group, frames, ids, images, shape)
    assert (canvases[0] == frames[group.anchor]).all()
    side = shape.block_size
    corners = origins[:, ::side, ::side].reshape(-1, 3)  # each block's first patch, in block raster order
    others = corners[shape.block_count :]
    others = others[others[:, 0] != PADDING]
    assert others.tolist() == sorted(others.tolist())
    assert len(others) == len(group.selection.scores)
    for image in range(images):  # the patches of a block stay together
        blocks = origins[image].reshape(shape.blocks[0], side, shape.blocks[1], side, 3)
        for row, column in np.ndindex(side, side):
            offset = np.where(blocks[:, 0, :, 0] == PADDING, 0, (0, row, column))
            assert (blocks[:, row, :, column] == blocks[:, 0, :, 0] + offset).all()


@given(packings())
def test_padding_is_whole_canvases(packing: tuple) -> None:  # type: ignore[type-arg]
    group, frames, ids, images, shape = packing
    assert is_whole(pack_group(group, frames, ids, images, shape)[1])


def test_a_canvas_that_is_half_padding_is_noticed() -> None:
    origins = np.zeros((2, 4, 4, 3), np.int32)
    assert is_whole(origins)
    origins[1] = PADDING
    assert is_whole(origins)
    origins[1, 0, 0] = 0
    assert not is_whole(origins)


@given(packings())
def test_the_mask_shows_what_the_canvases_hold(packing: tuple) -> None:  # type: ignore[type-arg]
    group, frames, ids, images, shape = packing
    _, origins = pack_group(group, frames, ids, images, shape)
    for place, frame_id in enumerate(ids):
        kept = np.zeros(shape.patches, np.bool_)
        for _, row, column in origins.reshape(-1, 3)[origins.reshape(-1, 3)[:, 0] == frame_id]:
            kept[row, column] = True
        assert (keep_mask(group, place, shape)[::PATCH, ::PATCH] == kept).all()


def picture(red: int, green: int, blue: int, noise: int = 0, share: float = 1.0) -> np.ndarray:
    """A plain picture with noise, of which only the upper `share` is of this colour and the rest a gradient."""
    rng = np.random.default_rng(0)
    frame = np.linspace(0, 255, 100 * 100 * 3).reshape(100, 100, 3)
    rows = round(100 * share)
    frame[:rows] = np.array([red, green, blue]) + rng.integers(-noise, noise + 1, (rows, 100, 3))
    return np.clip(frame, 0, 255).astype(np.uint8)


def grey(*levels: int) -> np.ndarray:
    """A grey picture whose pixels take these levels in turn, the first one for most."""
    row = np.full(100, levels[0], np.uint8)
    row[: len(levels)] = levels
    return np.broadcast_to(row[:, None], (100, 100, 3)).copy()


@pytest.mark.parametrize(
    ("frame", "bad"),
    [
        pytest.param(picture(5, 5, 5, noise=9), True, id="dark, in a wider range than flat"),
        pytest.param(picture(0, 0, 0, share=0.97), False, id="black with one bright line"),
        pytest.param(grey(100, 112), True, id="flat to the limit"),
        pytest.param(grey(100, 113), False, id="a line that stands out"),
        pytest.param(grey(100, *[112] * 50), False, id="two greys, half each"),
        pytest.param(picture(0, 0, 0), True, id="black"),
        pytest.param(picture(5, 5, 5, noise=5), True, id="dark noise"),
        pytest.param(picture(12, 12, 12, noise=12), False, id="dim, and something is there"),
        pytest.param(picture(0, 0, 0, share=0.9), False, id="black with something bright"),
        pytest.param(picture(128, 128, 128), True, id="grey"),
        pytest.param(picture(200, 30, 90, noise=5), True, id="one colour"),
        pytest.param(picture(200, 30, 90, noise=7), False, id="one colour, range too wide"),
        pytest.param(picture(0, 200, 0, noise=20, share=0.36), True, id="a third green"),
        pytest.param(picture(0, 200, 0, noise=20, share=0.34), False, id="less green"),
        pytest.param(picture(60, 150, 60, noise=20), True, id="all greenish"),
        pytest.param(picture(80, 150, 60, noise=20), False, id="a meadow"),
        pytest.param(picture(128, 128, 128, noise=60), False, id="texture"),
    ],
)
def test_frames_that_show_nothing_are_found(frame: np.ndarray, bad: bool) -> None:
    assert is_bad(frame) == bad


def is_bad_by_definition(frame: np.ndarray) -> bool:
    red, green, blue = np.moveaxis(frame.astype(np.float64), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    channels = (red, green, blue)
    black = luma.mean() <= 8 and luma.std() <= 6
    flat = luma.std() <= 4 and all(c.std() <= 4 and c.max() - c.min() <= 12 for c in channels)
    pure = ((green >= 180) & (red <= 90) & (blue <= 90)).mean() >= 0.35
    tinted = green.mean() > 120 and green.mean() - max(red.mean(), blue.mean()) > 80 and green.std() < 50
    return bool(black or flat or pure or tinted)


@given(
    st.tuples(*[st.integers(0, 255)] * 3),
    st.tuples(*[st.integers(0, 255)] * 3),
    st.sampled_from([0, 1, 6, 13, 60]),
    st.floats(0, 1),
    st.tuples(st.integers(1, 600), st.integers(1, 40)),
)
def test_bad_frames_are_those_of_the_definition(
    front: tuple[int, ...], back: tuple[int, ...], noise: int, share: float, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(len(front) + noise)
    frame = np.where(rng.random(size)[..., None] < share, front, back) + rng.integers(-noise, noise + 1, (*size, 3))
    frame = np.clip(frame, 0, 255).astype(np.uint8)
    assert is_bad(frame) == is_bad_by_definition(frame)
