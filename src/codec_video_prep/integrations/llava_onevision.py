"""Canvases as the input of LLaVA-OneVision-2: prepared and kept in a cache folder, then text and tensors for the model.

    preprocessor = LlavaOneVisionCodecPreprocessor(LlavaCodecPreprocessConfig("cache", target_canvas=32))
    result = preprocessor.run("clip.mp4")
    inputs = prepare_llava_onevision_inputs(processor, prompt, result)

The model's vision tower looks at patches in merged squares of `spatial_merge_size` patches a side, square after
square, and its text has one image token for each square. `patch_positions` follows that order and says of each patch
which frame of the video it comes from and where it stood there; the text tells when those frames were shown.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec_video_prep.api import identity_digest, run_preinfer_config
from codec_video_prep.config import OptionError, PreinferConfig
from codec_video_prep.output import META, POSITIONS
from mediaref.errors import CorruptMediaError, InvalidReferenceError, MediaNotFoundError
from mediaref.storage import locate
from mediaref.video_decoder.index import VideoIndex

__all__ = [
    "LlavaCodecPreprocessConfig",
    "LlavaCodecResult",
    "LlavaOneVisionCodecPreprocessor",
    "codec_positions_for_processor",
    "convert_positions_to_block_layout",
    "drop_padding_canvases",
    "format_timestamp",
    "load_llava_codec_result",
    "prepare_llava_onevision_inputs",
    "rewrite_text_with_codec_positions",
    "timestamp_runs",
]

Positions = NDArray[np.int32] | NDArray[np.int64]

_log = logging.getLogger("mediaref")

VISION_START, IMAGE_PAD, VISION_END = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"

_BLOCK = rf"{re.escape(VISION_START)}(?:(?!{re.escape(VISION_START)}).)*?{re.escape(VISION_END)}"
_VISION = re.compile(rf"{_BLOCK}(?:\s*{_BLOCK})*\n?", re.DOTALL)

_DEFAULT_DECIMALS = 1
_LEGACY_PREFIX = "codec_"
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_NAME_LENGTH = 64


# --- from a video to canvases ------------------------------------------------------------------------------------


@dataclass
class LlavaCodecPreprocessConfig:
    """What to prepare for the model. Options without a word here are those of `PreinferConfig`."""

    cache_root: str
    """Folder with one folder for each video and set of options."""
    target_canvas: int = 0
    """Most canvases of a video; a multiple of `images_per_group`, above 0."""
    group_size: int = 32
    """Frames sampled for each `images_per_group` canvases; a multiple of `images_per_group`."""
    images_per_group: int = 4
    patch: int = 14
    max_pixels: int = 150000
    min_group_frames: int = 8
    max_group_frames: int = 64
    bitcost_grid: str = "adaptive"
    grouping_mode: str = "readiness"
    frame_sampling_mode: str = "uniform_count"
    sample_fps: float = 4.0
    readiness_sum_threshold: float = 0.0
    readiness_sum_threshold_mode: str = "legacy"
    readiness_norm_sum_threshold: float = 2250000.0
    avoid_keyframes: bool = True
    parallel_decode_cv_reader: bool = False
    canvas_format: str = "jpg"
    decode_backend: str = "ffmpeg_native"
    parallel_segments: int = 0
    threads_per_segment: int = 4
    segment_guard_frames: int = 30

    @classmethod
    def from_legacy_kwargs(
        cls,
        cache_root: str,
        codec_target_canvas: int | str = 0,
        codec_group_size: int | str = 32,
        codec_images_per_group: int | str = 4,
        codec_patch: int | str = 14,
        codec_max_pixels: int | str = 150000,
        codec_min_group_frames: int | str = 8,
        codec_max_group_frames: int | str = 64,
        **kwargs: Any,
    ) -> LlavaCodecPreprocessConfig:
        """The options as evaluation harnesses hand them on: by names with `codec_` in front, often as text.

        Keywords without that prefix are meant for others and left alone.

        Raises:
            OptionError: (a `ValueError`) a value cannot be what its option takes; the message names it.
        """
        given: dict[str, Any] = {
            "target_canvas": codec_target_canvas,
            "group_size": codec_group_size,
            "images_per_group": codec_images_per_group,
            "patch": codec_patch,
            "max_pixels": codec_max_pixels,
            "min_group_frames": codec_min_group_frames,
            "max_group_frames": codec_max_group_frames,
        }
        prefixed = (key for key in kwargs if key.startswith(_LEGACY_PREFIX))
        given.update({key.removeprefix(_LEGACY_PREFIX): kwargs[key] for key in prefixed})
        options = {field.name: type(field.default) for field in fields(cls) if field.name != "cache_root"}
        for name in given.keys() - options.keys():
            _log.warning("%s%s is no option of the preparation and changes nothing", _LEGACY_PREFIX, name)
        known = {name: _from_text(name, given[name], options[name]) for name in given.keys() & options.keys()}
        return cls(cache_root, **known)

    def validate(self) -> None:
        """Check everything before any work starts.

        Raises:
            OptionError: (a `ValueError`) naming the option that is wrong.
        """
        for name in ("target_canvas", "group_size", "images_per_group"):
            if getattr(self, name) <= 0:
                raise OptionError(f"{name} must be > 0; it is {getattr(self, name)}")
        for name in ("target_canvas", "group_size"):
            if getattr(self, name) % self.images_per_group:
                raise OptionError(
                    f"{name} must be divisible by images_per_group; "
                    f"{getattr(self, name)} is not by {self.images_per_group}"
                )
        self._preinfer_config("any", "any", self.num_sampled_frames())

    def num_sampled_frames(self, total_frames: int | None = None) -> int:
        """Frames to sample: `target_canvas / images_per_group * group_size`, at most those that there are."""
        wanted = self.target_canvas // self.images_per_group * self.group_size
        return wanted if total_frames is None else max(1, min(wanted, total_frames))

    def _preinfer_config(self, video: str, out_dir: str, sampled: int) -> PreinferConfig:
        ours = {"cache_root", "target_canvas"}
        options = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ours}
        return PreinferConfig(video=video, out_dir=out_dir, num_sampled_frames=sampled, **options)


def _from_text(name: str, value: Any, kind: type) -> Any:
    try:
        return _WORDS[str(value).strip().lower()] if kind is bool else kind(value)
    except (KeyError, TypeError, ValueError):
        raise OptionError(f"{_LEGACY_PREFIX}{name}={value!r}: cannot be taken as {kind.__name__}") from None


@dataclass
class LlavaCodecResult:
    """A prepared video: its canvases, RGB, and where their patches come from."""

    images: list[Image.Image]
    src_positions: Positions
    """`[canvases * patch rows * patch columns, 3]`: source frame, patch row, patch column, in raster order of each
    canvas; -1 three times for padding."""
    fps: float
    """Average frames a second of the video."""
    out_dir: str
    meta: dict[str, Any]
    """All of meta.json."""


class LlavaOneVisionCodecPreprocessor:
    """Prepares videos into a cache: a folder each, made by one process while others that want it wait.

    Raises:
        OptionError: (a `ValueError`) see `LlavaCodecPreprocessConfig.validate`.
    """

    def __init__(self, config: LlavaCodecPreprocessConfig) -> None:
        config.validate()
        self.config = config

    def cache_dir_for(self, video: str | PathLike[str], total_frames: int | None = None) -> Path:
        """The folder of a video: another one whenever the video, an option that matters or the version changes."""
        return Path(self._prepared(video, total_frames).out_dir)

    def run(self, video: str | PathLike[str], total_frames: int | None = None) -> LlavaCodecResult:
        """Prepare a video, or find it prepared.

        Args:
            video: Path or URI.
            total_frames: How many frames it has, where the caller knows.

        Raises:
            MediaRefError: as `run_preinfer_config` does.
        """
        return load_llava_codec_result(run_preinfer_config(self._prepared(video, total_frames)).out_dir)

    def _prepared(self, video: str | PathLike[str], total_frames: int | None) -> PreinferConfig:
        name = fspath(video)
        source = locate(name)
        total = len(VideoIndex.open(source)) if total_frames is None else total_frames
        sampled = self.config.num_sampled_frames(total)
        draft = self.config._preinfer_config(name, self.config.cache_root, sampled)
        stem = re.sub(r"[^\w.-]+", "_", Path(source.path or source.name).stem)[:_NAME_LENGTH]
        out_dir = Path(self.config.cache_root) / f"{stem}_{identity_digest(draft)}"
        return self.config._preinfer_config(name, str(out_dir), sampled)


def load_llava_codec_result(out_dir: str | PathLike[str]) -> LlavaCodecResult:
    """Load a folder that the preparation, ours or the original's, has written.

    Raises:
        MediaNotFoundError: (a `FileNotFoundError`) the folder or a file of it is missing.
        CorruptMediaError: (a `ValueError`) a file is damaged, or they do not fit together.
    """
    folder = Path(out_dir)
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        images = [_load_canvas(folder / name) for name in meta["canvas_files"]]
        positions = np.load(folder / POSITIONS)
        fps = float(meta["fps"])
    except FileNotFoundError as error:
        raise MediaNotFoundError(f"{folder}: is no prepared video: {error.filename} is missing") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptMediaError(f"{folder}: is no prepared video: {type(error).__name__}: {error}") from error
    _patches_per_canvas(images, positions)
    return LlavaCodecResult(images, positions, fps, str(folder), meta)


def _load_canvas(path: Path) -> Image.Image:
    if path.suffix == ".npy":
        return Image.fromarray(np.load(path))
    with Image.open(path) as image:
        canvas: Image.Image = image.convert("RGB")
    return canvas


def drop_padding_canvases(
    images: Sequence[Image.Image], src_positions: Positions
) -> tuple[list[Image.Image], Positions, int]:
    """Leave out the canvases that are padding altogether.

    Returns:
        The other canvases, their `[patches, 3]` positions, and how many were left out.

    Raises:
        InvalidReferenceError: (a `ValueError`) a canvas is padding in part, or the positions do not share out evenly.
    """
    by_canvas = src_positions.reshape(len(images), _patches_per_canvas(images, src_positions), 3)
    padding: NDArray[np.bool_] = np.any(by_canvas < 0, axis=2)
    empty: NDArray[np.bool_] = np.all(padding, axis=1)
    if np.any(np.any(padding, axis=1) & ~empty):
        raise InvalidReferenceError("a canvas is padding in part; padding must come as whole canvases")
    kept = [image for image, is_empty in zip(images, empty, strict=True) if not is_empty]
    return kept, by_canvas[~empty].reshape(-1, 3), int(empty.sum())


def _patches_per_canvas(images: Sequence[Image.Image], positions: Positions) -> int:
    if positions.ndim != 2 or positions.shape[1] != 3:
        raise InvalidReferenceError(f"positions have the shape {positions.shape}; [patches, 3] is needed")
    each, rest = divmod(len(positions), max(1, len(images)))
    if rest or (each and not images):
        raise InvalidReferenceError(f"{len(positions)} patch positions do not share out over {len(images)} canvases")
    return each


# --- from canvases to what the model takes -----------------------------------------------------------------------


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


def format_timestamp(seconds: float, decimals: int) -> str:
    """`<1.5 seconds>`."""
    return f"<{seconds:.{decimals}f} seconds>"


def timestamp_runs(
    patch_positions: Any,
    fps: float,
    decimals: int,
    spatial_merge_size: int = 2,
    *,
    seconds: Mapping[int, float] | None = None,
) -> list[tuple[str, int]]:
    """What follows each other in the patches: the timestamp of a source frame, and image tokens for its patches.

    Args:
        patch_positions: `[patches, 3]` in the order of the vision tower, an array or a torch tensor. Padding is
            passed over.
        fps: Frames a second, which tells when a frame is shown.
        decimals: Digits after the point of a timestamp.
        spatial_merge_size: Patches along a side of the square that one image token stands for.
        seconds: When frames are shown, where that is known better: a video's rate may vary.

    Raises:
        InvalidReferenceError: (a `ValueError`) a square has patches of more than one frame, or `fps` is not above 0.
    """
    if not fps > 0 and seconds is None:
        raise InvalidReferenceError(f"fps is {fps}; it must be above 0")
    frames = np.array([int(frame) for frame in patch_positions[:, 0]], np.int64)
    frames = frames[frames >= 0]
    starts = np.flatnonzero(np.diff(frames, prepend=-1))
    runs = []
    for start, length in zip(starts, np.diff(starts, append=len(frames)), strict=True):
        frame = int(frames[start])
        tokens, rest = divmod(int(length), spatial_merge_size**2)
        if rest:
            raise InvalidReferenceError(
                f"frame {frame} has {length} patches in a row, which are no whole squares of {spatial_merge_size} x "
                f"{spatial_merge_size}: one image token would stand for two frames"
            )
        shown = frame / fps if seconds is None or frame not in seconds else seconds[frame]
        runs.append((format_timestamp(shown, decimals), tokens))
    return runs


def rewrite_text_with_codec_positions(
    text: str,
    patch_positions: Any,
    fps: float,
    decimals: int,
    spatial_merge_size: int = 2,
    *,
    seconds: Mapping[int, float] | None = None,
) -> str:
    """Put the timestamps and image tokens of all canvases where `text` has its vision blocks.

    A vision block is what stands between `<|vision_start|>` and `<|vision_end|>`, both included; one for the video or
    one for each canvas, one after the other. Each run of `timestamp_runs`, whose arguments these are, becomes a line
    `<t seconds><|vision_start|>`, its image tokens, `<|vision_end|>`. Text without a vision block stays as it is.

    Raises:
        InvalidReferenceError: (a `ValueError`) there is other text between vision blocks: where it belongs among the
            frames is not known.
    """
    blocks = list(_VISION.finditer(text))
    if not blocks:
        return text
    if len(blocks) > 1:
        lost = text[blocks[0].end() : blocks[1].start()]
        raise InvalidReferenceError(
            f"the text has {lost[:40]!r} between two vision blocks; the blocks of a video must follow each other"
        )
    runs = timestamp_runs(patch_positions, fps, decimals, spatial_merge_size, seconds=seconds)
    lines = [f"{shown}{VISION_START}{IMAGE_PAD * tokens}{VISION_END}\n" for shown, tokens in runs]
    return text[: blocks[0].start()] + "".join(lines) + text[blocks[0].end() :]


def prepare_llava_onevision_inputs(
    processor: Any,
    text: str,
    codec_result: LlavaCodecResult | Mapping[str, Any],
    task: str | None = None,
    timestamp_decimals: int | None = None,
    max_pixels: int = 150000,
    spatial_merge_size: int = 2,
    *,
    return_tensors: str = "pt",
) -> dict[str, Any]:
    """All that the model takes for one prompt about one prepared video.

    Args:
        processor: Something with an `image_processor` and a `tokenizer` of transformers.
        text: The prompt, its chat template applied, with a vision block where the video goes.
        codec_result: What `LlavaOneVisionCodecPreprocessor.run` gives, or a mapping with its `images`,
            `src_positions` and `fps`.
        task: Accepted for older callers; changes nothing.
        timestamp_decimals: Digits after the point of a timestamp; None: 1.
        max_pixels: For the image processor. Raised to the canvases' area, so that it never scales them.
        spatial_merge_size: Patches along a side of the square that one image token stands for.
        return_tensors: `"pt"` or `"np"`.

    Returns:
        `input_ids` and `attention_mask` `[1, tokens]`, `pixel_values` `[patches, values]`, `image_grid_thw`
        `[canvases, 3]` and `patch_positions` int64 `[patches, 3]`.

    Raises:
        InvalidReferenceError: (a `ValueError`) the parts do not fit together; the message says which.
    """
    result = codec_result if isinstance(codec_result, LlavaCodecResult) else _as_result(codec_result)
    images, source, _ = drop_padding_canvases(result.images, np.asarray(result.src_positions, np.int64))
    if not images:
        raise InvalidReferenceError("all codec canvases are padding; nothing to feed the model")
    if not _VISION.search(text):
        raise InvalidReferenceError(f"the text has no {VISION_START}...{VISION_END}; where the video goes is not known")
    largest = max(image.width * image.height for image in images)
    limit = _area_limit(processor.image_processor, max(max_pixels, largest))
    pixels = processor.image_processor(images=images, **limit, return_tensors=return_tensors)
    grid = pixels["image_grid_thw"]
    positions = codec_positions_for_processor(source, grid, None, spatial_merge_size)
    decimals = _DEFAULT_DECIMALS if timestamp_decimals is None else timestamp_decimals
    told = rewrite_text_with_codec_positions(
        text, positions, result.fps, decimals, spatial_merge_size, seconds=_frame_seconds(result.meta)
    )
    tokens = processor.tokenizer(told, return_tensors=return_tensors)
    return {
        "input_ids": tokens["input_ids"],
        "attention_mask": tokens["attention_mask"],
        "pixel_values": pixels["pixel_values"],
        "image_grid_thw": grid,
        "patch_positions": positions,
    }


def _area_limit(image_processor: Any, pixels: int) -> dict[str, Any]:
    """The keyword that tells an image processor how large an area may be; transformers 5 gives up the older one."""
    size = getattr(image_processor, "size", None)
    if size and "longest_edge" in size and "shortest_edge" in size:  # both name areas there
        return {"size": {"shortest_edge": size["shortest_edge"], "longest_edge": pixels}}
    return {"max_pixels": pixels}


def _as_result(given: Mapping[str, Any]) -> LlavaCodecResult:
    try:
        return LlavaCodecResult(
            list(given["images"]),
            given["src_positions"],
            float(given["fps"]),
            str(given.get("out_dir", "")),
            dict(given.get("meta") or {}),
        )
    except KeyError as error:
        raise InvalidReferenceError(f"the prepared video has no {error.args[0]!r}") from None


def _frame_seconds(meta: Mapping[str, Any]) -> dict[int, float] | None:
    """When each sampled frame is shown, counted from the first of the video; None where the metadata does not tell."""
    frames, times, begin = meta.get("frame_ids"), meta.get("frame_pts_ns"), meta.get("start_pts_ns")
    if frames is None or times is None or begin is None:
        return None
    return {frame: (time - begin) / 1e9 for frame, time in zip(frames, times, strict=True)}
