"""Canvases as the input of LLaVA-OneVision-2: prepared and kept in a cache folder, then text and tensors for the model.

    preprocessor = LlavaOneVisionCodecPreprocessor(LlavaCodecPreprocessConfig("cache", target_canvas=32))
    result = preprocessor.run("clip.mp4")
    inputs = prepare_llava_onevision_inputs(processor, prompt, result)

The model's vision tower looks at patches in merged squares of `spatial_merge_size` patches a side, square after
square, and its text has one image token for each square. `patch_positions` follows that order and says of each patch
which frame of the video it comes from and where it stood there; the text tells when those frames were shown.
"""

from codec_video_prep.integrations.llava_onevision.model_inputs import prepare_llava_onevision_inputs
from codec_video_prep.integrations.llava_onevision.patches import (
    codec_positions_for_processor,
    convert_positions_to_block_layout,
    drop_padding_canvases,
)
from codec_video_prep.integrations.llava_onevision.preparation import (
    LlavaCodecPreprocessConfig,
    LlavaCodecResult,
    LlavaOneVisionCodecPreprocessor,
    load_llava_codec_result,
)
from codec_video_prep.integrations.llava_onevision.prompt import (
    format_timestamp,
    rewrite_text_with_codec_positions,
    timestamp_runs,
)

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
