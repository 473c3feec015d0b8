"""The videos that the benchmarks run on: made once, of the demo's pictures, 640x360 and 1,500 frames."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work"
sys.path.insert(0, str(HERE.parent / "examples"))

import demo  # noqa: E402 - the examples are scripts, not a package

FRAMES = 1500

#: Encoder and its options.
Encoding = tuple[str, dict[str, str]]

ENCODINGS: dict[str, Encoding] = {
    "cabac-crf24": ("libx264", {"preset": "medium", "crf": "24"}),
    "cabac-crf19": ("libx264", {"preset": "fast", "crf": "19"}),
    "cabac-crf15": ("libx264", {"preset": "faster", "crf": "15", "x264-params": "bframes=0"}),
    "cavlc-crf20": ("libx264", {"preset": "fast", "crf": "20", "profile": "baseline"}),
    "hevc-crf26": ("libx265", {"preset": "veryfast", "crf": "26", "x265-params": "log-level=none"}),
    "vp9-g128": ("libvpx-vp9", {"deadline": "good", "cpu-used": "5", "b": "0", "crf": "36", "g": "128"}),
}
"""By the name of the clip. FFmpeg's keyframes of VP9 are `g` apart."""


def made_clips() -> dict[str, Path]:
    """Path of each clip by its name; the first call encodes them, which takes some minutes."""
    paths = {name: WORK / f"{name}.mp4" for name in ENCODINGS}
    encode({path: ENCODINGS[name] for name, path in paths.items()})
    return paths


def encode(
    clips: Mapping[Path, Encoding], frames: int = FRAMES, size: tuple[int, int] = (demo.WIDTH, demo.HEIGHT)
) -> None:
    """Make those of the clips that are not there, in one pass over the pictures; `size` is (width, height).

    A clip gets its name when it is complete.
    """
    missing = {path: encoding for path, encoding in clips.items() if not path.exists()}
    if not missing:
        return
    print(f"making {', '.join(path.name for path in missing)} ...", file=sys.stderr)
    WORK.mkdir(exist_ok=True)
    containers = {path: av.open(str(path.with_suffix(".part")), "w", format="mp4") for path in missing}
    streams = {path: _video_stream(containers[path], missing[path], size) for path in missing}
    for picture in demo.pictures(frames):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(*size, format="yuv420p")
        for path, stream in streams.items():
            containers[path].mux(stream.encode(frame))
    for path, stream in streams.items():
        containers[path].mux(stream.encode(None))
        containers[path].close()
        path.with_suffix(".part").rename(path)


def _video_stream(container: OutputContainer, encoding: Encoding, size: tuple[int, int]) -> Any:
    codec, options = encoding
    stream: Any = container.add_stream(codec, rate=demo.RATE, options=options)
    (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
    return stream
