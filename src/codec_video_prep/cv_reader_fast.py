"""The low-level reader of the original: plain functions that give one dict for each frame.

Each dict has `frame_idx`, `pict_type` (`"I"`, `"P"`, `"B"`; `"?"` where the codec's headers are not read), `width`,
`height` (displayed) and `codec_name`; with `export_bitcost` also `bitcost`, with `export_pixels` also `pixels`, BGR
uint8 `[height, width, 3]`, the same as a full decode gives.

`bitcost` is a dict of the map and its layout. H.264: `mb_bit_cost` int32 `[mb_height, mb_stride]` in bits; other
codecs: `ctu_bit_cost` int32 `[ctb_height, ctb_stride]` and `log2_ctb_size`. All: `sub_mb_bit_cost` float32
`[sub_height, sub_stride]`, bits of each 4x4 luma cell of the displayed picture. Unlike the original's, these maps
are exact to the bit and have no padding column: a stride is a width.

`thread_count` is how many threads to use (0: the CPUs that this process may use). `thread_type`, `keyframe_pts`,
`seek_frame` and `end_frame` are accepted for older callers: any frame is read on its own here.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from mediaref.bitcost import BitCost, iter_bit_costs
from mediaref.threads import resolve_threads
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.pyav import decode_frames

__all__ = ["read_video_fast", "read_video_fast_selected", "read_video_fast_selected_segment"]

Path = str | PathLike[str]


def read_video_fast(
    path: Path, thread_count: int = 1, export_bitcost: int = 0, thread_type: str = "auto"
) -> list[dict[str, Any]]:
    """Every frame of a video, in display order.

    Raises:
        MediaNotFoundError: (an `OSError`) there is no such file.
        CorruptMediaError: (a `ValueError`) the file is no video.
    """
    index = VideoIndex.open(path)
    return read_video_fast_selected(path, range(len(index)), thread_count, export_bitcost, thread_type)


def read_video_fast_selected(
    path: Path,
    frame_ids: Sequence[int],
    thread_count: int = 1,
    export_bitcost: int = 0,
    thread_type: str = "auto",
    keyframe_pts: object = None,
    export_pixels: int = 0,
    out_w: int = 0,
    out_h: int = 0,
) -> list[dict[str, Any]]:
    """The frames with these numbers (display order, from 0), as often and in the order asked.

    Args:
        path: Path or URI of the video.
        frame_ids: Frame numbers.
        thread_count: Threads to use; 0 takes the CPUs that this process may use.
        export_bitcost: Whether to read bit costs.
        thread_type: Accepted for older callers.
        keyframe_pts: Accepted for older callers.
        export_pixels: Whether to read pixels.
        out_w: Width to scale pixels to; 0 keeps the video's.
        out_h: Height to scale pixels to; 0 keeps the video's.

    Raises:
        MediaNotFoundError: (an `OSError`) there is no such file.
        CorruptMediaError: (a `ValueError`) the file is no video.
        FrameIndexError: (an `IndexError`) the video has no such frame; the message names it.
    """
    index = VideoIndex.open(path)
    asked = index.check(frame_ids)
    wanted = sorted(set(asked))
    threads = resolve_threads(thread_count or None)
    frames = {frame: _facts(index, frame) for frame in wanted}
    if export_bitcost:
        for frame, cost in zip(wanted, iter_bit_costs(index, wanted, threads=threads), strict=True):
            frames[frame] |= {"pict_type": cost.picture_type, "bitcost": _layout(cost)}
    else:
        types = index.with_headers(wanted).packets.picture_type[index.packet_of[wanted]]
        for frame, picture_type in zip(wanted, types.tolist(), strict=True):
            frames[frame]["pict_type"] = chr(picture_type or ord("?"))
    if export_pixels:
        size = (out_w or index.width, out_h or index.height) if out_w or out_h else None
        for frame, picture in decode_frames(index, wanted, threads=threads, size=size):
            frames[frame]["pixels"] = np.ascontiguousarray(picture[..., ::-1])
    first = {frame: place for place, frame in reversed(list(enumerate(asked)))}
    return [frames[frame] if first[frame] == place else _own_copy(frames[frame]) for place, frame in enumerate(asked)]


def read_video_fast_selected_segment(
    path: Path,
    frame_ids: Sequence[int],
    seek_frame: int,
    end_frame: int,
    thread_count: int = 1,
    export_bitcost: int = 0,
    thread_type: str = "auto",
    export_pixels: int = 0,
    out_w: int = 0,
    out_h: int = 0,
) -> list[dict[str, Any]]:
    """`read_video_fast_selected`; `seek_frame` and `end_frame` need not be told here."""
    return read_video_fast_selected(
        path, frame_ids, thread_count, export_bitcost, thread_type, None, export_pixels, out_w, out_h
    )


def _facts(index: VideoIndex, frame: int) -> dict[str, Any]:
    return {
        "frame_idx": frame,
        "pict_type": "?",
        "width": index.width,
        "height": index.height,
        "codec_name": index.codec,
    }


def _layout(cost: BitCost) -> dict[str, Any]:
    bits = cost.bits.view(np.int32)  # nobody else has them, and no packet is long enough for the sign to matter
    cells = cost.cells
    sub = {
        "sub_mb_bit_cost": cells,
        "sub_height": cells.shape[0],
        "sub_width": cells.shape[1],
        "sub_stride": cells.shape[1],
    }
    rows, columns = bits.shape
    if cost.codec == "h264":
        return {"mb_bit_cost": bits, "mb_height": rows, "mb_width": columns, "mb_stride": columns, **sub}
    blocks = {"ctb_height": rows, "ctb_width": columns, "ctb_stride": columns}
    return {"ctu_bit_cost": bits, **blocks, "log2_ctb_size": cost.unit.bit_length() - 1, **sub}


def _own_copy(frame: dict[str, Any]) -> dict[str, Any]:
    """A frame that was asked for again gets arrays of its own, so that changing one does not change the other."""
    return {
        key: _own_copy(value) if isinstance(value, dict) else value.copy() if isinstance(value, np.ndarray) else value
        for key, value in frame.items()
    }
