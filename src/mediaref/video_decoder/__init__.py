"""How the frames of a video are found and read."""

from __future__ import annotations

from mediaref.video_decoder.base import BaseVideoDecoder, BatchDecodingStrategy, FrameBatch, VideoStreamMetadata
from mediaref.video_decoder.cheap_frames import nearest_cheap_frames, packets_to_feed
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.plan import DecodePlan
from mediaref.video_decoder.pyav import PyAVVideoDecoder, decode_frames
from mediaref.video_decoder.torchcodec import TorchCodecVideoDecoder

__all__ = [
    "BaseVideoDecoder",
    "BatchDecodingStrategy",
    "DecodePlan",
    "FrameBatch",
    "PyAVVideoDecoder",
    "TorchCodecVideoDecoder",
    "VideoIndex",
    "VideoStreamMetadata",
    "decode_frames",
    "nearest_cheap_frames",
    "packets_to_feed",
]
