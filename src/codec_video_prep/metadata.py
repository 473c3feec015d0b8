"""What meta.json says: every key that readers of the original's files know, and what ours adds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec_video_prep.clock import Clock
from codec_video_prep.config import PreinferConfig
from codec_video_prep.geometry import Geometry
from codec_video_prep.grouping import BITS_PER_PIXEL_LIMITS, Group, clamp_bits_per_pixel, readiness_limits
from codec_video_prep.output import MASK_ONLY, MASK_SIDE_BY_SIDE
from codec_video_prep.video_facts import VideoFacts


@dataclass(frozen=True, eq=False)
class Sampled:
    """Which frames were chosen, and how that went."""

    frames: NDArray[np.int64]
    debug: dict[str, Any]
    keyframes: int
    """Keyframes of the whole video."""


@dataclass(eq=False)
class Packed:
    """What became of the sampled frames."""

    groups: list[Group] = field(default_factory=list)
    descriptions: list[dict[str, Any]] = field(default_factory=list)
    """What meta.json says of each group."""
    origins: list[NDArray[np.int32]] = field(default_factory=list)
    """Where the patches of each group's canvases come from."""
    seconds: list[float] = field(default_factory=list)
    """How long packing each group took."""
    canvas_files: list[str] = field(default_factory=list)
    bad_frames: list[int] = field(default_factory=list)
    """Frames that show nothing."""
    dropped_frames: list[int] = field(default_factory=list)
    """Frames at the end that were too few for a group."""


def describe_run(
    config: PreinferConfig,
    video: VideoFacts,
    sampled: Sampled,
    geometry: Geometry,
    threshold: float,
    clip_debug: dict[str, object] | None,
    packed: Packed,
    clock: Clock,
) -> dict[str, Any]:
    """All of meta.json but the keys that tell one run from another; those are `api`'s."""
    canvases = len(packed.canvas_files)
    per_canvas = math.prod(geometry.patches)
    described = {
        **_describe_video(config, video),
        **_describe_geometry(geometry),
        **_describe_options(config),
        **_describe_sampling(config, video, sampled, packed),
        "readiness_sum_threshold": threshold,
        "iframe_score_clip_debug": clip_debug,
        "num_groups": len(packed.groups),
        "group_specs": [_describe_spec(group, config) for group in packed.groups],
        "groups": packed.descriptions,
        "total_images": canvases,
        "total_patches": canvases * per_canvas,
        "canvas_files": packed.canvas_files,
        "jpg_files": packed.canvas_files,
        "src_patch_position_sorted_by_t": True,
        "canvas_pixels_sorted_by_t": True,
        "score_source": "bitcost",
        "frame_score_norm_mode": "none",
        "frame_score_norm_debug": None,
    }
    timings = {**clock.seconds, "total_before_meta_write": clock.total, "total": clock.total}
    per_group = [{"group_idx": number, "sec": seconds} for number, seconds in enumerate(packed.seconds)]
    return {**described, "timing_sec": timings, "timings": timings, "group_processing_timing_sec": per_group}


def describe_group(
    group: Group, frame_ids: Sequence[int], first_canvas: int, config: PreinferConfig, geometry: Geometry
) -> dict[str, Any]:
    """One entry of `groups`: the frames of a group, its first one the anchor, and what was selected of each."""
    ids = list(frame_ids)
    ids[0], ids[group.anchor] = ids[group.anchor], ids[0]
    chosen = group.selection
    per_frame = {str(place): chosen.scores[chosen.frames == place] for place in np.unique(chosen.frames)}
    readiness = describe_readiness(group, config)
    return {
        "group_idx": group.index,
        "frame_ids": ids,
        "images_per_group": config.images_per_group,
        "patch": config.patch,
        "block_size": config.block_size,
        "block_patch_count": config.block_size**2,
        "grid_hw": list(geometry.patches),
        "total_patches": config.images_per_group * math.prod(geometry.patches),
        "selected_blocks": len(chosen.scores),
        "selected_block_score_sum": chosen.total,
        "selected_block_score_mean": readiness["topk_candidate_block_score_mean"],
        "selected_block_score_density": readiness["topk_candidate_block_score_density"],
        "selected_blocks_per_frame": {place: len(scores) for place, scores in per_frame.items()},
        "selected_block_score_sum_per_frame": {place: float(scores.sum()) for place, scores in per_frame.items()},
        "global_img_offset": first_canvas,
        "num_canvases": config.images_per_group,
        "group_start_idx": group.start,
        "group_end_idx": group.end,
        "group_frame_count": group.frame_count,
        "group_stop_reason": group.stop_reason,
        "group_readiness": readiness,
    }


