"""`codec-video-prep-doctor`: find out whether this installation can do its work, by doing a little of it."""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

FRAMES, WIDTH, HEIGHT = 12, 128, 96


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line for each check; returns 0 where all are well and 1 otherwise."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given:
        print("usage: codec-video-prep-doctor\n\nChecks the installation.")
        return 0 if given in (["-h"], ["--help"]) else 2
    results = [_report(name, check) for name, check in CHECKS.items()]
    print("all is well" if all(results) else "something is wrong; see above")
    return 0 if all(results) else 1


def _report(name: str, check: Callable[[], str]) -> bool:
    try:
        found = check()
    except Exception as error:  # whatever is wrong with an installation is what this command is for
        print(f"{name}: FAIL ({type(error).__name__}: {error})")
        return False
    print(f"{name}: OK ({found})")
    return True


def _python() -> str:
    return f"{sys.version.split()[0]}, mediaref {version('mediaref')}"


def _libraries() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("numpy", "pillow", "av"))


def _ffmpeg() -> str:
    av = importlib.import_module("av")
    codecs = [name for name in ("h264", "hevc", "vp9", "av1") if name in av.codecs_available]
    if "h264" not in codecs:
        raise RuntimeError("this build of FFmpeg has no H.264 decoder")
    return f"inside PyAV, decodes {' '.join(codecs)}"


def _native() -> str:
    native = importlib.import_module("mediaref._native")
    native.StreamParser("h264")
    return Path(str(native.__file__)).name


def _round_trip() -> str:
    """Encode a clip, read its bits and pixels, and prepare it."""
    from codec_video_prep.api import run_preinfer
    from mediaref.bitcost import read_bit_costs

    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        _encode(clip)
        costs = read_bit_costs(clip, threads=1)
        for cost in costs:
            if int(cost.bits.sum()) + cost.overhead_bits != cost.packet_bits:
                raise RuntimeError(f"the bits of frame {cost.frame_index} do not add up")
        result = run_preinfer(str(clip), str(Path(folder) / "out"), num_sampled_frames=FRAMES)
        return f"{len(costs)} frames encoded, every bit accounted for, {len(result.canvas_files)} canvases made"


def _encode(path: Path) -> None:
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
    "FFmpeg": _ffmpeg,
    "bitstream parser": _native,
    "encode, parse and decode": _round_trip,
}


if __name__ == "__main__":
    sys.exit(main())
