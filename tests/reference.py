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


def presented(path: Path) -> list[av.VideoFrame]:
    """All frames that FFmpeg gives of a small video."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def picture_types(path: Path) -> list[str]:
    """`I`, `P` or `B` of each frame that FFmpeg gives."""
    return [av.video.frame.PictureType(frame.pict_type).name for frame in presented(path)]


@dataclass
class PlainDecode:
    """All frames of a video in display order."""

    pixels: list[tuple[tuple[int, ...], bytes]]
    qp: list[NDArray[np.int32] | None]
    corrupt: list[bool]


def plain_decode(path: Path, index: VideoIndex, *, qp_every: int = 0, pixels: bool = True) -> PlainDecode:
    """Decode everything in one go, as simply as PyAV can; packets that fail are passed over.

    `qp_every=n` also asks the decoder for the quantiser of each macroblock, of every n-th frame if it is progressive.
    """
    frames: list[tuple[int | None, tuple[Any, ...]]] = []
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams.video if stream.codec_context)
        stream.codec_context.thread_count = 1
        if qp_every:
            stream.codec_context.options = {"export_side_data": "venc_params"}
        stored: list[int | None] = []
        for packet in container.demux(stream):
            stored += [packet.pts] if packet.size else []
            try:
                decoded = stream.codec_context.decode(packet if packet.size else None)
            except av.FFmpegError:
                continue
            for frame in decoded:
                shown = index.orientation.apply(frame.to_ndarray(format="rgb24")) if pixels else np.empty(0)
                chosen = qp_every and len(frames) % qp_every == 0 and not frame.interlaced_frame
                quantiser = _qp_map(frame) if chosen else None
                frames.append((frame.pts, (digest(shown), quantiser, frame.is_corrupt)))
        # Where the timestamps contradict the decoder's order they win, unless they only repeat the decoding order.
        times = [pts for pts, _ in frames]
        if None not in times and stored != sorted(stored, key=lambda pts: pts or 0):
            frames.sort(key=lambda entry: entry[0] or 0)
    columns = list(zip(*(content for _, content in frames), strict=True)) or [[], [], []]
    return PlainDecode(*(list(column) for column in columns))


def _qp_map(frame: av.VideoFrame) -> NDArray[np.int32] | None:
    parameters: Any = frame.side_data.get(av.sidedata.sidedata.Type.VIDEO_ENC_PARAMS)
    if parameters is None or parameters.nb_blocks != -(-frame.width // 16) * -(-frame.height // 16):
        return None
    result: NDArray[np.int32] = parameters.qp_map()
    return result