def describe_readiness(group: Group, config: PreinferConfig) -> dict[str, Any]:
    """How good the kept blocks of a group are, and how they spread over its time."""
    chosen, bins = group.selection, config.readiness_coverage_bins
    used = np.unique(chosen.frames)
    covered = chosen.time_bins(group.frame_count, bins)
    return {
        "candidate_block_count": chosen.offered,
        "topk_candidate_block_score_sum": chosen.total,
        "topk_candidate_block_score_mean": chosen.total / max(1, len(chosen.scores)),
        "topk_candidate_block_score_density": chosen.total / group.frame_count,
        "selected_time_bins": covered,
        "selected_time_bin_ratio": covered / bins,
        "selected_unique_frames": len(used),
        "selected_unique_frame_ratio": len(used) / max(1, group.frame_count - 1),
        "block_budget": chosen.budget,
        "selected_t_rel": used.tolist(),
    }


def _describe_spec(group: Group, config: PreinferConfig) -> dict[str, Any]:
    return {
        "group_idx": group.index,
        "start": group.start,
        "end": group.end,
        "frame_count": group.frame_count,
        "stop_reason": group.stop_reason,
        "readiness": describe_readiness(group, config),
    }


def _describe_video(config: PreinferConfig, video: VideoFacts) -> dict[str, Any]:
    index = video.index
    clamped = clamp_bits_per_pixel(video.bits_per_pixel)
    low, high = BITS_PER_PIXEL_LIMITS
    return {
        "metadata": {
            "video": index.source.name,
            "total_frames": len(index),
            "fps": video.fps,
            "height": index.height,
            "width": index.width,
            "codec_name": index.codec,
            "stream_bit_rate": video.bit_rate,
            "format_bit_rate": video.bit_rate,
            "duration": video.duration,
        },
        "total_frames": len(index),
        "fps": video.fps,
        "stream_hw": [index.height, index.width],
        "codec_name": index.codec,
        "video_bit_rate": video.bit_rate,
        "bits_per_frame": video.bits_per_frame,
        "bits_per_pixel_per_frame": video.bits_per_pixel,
        "bits_per_pixel_per_frame_clamped": clamped,
        "bpppf_clamp_min": low,
        "bpppf_clamp_max": high,
        "readiness_threshold_norm_factor": 1.0 if config.grouping_mode == "fixed" else math.sqrt(clamped),
    }


def _describe_geometry(geometry: Geometry) -> dict[str, Any]:
    (resized_height, resized_width), (height, width) = geometry.resized, geometry.padded
    return {
        "orig_hw": list(geometry.source),
        "processed_hw": list(geometry.padded),
        "resize_hw": list(geometry.resized),
        "padded_hw": list(geometry.padded),
        "pad_bottom_right": [height - resized_height, width - resized_width],
        "hb_wb": list(geometry.patches),
        "S_full": math.prod(geometry.patches),
    }


def _describe_options(config: PreinferConfig) -> dict[str, Any]:
    shortest, longest = readiness_limits(config)
    named = (
        "avoid_keyframes grouping_mode group_size images_per_group readiness_sum_threshold_mode "
        "readiness_norm_sum_threshold min_group_frames max_group_frames readiness_coverage_bins "
        "readiness_delta_ratio save_mask_video patch block_size bitcost_grid bitcost_pct bitcost_log_scale "
        "iframe_score_clip_mode iframe_score_clip_percentile decode_backend"
    )
    return {
        **{name: getattr(config, name) for name in named.split()},
        "avoid_keyframe_offset": 1,
        "mask_video_sbs": MASK_SIDE_BY_SIDE if config.save_mask_video else None,
        "mask_video_only": MASK_ONLY if config.save_mask_video else None,
        "group_limit_debug": {
            "sample_fps": config.sample_fps,
            "min_group_frames_resolved": shortest,
            "max_group_frames_resolved": longest,
            "min_group_source": "frames",
            "max_group_source": "frames",
            "min_group_sec_input": 0.0,
            "max_group_sec_input": 0.0,
            "min_group_frames_input": config.min_group_frames,
            "max_group_frames_input": config.max_group_frames,
        },
    }


def _describe_sampling(config: PreinferConfig, video: VideoFacts, sampled: Sampled, packed: Packed) -> dict[str, Any]:
    times = video.index.pts_ns
    fixed = config.grouping_mode == "fixed"
    return {
        "sampled_frames": len(sampled.frames),
        "seq_len": len(sampled.frames),
        "sampling_debug": sampled.debug,
        "keyframes_found": sampled.keyframes,
        "frame_ids": sampled.frames.tolist(),
        "frame_pts_ns": None if times is None else times[sampled.frames].tolist(),
        "start_pts_ns": None if times is None else int(times[0]),
        "tail_frames": len(sampled.frames) % config.group_size if fixed else len(packed.dropped_frames),
        "dropped_frames": packed.dropped_frames,
        "bad_frames": packed.bad_frames,
    }
