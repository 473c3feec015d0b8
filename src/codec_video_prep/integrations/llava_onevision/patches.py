"""Where the patches of canvases come from, and the order in which the model's vision tower takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mediaref.errors import InvalidReferenceError

Positions = NDArray[np.int32] | NDArray[np.int64]


def drop_padding_canvases(
    images: Sequence[Image.Image], src_positions: Positions
) -> tuple[list[Image.Image], Positions, int]:
    """Leave out the canvases that are padding altogether.

    Returns:
        The other canvases, their `[patches, 3]` positions, and how many were left out.

    Raises:
        InvalidReferenceError: (a `ValueError`) a canvas is padding in part, or the positions do not share out evenly.
    """
    by_canvas = src_positions.reshape(len(images), patches_per_canvas(images, src_positions), 3)
    padding: NDArray[np.bool_] = np.any(by_canvas < 0, axis=2)
    empty: NDArray[np.bool_] = np.all(padding, axis=1)
    if np.any(np.any(padding, axis=1) & ~empty):
        raise InvalidReferenceError("a canvas is padding in part; padding must come as whole canvases")
    kept = [image for image, is_empty in zip(images, empty, strict=True) if not is_empty]
    return kept, by_canvas[~empty].reshape(-1, 3), int(empty.sum())


def patches_per_canvas(images: Sequence[Image.Image], positions: Positions) -> int:
    if positions.ndim != 2 or positions.shape[1] != 3:
        raise InvalidReferenceError(f"positions have the shape {positions.shape}; [patches, 3] is needed")
    each, rest = divmod(len(positions), max(1, len(images)))
    if rest or (each and not images):
        raise InvalidReferenceError(f"{len(positions)} patch positions do not share out over {len(images)} canvases")
    return each


def convert_positions_to_block_layout(positions: Any, t: int, h: int, w: int, spatial_merge_size: int = 2) -> Any:
    """Reorder patches from raster order into the order of the vision tower: merged square after merged square.

    Args:
        positions: `[t * h * w, 3]`, an array or a torch tensor.
        t: Pictures.
        h: Patch rows of a picture.
        w: Patch columns of a picture.
        spatial_merge_size: Patches along a side of a merged square.

    Returns:
        The same rows, reordered; of the same kind.

    Raises:
        InvalidReferenceError: (a `ValueError`) the sizes do not fit together.
    """
    side = spatial_merge_size
    if h % side or w % side:
        raise InvalidReferenceError(f"{h} x {w} patches do not make whole squares of {side} x {side}")
    if len(positions) != t * h * w:
        raise InvalidReferenceError(f"{len(positions)} positions are not those of {t} x {h} x {w} patches")
    raster = np.arange(t * h * w).reshape(t, h // side, side, w // side, side)
    return positions[raster.transpose(0, 1, 3, 2, 4).reshape(-1)]


def codec_positions_for_processor(
    src_positions: Positions, image_grid_thw: Any, device: Any = None, spatial_merge_size: int = 2
) -> Any:
    """`patch_positions` for the model: the positions of all canvases in the order of the vision tower.

    Args:
        src_positions: `[patches, 3]` in raster order of each canvas, without padding.
        image_grid_thw: `[canvases, 3]`: pictures, patch rows and patch columns, as the image processor gives them.
        device: Where a torch tensor goes.
        spatial_merge_size: Patches along a side of a merged square.

    Returns:
        int64 `[patches, 3]`: a torch tensor if `image_grid_thw` is one or a `device` is named, else an array.

    Raises:
        InvalidReferenceError: (a `ValueError`) the processor cut its pictures into other patches than the canvases
            have, because it scaled them, say.
    """
    grids = [tuple(int(length) for length in grid) for grid in image_grid_thw]
    used = sum(t * h * w for t, h, w in grids)
    if used != len(src_positions):
        raise InvalidReferenceError(
            f"codec patch position length mismatch: used={used}, available={len(src_positions)}; "
            "has the image processor scaled the canvases? Its patch size and limits must be those of the preparation"
        )
    ends = np.cumsum([t * h * w for t, h, w in grids], dtype=np.int64)
    parts = [
        convert_positions_to_block_layout(src_positions[end - t * h * w : end], t, h, w, spatial_merge_size)
        for end, (t, h, w) in zip(ends, grids, strict=True)
    ]
    positions = np.concatenate(parts).astype(np.int64) if parts else np.empty((0, 3), np.int64)
    if device is None and isinstance(image_grid_thw, (np.ndarray, Sequence)):
        return positions
    import torch

    return torch.from_numpy(positions).to(image_grid_thw.device if device is None else device)
