"""The options of the preparation as command line options, for all commands that prepare."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection
from typing import Any

from codec_video_prep.config import CHOICES, FLAGS, SPELLINGS, PreinferConfig

HELP = {
    "video": "path or URI of the video",
    "out_dir": "folder to make",
    "num_sampled_frames": "how many frames uniform_count takes",
    "sample_fps": "samples a second for the fps modes",
    "frame_sampling_mode": "how frames are chosen",
    "avoid_keyframes": "move samples off keyframes (the default)",
    "grouping_mode": "readiness: groups end when they hold enough; fixed: every group_size frames",
    "group_size": "length of a fixed group, and window of the threshold's estimate",
    "images_per_group": "canvases of a group, its anchor frame included",
    "min_group_frames": "shortest readiness group",
    "max_group_frames": "longest readiness group",
    "readiness_sum_threshold_mode": "where the readiness threshold comes from",
    "readiness_sum_threshold": "the threshold for fixed and legacy; 0 with legacy estimates it",
    "readiness_norm_sum_threshold": "what clamped_sqrt_bpppf multiplies",
    "readiness_coverage_bins": "parts of a group's time that must be covered",
    "readiness_delta_ratio": "gain a frame below which a ready group ends",
    "patch": "side of the model's patch in pixels",
    "block_size": "patches along a side of a block: 2 or 3",
    "tolerance_ns": "how far a frame may move to a cheaper one, in nanoseconds",
    "max_pixels": "largest area of a prepared frame; 0 uses max_dim",
    "max_dim": "longer side of a prepared frame where max_pixels is 0",
    "no_resize": "keep the frame's size and pad it",
    "canvas_format": "file format of the canvases",
    "bitcost_grid": "which map of bits to score with",
    "bitcost_pct": "percentile of a frame's costs that becomes score 1",
    "bitcost_log_scale": "score logarithms of the bits (the default)",
    "iframe_score_clip_mode": "clip the scores of I frames",
    "iframe_score_clip_percentile": "percentile of all other scores to clip at",
    "save_mask_video": "write videos that show what was kept",
    "decode_backend": "both give the same exact pixels",
    "parallel_segments": "threads; 0 takes the CPUs that this process may use",
}
ACCEPTED = "accepted for older scripts; changes nothing"


def add_preparation_options(parser: argparse.ArgumentParser, leave_out: Collection[str] = ()) -> None:
    """Add an option for each field of `PreinferConfig`."""
    for field in dataclasses.fields(PreinferConfig):
        if field.name not in leave_out:
            _add_option(parser, field)


def _add_option(parser: argparse.ArgumentParser, field: dataclasses.Field[Any]) -> None:
    name, text = field.name, HELP.get(field.name, ACCEPTED)
    if field.default is dataclasses.MISSING:
        add(parser, name, required=True, metavar=name.upper(), help=text)
    elif name in FLAGS:
        add(parser, name, action="store_true", default=field.default, help=text)
        if field.default:
            add(parser, f"no_{name}", dest=name, action="store_false", help="the opposite")
    elif name in CHOICES:
        choices = [*CHOICES[name], *SPELLINGS.get(name, {})]
        add(parser, name, choices=choices, default=field.default, help=f"{text} (default: {field.default})")
    else:
        kind = type(field.default)
        add(parser, name, type=kind, default=field.default, metavar="N", help=f"{text} (default: {field.default:g})")


def add(parser: argparse.ArgumentParser, name: str, **settings: Any) -> None:
    """Add `--name`, with hyphens accepted for its underscores."""
    spellings = dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"])
    parser.add_argument(*spellings, **{"dest": name, **settings})
