"""How fast chosen frames are decoded, beside every other library that reads them from Python.

    python benchmarks/bench_decode.py [--full] [--minutes M] [--codecs h264 hevc vp9 av1] [--gops 40 250]
                                      [--sizes 360 1080] [--patterns ...] [--threads 1 2] [--peers ...]
                                      [--rounds 3] [--clock wall|processor] [--again] [--torchcodec] [--write]

Without --full it measures H.264 alone: a few minutes. All libraries are alive at once, each in an environment of its
own that the first run makes, and are measured in turns on the same cores. Rows are kept as they are measured, so a run
that is ended, by --minutes or by hand, goes on with the next call; --again measures them anew, but for peers that were
far behind. torchcodec takes part once --torchcodec has made its environment (gigabytes, for its PyTorch).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clips import HERE, WORK
from contest import machine, write_results
from decode_clips import ENCODERS, FRAMES, GOPS, LONG_MINUTES, made_clips, made_long_clip
from decode_plot import PLOT, plot
from worker_process import WorkerProcess, clean_environment

from mediaref.video_decoder import DecodePlan, VideoIndex

#: What is installed for each peer, and which function of the worker it runs.
PEERS = {
    "mediaref 1.1.0": ("mediaref-1.1.0", ["mediaref[video]==1.1.0"], "original"),
    "mediaref 2.1.0": ("mediaref-2.1.0", ["mediaref==2.1.0"], "original"),
    "decord": ("decord", ["eva-decord", "numpy"], "decord"),
    "video-reader-rs": ("video-reader-rs", ["video-reader-rs", "numpy"], "video_reader_rs"),
    "OpenCV": ("opencv", ["opencv-python-headless", "numpy"], "opencv"),
    "PyAV": ("pyav", ["av", "numpy"], "pyav"),
    "torchcodec": ("torchcodec", None, "torchcodec"),
    "torchcodec approximate": ("torchcodec", None, "torchcodec_approximate"),
}
#: Peers that cannot be held to one thread, or use all cores unless they are told to.
USES_ALL_CORES = {"decord", "OpenCV"}
#: torchcodec brings no FFmpeg: it is lent PyAV's.
_TORCHCODEC = ["torch", "torchcodec", "av", "numpy", str(HERE.parent / "packages" / "patch-torchcodec")]
#: Who takes this many times as long as the fastest is measured once: nothing depends on it.
_FAR_BEHIND = 2.0
#: The same for rows in which nobody is done sooner than these seconds.
_FAR_BEHIND_LONG = 1.3
_LONG_SECONDS = 1.0
#: Short rows vary much: they have as many rounds as fit into this time.
_SECONDS_A_ROW = 3.0
_MOST_ROUNDS = 25
#: Of larger results there would not be room for everybody's.
_MOST_BYTES = 1 << 30
#: Patterns that a video of an hour is measured with; what they take is compared with the short clip's.
_LONG_PATTERNS = ("1 cold", "1 warm", "64 random", "64 even")
_KEPT_ROWS = WORK / "decode-rows.jsonl"
#: The time of day in what decord complains of, which would tell its complaints apart.
_CLOCK = re.compile(r"\[\d\d:\d\d:\d\d\] ")


def patterns(frames: int, most: int | None = None) -> dict[str, list[int]]:
    """The frames asked for, by the name of the pattern; the first is asked of a video that nobody knows.

    `most` is how many "all" may be.
    """
    middle = frames // 2 + 3
    return {
        "1 cold": [middle],
        "1 warm": [middle],
        "16 consecutive": list(range(middle, middle + 16)),
        "10 even": [int((number + 0.5) * frames / 10) for number in range(10)],
        "64 random": sorted(random.Random(64).sample(range(frames), 64)),
        "64 even": [int((number + 0.5) * frames / 64) for number in range(64)],
        "every 5th": list(range(0, frames, 5)),
        "all": list(range(min(frames, most or frames))),
    }


PATTERNS = tuple(patterns(1500))


_ABOUT = f"""\
Medians of as many rounds as fit into {_SECONDS_A_ROW:g} seconds, of 3 at least and {_MOST_ROUNDS} at most, after one
that does not count. The order changes with each round, and who is not at turn is stopped.

The ratio is to the fastest peer of the row; the floor is FFmpeg alone on the packets of our plan, read beforehand,
one span after the other, by a decoder that stays open between calls that are not cold. Peers that were far behind at
first were not measured again. A clip named -{LONG_MINUTES}min is the one before it over and over, for an hour.

