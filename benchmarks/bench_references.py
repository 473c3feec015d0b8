"""What references themselves cost, ours beside mediaref 1.1.0: importing the package, and JSON there and back.

python benchmarks/bench_references.py [--rounds 9] [--count 1000000] [--write]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import venv
from pathlib import Path

from contest import WORK, machine, write_results

THEIRS = "mediaref==1.1.0"
IMPORTS = {"import mediaref": 0.150, "from mediaref import MediaRef": 0.150}
"""What is imported, and the seconds that it may take."""

_IMPORT = "import time; begin = time.process_time(); {0}; print(time.process_time() - begin)"
_ROUND_TRIPS = """
import time
from mediaref import MediaRef
refs = [MediaRef(uri=f"episodes/{{number:06d}}.mp4", pts_ns=number * 33_333_333) for number in range(1000)]
begin = time.process_time()
for _ in range({0} // 1000):
    for ref in refs:
        assert MediaRef.model_validate_json(ref.model_dump_json()).pts_ns == ref.pts_ns
print(time.process_time() - begin)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--count", type=int, default=1_000_000, help="round trips")
    parser.add_argument("--write", action="store_true", help="write the table into RESULTS.md")
    given = parser.parse_args()
    theirs = their_python()
    rows = [
        row(f"`{what}`", _IMPORT.format(what), theirs, given.rounds, f"under {goal * 1000:.0f} ms")
        for what, goal in IMPORTS.items()
    ]
    trips = f"{given.count:,} times to JSON and back"
    rows.append(row(trips, _ROUND_TRIPS.format(given.count), theirs, max(3, given.rounds // 3), "no slower"))
    lines = ["| what | ours | mediaref 1.1.0 | ratio | goal |", "|---|---:|---:|---:|---:|", *rows]
    if given.write:
        notes = f"{machine()}; medians, in turns, each in a process of its own, in CPU time."
        write_results("References", f"{notes}\n\n" + "\n".join(lines))


def row(name: str, code: str, theirs: Path, rounds: int, goal: str) -> str:
    """One line of the table: medians of what `code` prints, both run in turns, after a round that is not counted."""
    seconds: dict[Path, list[float]] = {Path(sys.executable): [], theirs: []}
    for number in range(rounds + 1):
        for python, taken in seconds.items():
            value = run(python, code)
            if number:
                taken.append(value)
    ours, other = (statistics.median(taken) for taken in seconds.values())
    line = f"| {name} | {ours:.3f} s | {other:.3f} s | **{other / ours:.2f}x** | {goal} |"
    print(line, flush=True)
    return line


def run(python: Path, code: str) -> float:
    core = max(os.sched_getaffinity(0))
    shown = subprocess.run(
        [str(python), "-c", code],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    return float(shown.stdout)


def their_python() -> Path:
    """The interpreter of an environment with mediaref 1.1.0, made on first use."""
    home = WORK / "mediaref-1.1.0"
    python = home / "bin" / "python"
    if not (home / ".installed").exists():
        print(f"installing {THEIRS} into {home} ...", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", THEIRS], check=True)
        (home / ".installed").touch()
    return python


if __name__ == "__main__":
    main()
