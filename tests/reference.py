"""What a plain decode by PyAV gives: the measure for everything that reads less."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mediaref.video_decoder import VideoIndex


def digest(pixels: NDArray[Any]) -> tuple[tuple[int, ...], bytes]:
    """Shape and hash of an array: a whole video's frames need not be held to be compared."""
    return pixels.shape, hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16).digest()


@dataclass
class PlainDecode:
    """All frames of a video in display order."""

    pixels: list[tuple[tuple[int, ...], bytes]]
    qp: list[NDArray[np.int32] | None]
    corrupt: list[bool]


def plain_decode(path: Path, index: VideoIndex, *, qp: bool = False, pixels: bool = True) -> PlainDecode:
    """Decode everything in one go, as simply as PyAV can; packets that fail are passed over.

    `qp=True` also asks the decoder for the quantiser of each macroblock, of progressive frames.
    """
    frames: list[tuple[int | None, tuple[Any, ...]]] = []
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams.video if stream.codec_context)
        stream.codec_context.thread_count = 1
        if qp:
            stream.codec_context.options = {"export_side_data": "venc_params"}
        for packet in container.demux(stream):
            try:
                decoded = stream.codec_context.decode(packet if packet.size else None)
            except av.FFmpegError:
                continue
            for frame in decoded:
                shown = index.orientation.apply(frame.to_ndarray(format="rgb24")) if pixels else np.empty(0)
                quantiser = _qp_map(frame) if qp and not frame.interlaced_frame else None
                frames.append((frame.pts, (digest(shown), quantiser, frame.is_corrupt)))
        # A container whose timestamps contradict the decoder's order is shown by its timestamps; AVI has none.
        if container.format.name != "avi" and all(pts is not None for pts, _ in frames):
            frames.sort(key=lambda entry: entry[0])
    columns = list(zip(*(content for _, content in frames), strict=True)) or [[], [], []]
    return PlainDecode(*(list(column) for column in columns))


def _qp_map(frame: av.VideoFrame) -> NDArray[np.int32] | None:
    parameters: Any = frame.side_data.get(av.sidedata.sidedata.Type.VIDEO_ENC_PARAMS)
    if parameters is None or parameters.nb_blocks != -(-frame.width // 16) * -(-frame.height // 16):
        return None
    result: NDArray[np.int32] = parameters.qp_map()
    return result
