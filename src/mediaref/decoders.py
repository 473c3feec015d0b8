"""The video decoders under the name that the documents of 1.1 use; they live in `mediaref.video_decoder`."""

from __future__ import annotations

from mediaref.video_decoder import (
    BaseVideoDecoder,
    BatchDecodingStrategy,
    FrameBatch,
    PyAVVideoDecoder,
    TorchCodecVideoDecoder,
    VideoStreamMetadata,
)

__all__ = [
    "BaseVideoDecoder",
    "BatchDecodingStrategy",
    "FrameBatch",
    "PyAVVideoDecoder",
    "TorchCodecVideoDecoder",
    "VideoStreamMetadata",
]