"All" are as many as fit into a GiB: 1,500 of 360 lines, the first 172 of 1080. Such results take as long as the system
takes to give memory for them, half a second for a GiB, where the C library has not kept that of the call before. It
does so by chance: of PyAV's process in the rows of 1080 lines, of ours in most of 360.

What is below 1x, and why: where every packet is needed (libvpx's VP9) nothing can be left out, and nine tenths of a
call are FFmpeg's own decoding, which is the same for all. A call itself takes half a millisecond of planning and
looking up, 1.2 behind other processes that have emptied the caches, and each packet some hundredths: that shows where
few packets, cheap ones, are all there is to decode."""


@dataclass(frozen=True)
class Row:
    """Medians of one pattern on one clip with one number of threads."""

    clip: str
    pattern: str
    threads: int
    clock: str
    seconds: dict[str, float]

    @property
    def peers(self) -> dict[str, float]:
        return {name: took for name, took in self.seconds.items() if name not in {"ours", "floor"}}

    @property
    def fastest(self) -> str:
        return min(self.peers, key=self.peers.__getitem__)

    @property
    def ratio(self) -> float:
        return self.seconds[self.fastest] / self.seconds["ours"]

    @property
    def far_behind(self) -> dict[str, float]:
        """The peers that the ratio does not depend on."""
        return {name: took for name, took in self.peers.items() if took > _FAR_BEHIND * self.seconds[self.fastest]}

    @property
    def key(self) -> tuple[str, str, int, str]:
        return self.clip, self.pattern, self.threads, self.clock

    def text(self) -> str:
        others = ", ".join(f"{name} {took * 1000:.1f}" for name, took in self.peers.items())
        ours, floor = self.seconds["ours"], self.seconds["floor"]
        return (
            f"| {self.clip} | {self.pattern} | {self.threads} | {ours * 1000:.1f} | {self.fastest} | "
            f"**{self.ratio:.2f}x** | {ours / floor:.2f} | {others} |"
        )


_TITLES = "| clip | frames | threads | ours, ms | fastest peer | ratio | of the floor | peers, ms |"
HEADER = f"{_TITLES}\n{'|---' * 8}|"


class Contestant:
    """A worker process of one library."""

    def __init__(self, name: str, python: Path | str, function: str) -> None:
        self.name = name
        clean = clean_environment({"VIRTUAL_ENV"}) if function in {"ours", "floor"} else clean_environment()
        libraries = sorted(Path(python).parents[1].glob("lib/python*/site-packages/video_reader_rs.libs"))
        if libraries:  # that wheel's own libraries do not find each other
            clean["LD_LIBRARY_PATH"] = str(libraries[0])
        self._worker = WorkerProcess(python, "decode_worker.py", function, environment=clean, is_quiet=True)
        self.close = self._worker.close

    def do(self, request: dict[str, Any]) -> dict[str, Any]:
        """Its seconds by each clock and the mean of each frame, or its error."""
        return self._worker.ask(request) or {"error": "the process died"}


def contestants(chosen: list[str], clip: Path) -> list[Contestant]:
    """A process for each, which has imported what it needs and decoded a frame of `clip`."""
    found = [Contestant("ours", sys.executable, "ours"), Contestant("floor", sys.executable, "floor")]
    for name in chosen:
        folder, packages, function = PEERS[name]
        python = environment(folder, packages)
        if python is not None:
            found.append(Contestant(name, python, function))
    request = request_for(clip, "1 cold", 1)
    for one in found:
        one.do(request)
    return found


def environment(folder: str, packages: list[str] | None) -> Path | None:
    home = WORK / f"peer-{folder}"
    python = home / "bin" / "python"
    if packages is None or (home / ".installed").exists():
        return python if python.exists() else None
    print(f"installing {' '.join(packages)} into {home} ...", file=sys.stderr)
    venv.create(home, with_pip=True, clear=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    (home / ".installed").touch()
    return python


def make_torchcodec(folder: str = "torchcodec", *more: str) -> None:
    """Its environment, with `more` packages in it."""
    python = environment(folder, [*_TORCHCODEC, *more])
    subprocess.run([str(python), "-m", "patch_torchcodec"], check=True)


def measure(
    everybody: list[Contestant], clip: Path, pattern: str, threads: int, rounds: int, clock: str, before: Row | None
) -> tuple[Row | None, list[str]]:
    """The row, if there is somebody to compare with, and who is not in it, and why.

    Who was far behind in the row as it was measured `before` has its seconds from there.
    """
    request = request_for(clip, pattern, threads)
    far_behind = {} if before is None else before.far_behind
    seconds: dict[str, list[float]] = {}
    complaints = []
    means: list[float] = []
    running = [
        one for one in everybody if (threads > 1 or one.name not in USES_ALL_CORES) and one.name not in far_behind
    ]
    turns = random.Random(0)
    until = float("inf")
    for number in range(max(rounds, _MOST_ROUNDS) + 1):
        if number > rounds and time.monotonic() > until:
            break
        for one in list(running):
            answer = one.do(request)
            means = answer.get("means", means) if one.name == "ours" else means
            error = answer.get("error")
            if error is None and not are_alike(answer["means"], means):
                error = "other frames than the rest"
            if error is None:
                seconds.setdefault(one.name, []).append(answer[clock])
            else:
                complaints.append(f"{one.name}: {_CLOCK.sub('', str(error))[:120]}")
                if one.name == "ours":
                    return None, complaints
                running.remove(one)
                seconds.pop(one.name, None)
        if number == 0:
            fastest = min((took[0] for took in seconds.values()), default=0.0)
            far = fastest * (_FAR_BEHIND_LONG if fastest > _LONG_SECONDS else _FAR_BEHIND)
            running = [
                one for one in running if one.name in {"ours", "floor"} or seconds[one.name][0] < far or fastest < 0.02
            ]
            for one in running:
                seconds[one.name].clear()  # the first time does not count
            until = time.monotonic() + _SECONDS_A_ROW
        turns.shuffle(running)  # nobody always comes behind the same one, and finds the caches as that left them
    if not {"ours", "floor"} <= set(seconds) or len(seconds) < 3:
        return None, complaints
    medians = {name: statistics.median(took) for name, took in seconds.items()}
    return Row(clip.stem, pattern, threads, clock, medians | far_behind), complaints


def request_for(clip: Path, pattern: str, threads: int) -> dict[str, Any]:
    index = VideoIndex.open(clip)
    assert index.pts_ns is not None
    frames = patterns(len(index), _MOST_BYTES // (index.width * index.height * 3))[pattern]
    return {
        "video": str(clip),
        "frames": frames,
        "times": [int(index.pts_ns[frame]) for frame in frames],
        "threads": threads,
        "cores": sorted(os.sched_getaffinity(0))[-threads:],
        "cold": pattern == "1 cold",
    }


def are_alike(means: list[float], expected: list[float]) -> bool:
    """Whether frames are the same, as far as their mean brightness tells: libraries turn YUV to RGB a little apart."""
    return len(means) == len(expected) and all(abs(a - b) < 2 for a, b in zip(means, expected, strict=True))


def wanted(given: argparse.Namespace) -> Iterator[tuple[Path, str, int]]:
    """Clip, pattern and threads of each row, those that take longest last."""
    clips = {size: made_clips(given.codecs, given.gops, [size]) for size in given.sizes}
    short = WORK / "h264-g40-360p.mp4"
    long = made_long_clip(short) if short in clips.get(360, []) else None
    for pattern in given.patterns:
        for size, of_size in clips.items():
            for clip in of_size + ([long] if long and size == 360 and pattern in _LONG_PATTERNS else []):
                for threads in given.threads:
                    yield clip, pattern, threads


def kept_rows() -> dict[tuple[str, str, int, str], tuple[Row | None, list[str]]]:
    if not _KEPT_ROWS.exists():
        return {}
    kept = {}  # of a row that was measured again, what came out last
    for line in _KEPT_ROWS.read_text().splitlines():
        entry = json.loads(line)
        row = None if entry["row"] is None else Row(**entry["row"])
        kept[tuple(entry["key"])] = (row, entry["complaints"])
    return kept


def long_and_short(rows: list[Row]) -> list[str]:
    """How what is asked of an hour compares with what is asked of a minute of the same encoding."""
    found = {row.key: row for row in rows}
    lines = []
    for (clip, pattern, threads, clock), row in found.items():
        of_short = found.get((clip.removesuffix(f"-{LONG_MINUTES}min"), pattern, threads, clock))
        if clip.endswith("min") and pattern == "64 random" and of_short:
            ratio = row.seconds["ours"] / of_short.seconds["ours"]
            packets, of_those = packets_fed(clip, pattern), packets_fed(of_short.clip, pattern)
            lines.append(
                f"64 random frames of {LONG_MINUTES} minutes take {ratio:.2f} times as long as of the clip that they "
                f"repeat (goal: at most 1.5): they depend on {packets} packets, those of the clip on {of_those}; "
                f"{threads} thread{'s' * (threads > 1)}."
            )
    return lines


def packets_fed(clip: str, pattern: str) -> int:
    index = VideoIndex.open(WORK / f"{clip}.mp4")
    return len(DecodePlan.of(index, patterns(len(index))[pattern]).packets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all codecs and sizes, not only H.264 of 360 lines")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no row after so long")
    parser.add_argument("--codecs", nargs="+", choices=ENCODERS)
    parser.add_argument("--gops", nargs="+", type=int, default=list(GOPS))
    parser.add_argument("--sizes", nargs="+", type=int, choices=FRAMES)
    parser.add_argument("--patterns", nargs="+", choices=PATTERNS, default=list(PATTERNS))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3, help="at least; rows that are done soon have more")
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall", help="processor: on a busy machine")
    parser.add_argument("--again", action="store_true", help="measure anew what was measured before")
    parser.add_argument("--torchcodec", action="store_true", help="make torchcodec's environment first")
    parser.add_argument("--write", action="store_true", help=f"write the table into RESULTS.md, and {PLOT.name}")
    given = parser.parse_args()
    given.codecs = given.codecs or (list(ENCODERS) if given.full else ["h264"])
    given.sizes = given.sizes or (list(FRAMES) if given.full else [360])
    if given.torchcodec:
        make_torchcodec()
    plan = list(wanted(given))
    results = {}
    until = time.monotonic() + 60 * given.minutes
    everybody = contestants(given.peers, plan[0][0])
    print(HEADER)
    try:
        before = kept_rows()
        kept = {} if given.again else before
        for clip, pattern, threads in plan:
            key = (clip.stem, pattern, threads, given.clock)
            if key not in kept:
                if time.monotonic() > until:
                    continue
                known, _ = before.get(key, (None, []))
                kept[key] = measure(everybody, clip, pattern, threads, given.rounds, given.clock, known)
                row, complaints = kept[key]
                entry = {"key": key, "row": row and asdict(row), "complaints": complaints}
                with _KEPT_ROWS.open("a") as file:
                    file.write(json.dumps(entry) + "\n")
            results[key] = kept[key]
            row, _ = kept[key]
            if row:
                print(row.text(), flush=True)
    finally:
        for one in everybody:
            one.close()
    rows = [row for row, _ in results.values() if row]
    left = len(plan) - len(results)
    left_out = who_was_left_out(results)
    print("\n".join(["", *long_and_short(rows), *left_out]))
    if left:
        print(f"{left} rows are left for another call")
    if given.write:
        write(rows, left_out, given.clock)


def who_was_left_out(results: dict[tuple[str, str, int, str], tuple[Row | None, list[str]]]) -> list[str]:
    where: dict[str, list[str]] = {}
    for (clip, pattern, threads, _), (_, complaints) in results.items():
        for complaint in complaints:
            where.setdefault(complaint, []).append(f"{clip}, {pattern}, {threads}")
    return [
        f"Not counted: {complaint} ({'; '.join(rows[:3])}{'; ...' if len(rows) > 3 else ''}: {len(rows)} rows)"
        for complaint, rows in where.items()
    ]


def write(rows: list[Row], left_out: list[str], clock: str) -> None:
    """Put the table into RESULTS.md, and draw the plot."""
    about = f"{machine()}; {clock} time. {_ABOUT}"
    table = "\n".join([HEADER, *(row.text() for row in sorted(rows, key=_order))])
    picture = f"![Time of other libraries, ours being 1](../docs/{PLOT.name})"
    notes = "\n".join(f"- {line}" for line in [*long_and_short(rows), *left_out])
    write_results("Decoding", f"{about}\n\n{picture}\n\n{notes}\n\n{table}")
    ratios: dict[tuple[str, int], dict[str, list[float]]] = {}
    for row in rows:
        for name, took in row.peers.items():
            ratios.setdefault((row.pattern, row.threads), {}).setdefault(name, []).append(took / row.seconds["ours"])
    means = {
        place: {name: statistics.geometric_mean(found) for name, found in by_peer.items()}
        for place, by_peer in ratios.items()
    }
    PLOT.write_text(plot(means, f"geometric mean over the clips; {machine()}"))


def _order(row: Row) -> tuple[bool, str, int, int]:
    return "1080" in row.clip, row.clip, PATTERNS.index(row.pattern), row.threads


if __name__ == "__main__":
    main()
