"""`report.html`: one self-contained page that shows what was made of a video, and why.

It is made from a finished folder and the video; it is no part of the result, and can be made at any later time.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from codec_video_prep.output import REPORT, OutputError
from codec_video_prep.report.facts import gather
from codec_video_prep.report.page import page
from mediaref.cli.files import write_whole

__all__ = ["write_report"]


def write_report(out_dir: str | PathLike[str], video: str | PathLike[str]) -> Path:
    """Write `report.html` into a finished folder, and return its path.

    Args:
        out_dir: What `run_preinfer` made.
        video: The video that it was made of, for the pictures and maps of some frames.

    Raises:
        MediaNotFoundError, CorruptMediaError: the folder is not a finished one, or the video cannot be read.
        OutputError: (an `OSError`) the page cannot be written.
    """
    path = Path(out_dir) / REPORT
    text = page(gather(Path(out_dir), video))
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path
