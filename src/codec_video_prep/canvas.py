"""Canvases: pictures of a prepared frame's size, put together from an anchor frame and the blocks kept of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from codec_video_prep.geometry import Geometry
from codec_video_prep.grouping import Group

PADDING = -1


def pack_group(
    group: Group, frames: Sequence[NDArray[np.uint8]], frame_ids: Sequence[int], images: int, geometry: Geometry
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The canvases of a group, and where each of their patches comes from.

    The first canvas is the anchor frame; the kept blocks fill the others in block raster order, by frame and then
    by their place in it. What is left stays zero.

    Args:
        group: The finished group.
        frames: Its prepared frames, `[height, width, 3]` RGB each.
        frame_ids: Their frame numbers in the video.
        images: Canvases to fill.
        geometry: Of the prepared frames.

    Returns:
        `[images, height, width, 3]` uint8 RGB, and `[images, patch rows, patch columns, 3]` int32: frame number,
        patch row and patch column in the frame, or -1 three times for padding.
    """
    rows, columns = geometry.blocks
    side, per_block = geometry.block_pixels, geometry.block_size
    canvases = np.zeros((images, *geometry.padded, 3), np.uint8)
    origins = np.full((images, *geometry.patches, 3), PADDING, np.int32)
    canvas_blocks = canvases.reshape(images, rows, side, columns, side, 3)
    origin_blocks = origins.reshape(images, rows, per_block, columns, per_block, 3)
    patch_row, patch_column = np.mgrid[0:per_block, 0:per_block]

    def place(frame: int, blocks: NDArray[np.int64], first_slot: int) -> None:
        image, slot = np.divmod(first_slot + np.arange(len(blocks)), rows * columns)
        to_row, to_column = np.divmod(slot, columns)
        row, column = np.divmod(blocks, columns)
        source = frames[frame].reshape(rows, side, columns, side, 3)
        canvas_blocks[image, to_row, :, to_column] = source[row, :, column]
        origin = np.empty((len(blocks), per_block, per_block, 3), np.int32)
        origin[..., 0] = frame_ids[frame]
        origin[..., 1] = row[:, None, None] * per_block + patch_row
        origin[..., 2] = column[:, None, None] * per_block + patch_column
        origin_blocks[image, to_row, :, to_column] = origin

    place(group.anchor, np.arange(rows * columns), 0)
    selection = group.selection
    for frame in np.unique(selection.frames):
        first, end = np.searchsorted(selection.frames, [frame, frame + 1])
        place(int(frame), selection.blocks[first:end], rows * columns + int(first))
    return canvases, origins


def is_whole(origins: NDArray[np.int32]) -> bool:
    """Whether every canvas `[images, patch rows, patch columns, 3]` is either full or padding altogether."""
    padding = (origins[..., 0] == PADDING).reshape(len(origins), -1)
    return bool((padding.all(1) | ~padding.any(1)).all())


def keep_mask(group: Group, frame: int, geometry: Geometry) -> NDArray[np.bool_]:
    """`[height, width]`: the pixels of a group's frame that a canvas shows."""
    kept = np.zeros(geometry.block_count, np.bool_)
    if frame == group.anchor:
        kept[:] = True
    kept[group.selection.blocks[group.selection.frames == frame]] = True
    side = geometry.block_pixels
    return kept.reshape(geometry.blocks).repeat(side, 0).repeat(side, 1)
