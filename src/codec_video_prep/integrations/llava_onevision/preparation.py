"""From a video to its canvases, in a cache folder: made once, then found."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, fields
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from codec_video_prep.api import identity_digest, run_preinfer_config
from codec_video_prep.config import OptionError, PreinferConfig
from codec_video_prep.integrations.llava_onevision.patches import Positions, patches_per_canvas
from codec_video_prep.output import META, POSITIONS
from mediaref.errors import CorruptMediaError, MediaNotFoundError
from mediaref.storage import locate
from mediaref.video_decoder.index import VideoIndex

_log = logging.getLogger("mediaref")

_LEGACY_PREFIX = "codec_"
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_NAME_LENGTH = 64


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
    patches_per_canvas(images, positions)
    return LlavaCodecResult(images, positions, fps, str(folder), meta)


def _load_canvas(path: Path) -> Image.Image:
    if path.suffix == ".npy":
        return Image.fromarray(np.load(path))
    with Image.open(path) as image:
        canvas: Image.Image = image.convert("RGB")
    return canvas
