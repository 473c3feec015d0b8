"""Ours against codec-video-prep 0.2.5: both alive at once, measured in turns, on the same cores."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import venv
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clips import HERE, WORK
from worker_process import WorkerProcess, clean_environment

ORIGINAL = "codec-video-prep==0.2.5"
RESULTS = HERE / "RESULTS.md"


@dataclass(frozen=True)
class Row:
    """One comparison: what was done, seconds of each, and the ratio to reach."""

    name: str
    ours: float
    theirs: float
    goal: float

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours


class Contestant:
    """A worker process of one implementation."""

    def __init__(self, name: str, python: Path | str) -> None:
        self.name = name
        self._worker = WorkerProcess(python, "worker.py", environment=clean_environment(), is_quiet=False)
        self.close = self._worker.close

    def do(self, job: str, cores: list[int], *, warm: bool = False, **arguments: Any) -> float:
        """Seconds that the job took; `warm` lets it use what earlier jobs found out about the video.

        Stops the benchmark if the job failed: a ratio to a failure says nothing.
        """
        answer = self._worker.ask({"job": job, "cores": cores, "warm": warm, "arguments": arguments})
        if answer is None:
            sys.exit(f"{self.name} failed at {job} {arguments}")
        return float(answer["seconds"])


class Contest:
    """Both contestants. Use it as a context."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self.ours = Contestant("ours", sys.executable)
        self.theirs = Contestant(ORIGINAL, original_python())
        available = sorted(os.sched_getaffinity(0))
        self.one_core, self.two_cores = available[-1:], available[-2:]

    def compare(
        self, name: str, goal: float, job: str, cores: list[int], *, ours: dict[str, Any], theirs: dict[str, Any]
    ) -> Row:
        """Medians over the rounds, after one round that is not counted."""
        seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
        for number in range(self._rounds + 1):
            for who, contestant, arguments in (("ours", self.ours, ours), ("theirs", self.theirs, theirs)):
                took = contestant.do(job, cores, **arguments)
                if number:
                    seconds[who].append(took)
        row = Row(name, statistics.median(seconds["ours"]), statistics.median(seconds["theirs"]), goal)
        print(
            f"{row.name:<44} {row.ours:8.3f} s {row.theirs:8.3f} s {row.ratio:7.2f}x (goal {row.goal:g}x)", flush=True
        )
        return row

    def __enter__(self) -> Contest:
        return self

    def __exit__(self, *_: object) -> None:
        self.ours.close()
        self.theirs.close()


def original_python() -> Path:
    """The interpreter of an environment with the original, made on first use: it needs an older numpy than ours.

    The original also calls `ffprobe`, which must be on the PATH; ours needs no such program.
    """
    if shutil.which("ffprobe") is None:
        sys.exit(f"{ORIGINAL} needs the program ffprobe on the PATH (Debian: apt install ffmpeg)")
    home = WORK / "original"
    python = home / "bin" / "python"
    if not (home / ".installed").exists():
        print(f"installing {ORIGINAL} into {home} ...", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", ORIGINAL, "numpy<2"], check=True)
        (home / ".installed").touch()
    return python


def machine() -> str:
    """What the numbers were taken on, and when."""
    today = datetime.now(timezone.utc).date()
    python, ours = platform.python_version(), version("mediaref")
    return f"{today}, {_processor()}, {os.cpu_count()} cores, Python {python}, mediaref {ours}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def write_results(title: str, text: str) -> None:
    """Replace the section of RESULTS.md with this title, or add it."""
    old = RESULTS.read_text() if RESULTS.exists() else "# Measurements\n"
    head, _, rest = old.partition(f"\n## {title}\n")
    _, mark, following = rest.partition("\n## ")
    RESULTS.write_text(f"{head.rstrip()}\n\n## {title}\n\n{text.strip()}\n{mark}{following}")


def table(rows: list[Row]) -> str:
    lines = ["| what | ours | codec-video-prep 0.2.5 | ratio | goal |", "|---|---:|---:|---:|---:|"]
    lines += [f"| {r.name} | {r.ours:.3f} s | {r.theirs:.3f} s | **{r.ratio:.2f}x** | {r.goal:g}x |" for r in rows]
    return "\n".join(lines)
