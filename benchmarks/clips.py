"""The videos that the benchmarks run on: made once, of the demo's pictures, 640x360 and 1,500 frames."""

from __future__ import annotations

import sys
from pathlib import Path

import av

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work"
sys.path.insert(0, str(HERE.parent / "examples"))

import demo  # noqa: E402 - the examples are scripts, not a package

FRAMES = 1500

ENCODINGS = {
    "cabac-crf24": {"preset": "medium", "crf": "24"},
    "cabac-crf19": {"preset": "fast", "crf": "19"},
    "cabac-crf15": {"preset": "faster", "crf": "15", "x264-params": "bframes=0"},
    "cavlc-crf20": {"preset": "fast", "crf": "20", "profile": "baseline"},
}
"""x264's options by the name of the clip."""


def made_clips() -> dict[str, Path]:
    """Path of each clip by its name; the first call encodes them, which takes a minute or two."""
    WORK.mkdir(exist_ok=True)
    paths = {name: WORK / f"{name}.mp4" for name in ENCODINGS}
    if not all(path.exists() for path in paths.values()):
        print("making the clips ...", file=sys.stderr)
        _encode(paths)
    return paths


def _encode(paths: dict[str, Path]) -> None:
    """All clips in one pass over the pictures; a clip gets its name when it is complete."""
    containers = {name: av.open(str(path.with_suffix(".part")), "w", format="mp4") for name, path in paths.items()}
    streams = {name: containers[name].add_stream("libx264", rate=demo.RATE, options=ENCODINGS[name]) for name in paths}
    for stream in streams.values():
        stream.width, stream.height, stream.pix_fmt = demo.WIDTH, demo.HEIGHT, "yuv420p"
    for picture in demo.pictures(FRAMES):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        for name, stream in streams.items():
            containers[name].mux(stream.encode(frame))
    for name, stream in streams.items():
        containers[name].mux(stream.encode(None))
        containers[name].close()
        paths[name].with_suffix(".part").rename(paths[name])
