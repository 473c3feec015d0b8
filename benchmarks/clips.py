"""The videos that the benchmarks run on: made once, of the demo's pictures, 640x360 and 1,500 frames."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work"
sys.path.insert(0, str(HERE.parent / "examples"))

import demo  # noqa: E402 - the examples are scripts, not a package

FRAMES = 1500

ENCODINGS = {
    "cabac-crf24": ("libx264", {"preset": "medium", "crf": "24"}),
    "cabac-crf19": ("libx264", {"preset": "fast", "crf": "19"}),
    "cabac-crf15": ("libx264", {"preset": "faster", "crf": "15", "x264-params": "bframes=0"}),
    "cavlc-crf20": ("libx264", {"preset": "fast", "crf": "20", "profile": "baseline"}),
    "hevc-crf26": ("libx265", {"preset": "veryfast", "crf": "26", "x265-params": "log-level=none"}),
    "vp9-g128": ("libvpx-vp9", {"deadline": "good", "cpu-used": "5", "b": "0", "crf": "36", "g": "128"}),
}
"""Encoder and its options by the name of the clip. FFmpeg's keyframes of VP9 are `g` apart."""


def made_clips() -> dict[str, Path]:
    """Path of each clip by its name; the first call encodes them, which takes some minutes."""
    WORK.mkdir(exist_ok=True)
    paths = {name: WORK / f"{name}.mp4" for name in ENCODINGS}
    missing = {name: path for name, path in paths.items() if not path.exists()}
    if missing:
        print("making the clips ...", file=sys.stderr)
        _encode(missing)
    return paths


def _encode(paths: dict[str, Path]) -> None:
    """All clips in one pass over the pictures; a clip gets its name when it is complete."""
    containers = {name: av.open(str(path.with_suffix(".part")), "w", format="mp4") for name, path in paths.items()}
    streams = {name: _video_stream(containers[name], *ENCODINGS[name]) for name in paths}
    for picture in demo.pictures(FRAMES):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        for name, stream in streams.items():
            containers[name].mux(stream.encode(frame))
    for name, stream in streams.items():
        containers[name].mux(stream.encode(None))
        containers[name].close()
        paths[name].with_suffix(".part").rename(paths[name])


def _video_stream(container: OutputContainer, codec: str, options: dict[str, str]) -> Any:
    stream: Any = container.add_stream(codec, rate=demo.RATE, options=options)
    stream.width, stream.height, stream.pix_fmt = demo.WIDTH, demo.HEIGHT, "yuv420p"
    return stream
