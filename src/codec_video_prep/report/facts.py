"""What a report shows: read from the finished folder, and for some frames from the video."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec_video_prep.integrations.llava_onevision import load_llava_codec_result
from mediaref.bitcost import iter_bit_costs
from mediaref.errors import InvalidReferenceError
from mediaref.heat_map import heat_map
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.pyav import decode_frames

MOST_CANVASES = 160
"""Further canvases are left out, whole groups of them, so that a browser still opens the page."""
MOST_MAPS = 24
MAP_WIDTH = 320
CANVAS_QUALITY = 72
MAP_QUALITY = 75


@dataclass(frozen=True)
class FrameMap:
    """One sampled frame as picture and as map of its bits; images as `data:` URIs."""

    frame: int
    picture: str
    heat: str
    kept: str
    """Transparent where blocks were kept."""
    kept_share: float


@dataclass(frozen=True, eq=False)
class Facts:
    """All that the page is made of."""

    meta: dict[str, Any]
    frames: NDArray[np.int64]
    """`[sampled]`: the sampled frames."""
    seconds: NDArray[np.float64]
    """`[all frames]`: when each frame of the video begins, from the first on."""
    bits: NDArray[np.int64]
    """`[all frames]`: bits of each frame's packet."""
    types: str
    """`[all frames]`: `I`, `P` or `B`."""
    positions: NDArray[np.int32]
    """`[canvases, patches, 3]`."""
    canvases: list[str]
    """As `data:` URIs; those of the first groups where there are too many."""
    maps: list[FrameMap]


def gather(folder: Path, video: str | PathLike[str]) -> Facts:
    """Read everything. Raises what loading the folder and reading the video raise."""
    loaded = load_llava_codec_result(folder)
    meta = loaded.meta
    index = VideoIndex.open(video)
    if len(index) != meta["total_frames"]:
        raise InvalidReferenceError(
            f"{index.source.name}: has {len(index)} frames; {folder} was made of a video with {meta['total_frames']}"
        )
    times = np.arange(len(index)) / loaded.fps if index.pts_ns is None else (index.pts_ns - index.pts_ns[0]) / 1e9
    shown = min(len(loaded.images), MOST_CANVASES // meta["images_per_group"] * meta["images_per_group"])
    positions = np.asarray(loaded.src_positions, np.int32).reshape(len(loaded.images), -1, 3)
    return Facts(
        meta=meta,
        frames=np.array(meta["frame_ids"], np.int64),
        seconds=times,
        bits=8 * index.packet_bytes,
        types="".join(chr(code or ord("?")) for code in index.picture_type),
        positions=positions,
        canvases=[_jpeg(image, CANVAS_QUALITY) for image in loaded.images[:shown]],
        maps=_maps(index, meta, positions.reshape(-1, 3)),
    )


def _maps(index: VideoIndex, meta: dict[str, Any], positions: NDArray[np.int32]) -> list[FrameMap]:
    frames = np.unique(meta["frame_ids"])
    chosen = frames[np.unique(np.linspace(0, len(frames) - 1, min(MOST_MAPS, len(frames))).astype(int))].tolist()
    size = (MAP_WIDTH, max(1, round(MAP_WIDTH * index.height / index.width)))
    found = zip(iter_bit_costs(index, chosen), decode_frames(index, chosen, size=size), strict=True)
    maps = []
    for frame, (cost, (_, picture)) in zip(chosen, found, strict=True):
        kept = np.zeros(meta["hb_wb"], bool)
        rows, columns = positions[positions[:, 0] == frame][:, 1:].T
        kept[rows, columns] = True
        heat = Image.fromarray(heat_map(cost.cells)).resize(size, Image.Resampling.BOX)
        images = _jpeg(Image.fromarray(picture), MAP_QUALITY), _jpeg(heat, MAP_QUALITY), _veil(kept, meta)
        maps.append(FrameMap(frame, *images, kept_share=float(kept.mean())))
    return maps


def _veil(kept: NDArray[np.bool_], meta: dict[str, Any]) -> str:
    """Over the picture: dark and nearly opaque where nothing was kept."""
    veil = np.zeros((*kept.shape, 4), np.uint8)
    veil[~kept] = (12, 14, 20, 215)
    if meta["padded_hw"] != meta["resize_hw"]:  # patches reach past the picture
        veil = veil.repeat(meta["patch"], 0).repeat(meta["patch"], 1)
        veil = veil[: meta["resize_hw"][0], : meta["resize_hw"][1]]
    return _data_uri(Image.fromarray(veil), "PNG")


def _jpeg(image: Image.Image, quality: int) -> str:
    return _data_uri(image, "JPEG", quality=quality)


def _data_uri(image: Image.Image, format: str, **settings: Any) -> str:
    file = io.BytesIO()
    image.save(file, format, **settings)
    return f"data:image/{format.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
