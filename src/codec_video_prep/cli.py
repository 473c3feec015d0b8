"""`codec-video-prep`: prepare one video from the command line; `codec-video-prep batch` prepares many."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence

from codec_video_prep.api import run_preinfer_config
from codec_video_prep.batch import cli as batch_cli
from codec_video_prep.config import PreinferConfig
from codec_video_prep.options import add, add_preparation_options
from codec_video_prep.progress import ProgressBar
from codec_video_prep.report import write_report
from mediaref.errors import MediaRefError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["batch"]:
        return batch_cli.main(words[1:])
    given = vars(_parser().parse_args(words))
    overwrite, quiet, report = (given.pop(name) for name in ("overwrite", "quiet", "report"))
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        with ProgressBar(None if quiet else sys.stderr) as bar:
            result = run_preinfer_config(PreinferConfig(**given), overwrite=overwrite, progress=bar.show)
        if report:
            write_report(result.out_dir, given["video"])
    except MediaRefError as error:
        print(f"codec-video-prep: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("codec-video-prep: interrupted; nothing was left behind", file=sys.stderr)
        return 130
    print(json.dumps({"out_dir": result.out_dir, "meta_path": result.meta_path, "timings": result.timings}, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="codec-video-prep",
        description="Sample a video, score its blocks by their bits, and pack the best into canvases.",
        epilog="For many videos: codec-video-prep batch --help.",
        allow_abbrev=False,
    )
    add_preparation_options(parser)
    add(parser, "overwrite", action="store_true", help="do the work again and replace an earlier run's output")
    add(parser, "report", action="store_true", help="write report.html too, a page that shows what was kept and why")
    add(parser, "quiet", action="store_true", help="no progress on stderr")
    return parser


if __name__ == "__main__":
    sys.exit(main())
