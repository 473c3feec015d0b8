"""`mediaref doctor`: find out whether this installation can do its work, by doing a little of it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import mediaref

FRAMES, WIDTH, HEIGHT = 12, 128, 96
_CODECS = ("h264", "hevc", "vp9", "av1")


def run(checks: Mapping[str, Callable[[], str]] | None = None) -> int:
    """Print one line for each check; returns 0 where all are well and 1 otherwise."""
    results = [_is_well(name, check) for name, check in (checks or CHECKS).items()]
    print("all is well" if all(results) else "something is wrong; see above")
    return 0 if all(results) else 1


def _is_well(name: str, check: Callable[[], str]) -> bool:
    try:
        found = check()
    except Exception as error:  # whatever is wrong with an installation is what this command is for
        print(f"{name}: FAIL ({type(error).__name__}: {error})")
        return False
    print(f"{name}: OK ({found})")
    return True


def _python() -> str:
    return f"{sys.version.split()[0]}, mediaref {mediaref.__version__}"


def _libraries() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("numpy", "pillow", "pydantic", "fsspec"))


def _extras() -> str:
    shown = []
    for name in ("datasets", "pyarrow", "torchcodec"):
        try:
            shown.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            shown.append(f"{name} not installed")
    return ", ".join(shown)


def _ffmpeg() -> str:
    from mediaref.video_decoder.container import import_av

    av = import_av()
    codecs = [name for name in _CODECS if name in av.codecs_available]
    if "h264" not in codecs:
        raise RuntimeError("this build of FFmpeg has no H.264 decoder")
    return f"inside PyAV {av.__version__}, decodes {' '.join(codecs)}"


def _native() -> str:
    native = importlib.import_module("mediaref._native")
    native.StreamParser("h264")
    return Path(str(native.__file__)).name


def _round_trip() -> str:
    """Encode a clip, then read its pixels and its bits through references."""
    from mediaref.batch import batch_bit_costs, batch_decode
    from mediaref.ref import MediaRef

    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        encode_clip(clip)
        refs = [MediaRef(uri=str(clip), pts_ns=number * 10**9 // 30) for number in range(FRAMES)]
        for pixels in batch_decode(refs, threads=1):
            if pixels.shape != (HEIGHT, WIDTH, 3):
                raise RuntimeError(f"a frame came out as {pixels.shape}")
        for cost in batch_bit_costs(refs, threads=1):
            if int(cost.bits.sum()) + cost.overhead_bits != cost.packet_bits:
                raise RuntimeError(f"the bits of frame {cost.frame_index} do not add up")
    return f"{FRAMES} frames, every bit accounted for"


def encode_clip(path: Path) -> None:
    """Write a small H.264 clip of `FRAMES` frames at 30 frames a second."""
    import av

    texture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FRAMES):
            picture = np.roll(texture, 2 * number, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


CHECKS: dict[str, Callable[[], str]] = {
    "python": _python,
    "libraries": _libraries,
    "optional libraries": _extras,
    "FFmpeg": _ffmpeg,
    "bitstream parser": _native,
    "encode, decode and parse": _round_trip,
}
