"""`codec-video-prep`: prepare one video from the command line."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
from collections.abc import Sequence
from typing import Any

from codec_video_prep.api import run_preinfer_config
from codec_video_prep.config import CHOICES, FLAGS, SPELLINGS, PreinferConfig
from codec_video_prep.progress import ProgressBar
from mediaref.errors import MediaRefError

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    given = vars(_parser().parse_args(arguments))
    overwrite, quiet = given.pop("overwrite"), given.pop("quiet")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        with ProgressBar(None if quiet else sys.stderr) as bar:
            result = run_preinfer_config(PreinferConfig(**given), overwrite=overwrite, progress=bar.show)
    except MediaRefError as error:
        print(f"codec-video-prep: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("codec-video-prep: interrupted; nothing was left behind", file=sys.stderr)
        return 130
    print(json.dumps({"out_dir": result.out_dir, "meta_path": result.meta_path, "timings": result.timings}, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="codec-video-prep",
        description="Sample a video, score its blocks by their bits, and pack the best into canvases.",
        allow_abbrev=False,
    )
    for field in dataclasses.fields(PreinferConfig):
        _add_option(parser, field)
    _add(parser, "overwrite", action="store_true", help="do the work again and replace an earlier run's output")
    _add(parser, "quiet", action="store_true", help="no progress on stderr")
    return parser


def _add_option(parser: argparse.ArgumentParser, field: dataclasses.Field[Any]) -> None:
    name, text = field.name, HELP.get(field.name, ACCEPTED)
    if field.default is dataclasses.MISSING:
        _add(parser, name, required=True, metavar=name.upper(), help=text)
    elif name in FLAGS:
        _add(parser, name, action="store_true", default=field.default, help=text)
        if field.default:
            _add(parser, f"no_{name}", dest=name, action="store_false", help="the opposite")
    elif name in CHOICES:
        choices = [*CHOICES[name], *SPELLINGS.get(name, {})]
        _add(parser, name, choices=choices, default=field.default, help=f"{text} (default: {field.default})")
    else:
        kind = type(field.default)
        _add(parser, name, type=kind, default=field.default, metavar="N", help=f"{text} (default: {field.default:g})")


def _add(parser: argparse.ArgumentParser, name: str, **settings: Any) -> None:
    """Add `--name`, with hyphens accepted for its underscores."""
    spellings = dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"])
    parser.add_argument(*spellings, **{"dest": name, **settings})


if __name__ == "__main__":
    sys.exit(main())
