"""See `codec_video_prep.integrations.llava_onevision`."""

from codec_video_prep.integrations.llava_onevision import (
    LlavaCodecPreprocessConfig,
    LlavaCodecResult,
    LlavaOneVisionCodecPreprocessor,
    codec_positions_for_processor,
    convert_positions_to_block_layout,
    drop_padding_canvases,
    format_timestamp,
    load_llava_codec_result,
    prepare_llava_onevision_inputs,
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
