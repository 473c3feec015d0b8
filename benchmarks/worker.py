"""One process that measures one implementation: reads jobs from stdin, a line of JSON each, and answers likewise.

It imports `codec_video_prep` from whatever environment runs it: ours and the original's have the same functions, so
both are measured by the same lines.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np


def all_maps(video: str, threads: int) -> int:
    from codec_video_prep.cv_reader_fast import read_video_fast

    return len(read_video_fast(video, thread_count=threads, export_bitcost=1))


def some_maps(video: str, frames: list[int], threads: int) -> int:
    from codec_video_prep.cv_reader_fast import read_video_fast_selected

    return len(read_video_fast_selected(video, frames, thread_count=threads, export_bitcost=1))


def prepare(video: str, sampled: int) -> int:
    from codec_video_prep import run_preinfer

    with tempfile.TemporaryDirectory() as folder:
        return len(run_preinfer(video=video, out_dir=f"{folder}/out", num_sampled_frames=sampled).canvas_files)


def save_maps(video: str, target: str) -> int:
    """Not measured: all maps of a video, for comparing."""
    from codec_video_prep.cv_reader_fast import read_video_fast

    costs = [frame["bitcost"] for frame in read_video_fast(video, export_bitcost=1)]
    maps = [cost["mb_bit_cost"] if "mb_bit_cost" in cost else cost["ctu_bit_cost"] for cost in costs]
    np.save(target, np.stack(maps))
    return len(maps)


def save_run(video: str, target: str, sampled: int) -> int:
    """Not measured: a whole output folder, for comparing."""
    from codec_video_prep import run_preinfer

    return len(run_preinfer(video=video, out_dir=target, num_sampled_frames=sampled).canvas_files)


JOBS = {job.__name__: job for job in (all_maps, some_maps, prepare, save_maps, save_run)}


def forget_everything() -> None:
    """Let no measurement profit from an earlier one: ours remembers what it learned of videos."""
    if "mediaref" in sys.modules:
        from mediaref import cleanup_cache

        cleanup_cache()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        os.sched_setaffinity(0, request["cores"])
        job, arguments = JOBS[request["job"]], request["arguments"]
        if not request["warm"]:
            forget_everything()
        if "target" in arguments:
            Path(arguments["target"]).parent.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        count = job(**arguments)
        answers.write(json.dumps({"seconds": time.perf_counter() - began, "count": count}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
