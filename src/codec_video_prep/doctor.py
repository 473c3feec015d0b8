"""`codec-video-prep-doctor`: find out whether this installation can do its work, by doing a little of it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from mediaref.cli import doctor


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line for each check; returns 0 where all are well and 1 otherwise."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given:
        print("usage: codec-video-prep-doctor\n\nChecks the installation.")
        return 0 if given in (["-h"], ["--help"]) else 2
    return doctor.run(CHECKS)


def _preparation() -> str:
    """Encode a clip and prepare it."""
    from codec_video_prep.api import run_preinfer

    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        doctor.encode_clip(clip)
        result = run_preinfer(str(clip), str(Path(folder) / "out"), num_sampled_frames=doctor.FRAMES)
        return f"{doctor.FRAMES} frames sampled, {len(result.canvas_files)} canvases made"


CHECKS: dict[str, Callable[[], str]] = {**doctor.CHECKS, "prepare a clip": _preparation}


if __name__ == "__main__":
    sys.exit(main())
