"""The text of a prompt: when each frame was shown, and an image token for each merged square of its patches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from mediaref.errors import InvalidReferenceError

VISION_START, IMAGE_PAD, VISION_END = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"

_BLOCK = rf"{re.escape(VISION_START)}(?:(?!{re.escape(VISION_START)}).)*?{re.escape(VISION_END)}"
VISION_BLOCKS = re.compile(rf"{_BLOCK}(?:\s*{_BLOCK})*\n?", re.DOTALL)


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
    blocks = list(VISION_BLOCKS.finditer(text))
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
