"""What to prepare and how: every option of the preparation, checked before any work starts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

from mediaref.errors import MediaRefError

CHOICES: Mapping[str, tuple[str, ...]] = {
    "canvas_format": ("jpg", "png", "npy"),
    "frame_sampling_mode": ("uniform_count", "fps", "pkt_size_peak", "fps_plus_pkt_size_peak", "all_frames"),
    "grouping_mode": ("readiness", "fixed"),
    "readiness_sum_threshold_mode": ("legacy", "auto", "fixed", "clamped_sqrt_bpppf"),
    "bitcost_grid": ("adaptive", "sub", "mb", "ctu"),
    "iframe_score_clip_mode": ("none", "non_i_percentile"),
    "decode_backend": ("cv_reader_pixels", "ffmpeg_native"),
    "thread_type": ("auto", "slice", "frame"),
}
"""The values that each option of words takes."""

SPELLINGS: Mapping[str, Mapping[str, str]] = {"frame_sampling_mode": {"pkt_peak": "pkt_size_peak"}}
"""Other spellings of those values, which older callers use."""

MIN_GROUP_FRAMES = 4
"""No group is shorter, whatever the options say."""
MAX_SAMPLES = 10_000_000
"""Most frames that one run looks at."""
MIN_PIXELS = 56 * 56
"""Vision models refuse pictures with a smaller area."""


class OptionError(MediaRefError, ValueError):
    """An option has a value that it does not take; the message names the option and what it takes."""


@dataclass(frozen=True)
class PreinferConfig:
    """Options of one preparation.

    Pixel sizes are in pixels of the prepared frame, rates in frames a second, percentiles in 0 to 100.

    Raises:
        OptionError: (a `ValueError`) a value is unknown or out of range.
    """

    video: str
    """Path or any URI that `mediaref` opens."""
    out_dir: str
    """Folder to make."""
    num_sampled_frames: int = 1024
    """How many frames `uniform_count` takes."""
    group_size: int = 32
    """Length of a fixed group, and the window over which the readiness threshold is estimated."""
    images_per_group: int = 4
    """Canvases of a group, the anchor included."""
    patch: int = 14
    """Side of the model's patch."""
    max_pixels: int = 153664
    """Largest area of a prepared frame; 0 lets `max_dim` decide."""
    block_size: int = 2
    """Patches along a side of a block, the unit of selection."""
    min_group_frames: int = 8
    max_group_frames: int = 64
    thread_type: str = "slice"
    """Accepted for older callers; decoding chooses its own."""
    thread_count: int = 1
    """Accepted for older callers; see `parallel_segments`."""
    disable_target_only: bool = False
    """Accepted for older callers."""
    bitcost_grid: str = "adaptive"
    canvas_format: str = "jpg"
    avoid_keyframes: bool = True
    readiness_sum_threshold: float = 0.0
    grouping_mode: str = "readiness"
    frame_sampling_mode: str = "uniform_count"
    sample_fps: float = 4.0
    readiness_sum_threshold_mode: str = "legacy"
    readiness_norm_sum_threshold: float = 2250000.0
    iframe_score_clip_mode: str = "none"
    iframe_score_clip_percentile: float = 95.0
    save_mask_video: bool = False
    parallel_decode_cv_reader: bool = False
    """Accepted for older callers."""
    decode_backend: str = "cv_reader_pixels"
    """Both choices give the same exact pixels."""
    parallel_segments: int = 0
    """Threads to work with; 0 takes the CPUs that this process may use."""
    threads_per_segment: int = 4
    """Accepted for older callers."""
    segment_guard_frames: int = 30
    """Accepted for older callers."""
    max_dim: int = 616
    """Longer side of a prepared frame where `max_pixels` is 0."""
    no_resize: bool = False
    """Keep the frame's size and pad it with zeros at the bottom and the right."""
    bitcost_pct: float = 99.0
    """The percentile of a frame's costs that becomes score 1."""
    bitcost_log_scale: bool = True
    readiness_coverage_bins: int = 3
    readiness_delta_ratio: float = 0.05
    tolerance_ns: int = 0
    """How far in time, in nanoseconds, a sampled frame may move to one that is cheaper to decode."""

    def __post_init__(self) -> None:
        for name in ("video", "out_dir"):
            _check_path(self, name)
        if "://" in self.out_dir:
            raise OptionError(f"out_dir={self.out_dir!r}: takes a local folder")
        for name, choices in CHOICES.items():
            _check_choice(self, name, choices)
        for name in ("group_size", "max_dim"):
            _check_number(self, name, int, 1)
        for name in ("images_per_group", "patch"):
            _check_number(self, name, int, 1, 1024)
        _check_number(self, "num_sampled_frames", int, 1, MAX_SAMPLES)
        for name in ("min_group_frames", "max_group_frames", "readiness_coverage_bins", "thread_count"):
            _check_number(self, name, int, 1)
        for name in ("max_pixels", "tolerance_ns", "parallel_segments", "threads_per_segment", "segment_guard_frames"):
            _check_number(self, name, int, 0)
        _check_number(self, "block_size", int, 2, 3)
        _check_number(self, "sample_fps", float, 0.0)
        _check_number(self, "bitcost_pct", float, 0.0, 100.0)
        _check_number(self, "iframe_score_clip_percentile", float, 0.0, 100.0)
        for name in ("readiness_sum_threshold", "readiness_norm_sum_threshold", "readiness_delta_ratio"):
            _check_number(self, name, float, 0.0)
        for name in FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise OptionError(f"{name}={getattr(self, name)!r}: takes True or False")
        self._check_together()

    def _check_together(self) -> None:
        if self.sample_fps == 0 and self.frame_sampling_mode not in ("uniform_count", "all_frames"):
            raise OptionError(f"sample_fps=0.0: must be above 0 with frame_sampling_mode={self.frame_sampling_mode!r}")
        if self.max_group_frames < self.min_group_frames:
            raise OptionError(
                f"max_group_frames={self.max_group_frames}: must not be below min_group_frames={self.min_group_frames}"
            )
        if 0 < self.max_pixels < max(MIN_PIXELS, self.factor**2):
            raise OptionError(
                f"max_pixels={self.max_pixels}: takes 0 or at least {max(MIN_PIXELS, self.factor**2)} "
                f"(56 * 56, and one block of {self.factor} * {self.factor})"
            )
        if self.grouping_mode == "fixed" and self.group_size < MIN_GROUP_FRAMES:
            raise OptionError(f"group_size={self.group_size}: a fixed group has at least {MIN_GROUP_FRAMES} frames")

    @property
    def factor(self) -> int:
        """Side of a block in pixels: prepared frames are whole multiples of it."""
        return self.block_size * self.patch

    @property
    def config_hash(self) -> str:
        """64 hex digits that change with every option that can change the result, and with no other."""
        options = {k: v for k, v in self.to_dict().items() if k not in WITHOUT_EFFECT}
        return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """All options as plain values that JSON can hold."""
        return dataclasses.asdict(self)


