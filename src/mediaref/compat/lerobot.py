"""LeRobot's video frames, `{"path": ..., "timestamp": seconds}`, as references and back; needs no lerobot."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

from mediaref.errors import InvalidReferenceError
from mediaref.ref import MediaRef

__all__ = ["from_videoframe", "lerobot_episode_to_refs", "to_videoframe"]

_SECOND = 1_000_000_000


def from_videoframe(vf: Mapping[str, Any]) -> MediaRef:
    """The reference to a frame of lerobot; keys other than `path` and `timestamp` are ignored.

    The timestamp is seconds: any real number of Python or NumPy, or one in a NumPy array or a tensor. Raises
    `KeyError` for a missing key, `TypeError`, or `InvalidReferenceError` (a `ValueError`) for what is not finite.
    """
    for key in ("path", "timestamp"):
        if key not in vf:
            raise KeyError(f"a VideoFrame needs {key!r}; this one has {sorted(map(str, vf))}")
    path = vf["path"]
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"VideoFrame.path must be str or a path; got {type(path).__name__}")
    return MediaRef(uri=os.fspath(path), pts_ns=_nanoseconds(vf["timestamp"], "VideoFrame.timestamp"))


def to_videoframe(ref: MediaRef) -> dict[str, Any]:
    """The frame of lerobot that `ref` points at. Raises `InvalidReferenceError` (a `ValueError`) for an image."""
    if ref.pts_ns is None:
        raise InvalidReferenceError(f"{ref!r}: pts_ns is None, and a VideoFrame of lerobot needs a timestamp")
    return {"path": ref.uri, "timestamp": ref.pts_ns / _SECOND}


def lerobot_episode_to_refs(
    *, video_path: str | os.PathLike[str], from_timestamp: float, frame_timestamps: Iterable[float]
) -> list[MediaRef]:
    """References to the frames of one episode in a video that holds several.

    `from_timestamp` is when the episode begins in the video and `frame_timestamps` count from there, all in seconds.
    Raises as `from_videoframe`.
    """
    begin = _nanoseconds(from_timestamp, "from_timestamp")
    return [
        MediaRef(uri=os.fspath(video_path), pts_ns=begin + _nanoseconds(timestamp, f"frame_timestamps[{number}]"))
        for number, timestamp in enumerate(frame_timestamps)
    ]


def _nanoseconds(seconds: Any, name: str) -> int:
    value = seconds.item() if getattr(seconds, "ndim", None) == 0 else seconds
    if isinstance(value, Integral):
        return int(value) * _SECOND
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be numeric; got {type(seconds).__name__}")
    time = float(value)
    if not math.isfinite(time):
        raise InvalidReferenceError(f"{name} is {time}; it must be finite")
    return round((time + _lost_in_single_precision(time)) * _SECOND)


def _lost_in_single_precision(time: float) -> float:
    """By how much the number that was rounded to `time` may have been above it, if `time` once was a float32.

    LeRobot stores float32, which at one minute is off by up to 2 microseconds: rounded down, it would point at the
    frame before. The far end of what a float32 stands for still lies within the right frame. Sixteenths of a second
    are taken at their word: float32 has them exactly, and frames begin on them or well away from them.
    """
    try:
        (single,) = struct.unpack("f", struct.pack("f", time))
    except OverflowError:
        return 0.0
    if single != time or (time * 16).is_integer():
        return 0.0
    return math.ldexp(1.0, math.frexp(time)[1] - 25)
