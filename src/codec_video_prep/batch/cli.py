"""`codec-video-prep batch`: prepare many videos from the command line."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence

from codec_video_prep.batch.formats import FORMATS
from codec_video_prep.batch.inputs import COLUMNS, list_videos
from codec_video_prep.batch.run import VIDEOS_PER_PART, run_batch
from codec_video_prep.options import add, add_preparation_options
from codec_video_prep.progress import BatchLine
from mediaref.errors import MediaRefError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.

    A batch of which something could be prepared is done; what could not is in errors.parquet.
    """
    given = vars(_parser().parse_args(arguments))
    ours = ("format", "videos_per_part", "num_shards", "shard_id", "workers", "ray", "overwrite", "retry_failed")
    settings = {name: given.pop(name) for name in ours}
    inputs, column, output, quiet = (given.pop(name) for name in ("input", "column", "output", "quiet"))
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        videos = list_videos(inputs, column)
        with BatchLine(None if quiet else sys.stderr) as line:
            result = run_batch(videos, output, options=given, progress=line.show, **settings)
    except MediaRefError as error:
        print(f"codec-video-prep batch: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("codec-video-prep batch: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    tally = result.tally
    told = {"output": result.output, "videos": tally.total, "done": tally.done, "done_before": tally.before}
    print(json.dumps({**told, "failed": tally.failed, "errors": result.errors_file}, indent=2))
    return 0 if tally.failed < tally.total or not tally.total else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="codec-video-prep batch",
        description="Prepare many videos. Run again after an interruption, the same command goes on where it was; a "
        "video that cannot be prepared is reported in errors.parquet, and the rest is done.",
        allow_abbrev=False,
    )
    inputs = "a .parquet table, a .txt list, a pattern, a folder or a video, as path or URI; may be given several times"
    add(parser, "input", required=True, action="append", metavar="WHAT", help=inputs)
    add(parser, "column", metavar="NAME", help=f"column of the tables (default: {', '.join(COLUMNS)})")
    add(parser, "output", required=True, metavar="WHERE", help="folder or URI to write to (s3://bucket/folder)")
    add(parser, "format", choices=list(FORMATS), default="folders", help="what to write (default: folders)")
    sizes = ", ".join(f"{size} for {name}" for name, size in VIDEOS_PER_PART.items())
    add(parser, "videos_per_part", type=int, metavar="N", help=f"videos in one shard or table (default: {sizes})")
    add(parser, "num_shards", type=int, default=1, metavar="N", help="runs that share the videos (default: 1)")
    add(parser, "shard_id", type=int, default=0, metavar="I", help="which of them this is, from 0 (default: 0)")
    add(parser, "workers", type=int, metavar="N", help="processes (default: the CPUs that this one may use)")
    add(parser, "ray", metavar="ADDRESS", help="run on a Ray cluster: its address, auto, or local to start one here")
    add(parser, "overwrite", action="store_true", help="replace what another batch has left in the output")
    add(parser, "retry_failed", action="store_true", help="try again what failed in an earlier run")
    add(parser, "quiet", action="store_true", help="no progress on stderr")
    add_preparation_options(parser, leave_out=("video", "out_dir"))
    return parser
