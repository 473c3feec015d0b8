"""The score of a block is the sum of a full-size map, without the map."""

from __future__ import annotations

import numpy as np
import pytest
from clips import make_clip, set_rotation
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from codec_video_prep.config import PreinferConfig
from codec_video_prep.geometry import resolve_geometry
from codec_video_prep.scoring import (
    BlockScorer,
    Spread,
    count_matrix,
    normalise_costs,
    percentile_of,
    pixel_cells,
    weighted_percentile,
)
from mediaref.bitcost import BitCost, read_bit_costs


@st.composite
def layouts(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, int], tuple[int, int], int, int, tuple[int, int]]:
    """A grid of scores, the picture's size in the grid's samples, its prepared size, cell and block sides, a crop."""
    source = draw(st.tuples(st.integers(1, 70), st.integers(1, 70)))
    resized = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    unit = draw(st.sampled_from([4, 16, 64]))
    side = draw(st.integers(1, 28))
    crop = draw(st.tuples(st.integers(0, 20), st.integers(0, 20)))
    shape = tuple(-(-(length + offset) // unit) for length, offset in zip(source, crop, strict=True))
    grid = draw(hnp.arrays(np.float64, shape, elements=st.floats(0, 1, width=16)))
    return grid, source, resized, unit, side, crop


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.floats(0, 100))
def test_the_percentile_is_numpys(values: list[float], q: float) -> None:
    assert percentile_of(np.array(values), q) == np.percentile(values, q)


@given(layouts())
@settings(max_examples=200)
def test_block_scores_equal_those_of_the_full_size_map(layout: tuple) -> None:  # type: ignore[type-arg]
    grid, source, resized, unit, side, crop = layout
    blocks = tuple(-(-length // side) for length in resized)
    cells = [pixel_cells(resized[axis], source[axis], unit, crop[axis]) for axis in (0, 1)]
    spread = Spread(*(count_matrix(cells[axis], grid.shape[axis], side, blocks[axis]) for axis in (0, 1)))

    naive = np.zeros((blocks[0] * side, blocks[1] * side))
    for y in range(resized[0]):
        for x in range(resized[1]):
            row = int((y + 0.5) * source[0] / resized[0] + crop[0]) // unit
            column = int((x + 0.5) * source[1] / resized[1] + crop[1]) // unit
            naive[y, x] = grid[row, column]
    expected = naive.reshape(blocks[0], side, blocks[1], side).sum((1, 3))

    assert spread.block_scores(grid) == pytest.approx(expected, abs=1e-9)
    assert spread.pixels.sum() == resized[0] * resized[1]


def test_the_percentile_becomes_one_and_nothing_is_above() -> None:
    costs = np.arange(10_000, dtype=np.uint32).reshape(100, 100)
    scores = normalise_costs(costs, 99.0, log_scale=False)
    assert scores.max() == 1.0
    assert (scores == 1.0).mean() == pytest.approx(0.01)
    assert scores[0, 50] == pytest.approx(50 / (0.99 * 9999))


def test_logarithms_are_taken_first() -> None:
    costs = np.array([[0, 9, 99]])
    assert normalise_costs(costs, 100.0, log_scale=True) == pytest.approx(np.log1p(costs) / np.log(100))


def test_a_frame_that_is_all_but_copied_still_tells_what_changed() -> None:
    costs = np.zeros((40, 40))
    costs[3, 4], costs[5, 6] = 15, 3
    scores = normalise_costs(costs, 99.0, log_scale=True)
    assert scores[3, 4] == 1.0
    assert scores[5, 6] == pytest.approx(0.5)
    assert np.count_nonzero(scores) == 2


def test_a_frame_without_bits_scores_nothing() -> None:
    assert not normalise_costs(np.zeros((3, 3)), 99.0, log_scale=True).any()


@given(
    st.lists(st.tuples(st.floats(0, 1, width=16), st.integers(0, 4)), min_size=1, max_size=20).filter(
        lambda pairs: any(weight for _, weight in pairs)
    ),
    st.floats(0, 100),
)
def test_weighted_percentile_is_numpys_of_the_repeated_values(pairs: list[tuple[float, int]], q: float) -> None:
    values, weights = np.array([v for v, _ in pairs]), np.array([w for _, w in pairs])
    half = len(values) // 2
    ours = weighted_percentile([values[:half], values[half:]], [weights[:half], weights[half:]], q)
    assert ours == pytest.approx(np.percentile(np.repeat(values, weights), q), abs=1e-9)


@pytest.fixture(scope="module", params=[0, 90, 180, 270])
def turned_costs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[BitCost]:
    """Costs of a clip that is cropped at the right and the bottom, turned: then the crop lies elsewhere."""
    path = make_clip(tmp_path_factory.mktemp("turned") / "clip.mp4", frames=8, size=(150, 86))
    set_rotation(path, request.param)
    return read_bit_costs(path)


def full_map(cost: BitCost, grid: str, shape: tuple[int, int]) -> np.ndarray:
    """Scores of a frame as one full-size map, from the sample under each pixel's centre."""
    costs, unit, (left, top) = (cost.cells, 4, (0, 0)) if grid == "sub" else (cost.bits, cost.unit, cost.origin)
    scores = np.log1p(costs.astype(np.float64))
    scores = np.minimum(scores / np.percentile(scores, 99), 1.0)
    rows = ((np.arange(shape[0]) + 0.5) * cost.height / shape[0] + top).astype(int) // unit
    columns = ((np.arange(shape[1]) + 0.5) * cost.width / shape[1] + left).astype(int) // unit
    picked: np.ndarray = scores[rows][:, columns]
    return picked


@pytest.mark.parametrize("grid", ["adaptive", "sub", "mb", "ctu"])
@pytest.mark.parametrize("no_resize", [False, True])
def test_real_frames_score_as_their_full_size_maps(turned_costs: list[BitCost], grid: str, no_resize: bool) -> None:
    config = PreinferConfig("a.mp4", "out", bitcost_grid=grid, no_resize=no_resize)
    geometry = resolve_geometry(turned_costs[0].height, turned_costs[0].width, config)
    scorer = BlockScorer(config, geometry)
    for cost in turned_costs:
        scorer.add(cost)
    scores, clipped = scorer.finish()
    assert clipped is None
    rows, columns = geometry.blocks
    for cost, ours in zip(turned_costs, scores, strict=True):
        padded = np.zeros(geometry.padded)
        padded[: geometry.resized[0], : geometry.resized[1]] = full_map(cost, grid, geometry.resized)
        assert ours == pytest.approx(padded.reshape(rows, 28, columns, 28).sum((1, 3)), abs=1e-3)


def test_i_frames_are_clipped_at_what_the_others_reach(turned_costs: list[BitCost]) -> None:
    config = PreinferConfig(
        "a.mp4", "out", iframe_score_clip_mode="non_i_percentile", iframe_score_clip_percentile=60.0
    )
    geometry = resolve_geometry(turned_costs[0].height, turned_costs[0].width, config)
    scorer = BlockScorer(config, geometry)
    for cost in turned_costs:
        scorer.add(cost)
    scores, told = scorer.finish()
    maps = [full_map(cost, "mb", geometry.resized) for cost in turned_costs]
    intra = [cost.picture_type == "I" for cost in turned_costs]
    assert any(intra)
    cap = np.percentile(np.stack([m for m, i in zip(maps, intra, strict=True) if not i]), 60)
    assert told is not None
    assert told["cap"] == pytest.approx(cap)
    assert told["iframe_count"] == sum(intra)
    assert told["changed_pixels"] == sum(int((m > cap).sum()) for m, i in zip(maps, intra, strict=True) if i) > 0
    for ours, whole, is_intra in zip(scores, maps, intra, strict=True):
        expected = np.minimum(whole, cap) if is_intra else whole
        rows, columns = geometry.blocks
        assert ours == pytest.approx(expected.reshape(rows, 28, columns, 28).sum((1, 3)), abs=1e-3)
