"""Worker processes that die take nothing but their own task with them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clips import make_clip

from codec_video_prep.batch.pool import WorkerDiedError, WorkerPool
from codec_video_prep.output import OutputError


def _answer(task: str) -> str:
    if task == "die":
        os._exit(7)
    if task == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "raise":
        raise OutputError("no space left")
    return task.upper()


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
def test_a_worker_that_dies_costs_its_own_task_only() -> None:
    tasks = ["a", "die", "b", "kill", "c", "d"]
    found: dict[str, Any] = {}
    waiting: Iterator[str] = iter(tasks)
    with WorkerPool(2, _answer) as pool:
        while len(found) < len(tasks):
            while pool.has_idle and (task := next(waiting, None)):
                pool.give(task)
            found.update(pool.results())
    assert {task: answer for task, answer in found.items() if isinstance(answer, str)} == dict(
        zip("abcd", "ABCD", strict=True)
    )
    assert "status 7" in str(found["die"])
    assert "SIGKILL" in str(found["kill"])
    assert isinstance(found["kill"], WorkerDiedError)


def test_what_a_worker_raises_is_raised_and_no_process_stays() -> None:
    with pytest.raises(OutputError, match="no space left"), WorkerPool(2, _answer) as pool:  # noqa: PT012
        pool.give("raise")
        while pool.is_busy:
            list(pool.results())
    assert not multiprocessing.active_children()


def test_a_script_that_runs_again_in_its_workers_is_told_so_and_ends(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    make_clip(tmp_path / "clip.mp4", frames=14, size=(96, 80))
    call = "from codec_video_prep.batch import run_batch\nrun_batch(['clip.mp4'], 'out', workers=2)\n"
    (tmp_path / "script.py").write_text(call)
    ended = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 1
    assert 'put what starts workers under `if __name__ == "__main__":`' in ended.stderr
    assert "WorkerStartError: a worker process ended with status 1 before it could begin" in ended.stderr
