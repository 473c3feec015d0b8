"""A prompt and a prepared video as the tensors that the model takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from codec_video_prep.integrations.llava_onevision.patches import codec_positions_for_processor, drop_padding_canvases
from codec_video_prep.integrations.llava_onevision.preparation import LlavaCodecResult
from codec_video_prep.integrations.llava_onevision.prompt import (
    VISION_BLOCKS,
    VISION_END,
    VISION_START,
    rewrite_text_with_codec_positions,
)
from mediaref.errors import InvalidReferenceError

_DEFAULT_DECIMALS = 1


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
    if not VISION_BLOCKS.search(text):
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