FLAGS = tuple(f.name for f in dataclasses.fields(PreinferConfig) if f.type == "bool")

WITHOUT_EFFECT = frozenset(
    {
        "video",
        "out_dir",
        "thread_type",
        "thread_count",
        "disable_target_only",
        "parallel_decode_cv_reader",
        "decode_backend",
        "parallel_segments",
        "threads_per_segment",
        "segment_guard_frames",
    }
)
"""Options that say where and how fast, never what comes out."""


def _set(config: PreinferConfig, name: str, value: object) -> None:
    object.__setattr__(config, name, value)  # the dataclass is frozen for everybody else


def _check_path(config: PreinferConfig, name: str) -> None:
    value: object = getattr(config, name)
    if isinstance(value, PathLike):
        value = fspath(value)
    if not isinstance(value, str) or not value:
        raise OptionError(f"{name}={value!r}: takes a path or a URI")
    _set(config, name, value)


def _check_choice(config: PreinferConfig, name: str, choices: tuple[str, ...]) -> None:
    value = getattr(config, name)
    value = SPELLINGS.get(name, {}).get(value, value) if isinstance(value, str) else value
    if value not in choices:
        raise OptionError(f"{name}={value!r}: takes one of {', '.join(choices)}")
    _set(config, name, value)


def _check_number(
    config: PreinferConfig, name: str, kind: type[int] | type[float], low: float, high: float = math.inf
) -> None:
    """Numbers of any library are taken (numpy's, say) and kept as Python's own; `True` is not a number here."""
    value: Any = getattr(config, name)
    try:
        number = kind(value)
        sound = not isinstance(value, (bool, str)) and number == value and low <= number <= high
    except (TypeError, ValueError, OverflowError):
        sound = False
    if not sound or number == math.inf:
        noun = "a whole number" if kind is int else "a number"
        limits = f"of at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise OptionError(f"{name}={value!r}: takes {noun} {limits}")
    _set(config, name, number)
