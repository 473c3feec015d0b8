"""How much faster a batch is than one process after the other, and what Ray costs on top.

    python benchmarks/bench_batch.py [--rounds 3] [--clips 200] [--write]

Whole programs are timed, their start included, in turns. Ray is measured where it is installed, on a cluster that
runs already.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import av
from clips import WORK, demo
from contest import machine, write_results

FRAMES, SAMPLED = 150, 64  # five seconds
ONE_AFTER_THE_OTHER = """
import sys
from pathlib import Path
from codec_video_prep import run_preinfer
for clip in sorted(Path(sys.argv[1]).iterdir()):
    run_preinfer(str(clip), f"{sys.argv[2]}/{clip.stem}", num_sampled_frames=int(sys.argv[3]),
                 parallel_segments=int(sys.argv[4]))
"""
GOALS = {"batch": 1.8, "ray": 1.15}
"""Times as fast as one process; at most this many times a plain batch."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="write the table into RESULTS.md")
    given = parser.parse_args()
    folder, output = short_clips(given.clips), WORK / "batch-output"
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-2:])
    batch = ["-m", "codec_video_prep.cli", "batch", "--input", str(folder), "--output", str(output), "--quiet"]
    batch += ["--num-sampled-frames", str(SAMPLED)]
    one = ["-c", ONE_AFTER_THE_OTHER, str(folder), str(output), str(SAMPLED)]
    programs = {"one process": [*one, "1"], "one process, two threads": [*one, "2"], "batch": batch}
    if importlib.util.find_spec("ray"):
        programs["batch on Ray"] = [*batch, "--ray", "auto"]
    walls: dict[str, list[float]] = {name: [] for name in programs}
    work: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(given.rounds):
        for name, arguments in programs.items():
            with ray_cluster() if name == "batch on Ray" else nullcontext():
                wall, seconds = timed(arguments, output, given.clips)
            walls[name].append(wall)
            work[name].append(seconds)
            print(f"{name:<26} {wall:8.2f} s, {seconds:8.2f} s of work", flush=True)
    text = table(walls, work, given.clips)
    print(text)
    if given.write:
        write_results("Many videos", f"{machine()}; medians of {given.rounds}.\n\n{text}")


@contextmanager
def ray_cluster() -> Iterator[None]:
    """A cluster on this machine with two CPUs: Ray runs before anybody brings work to it."""
    program = [sys.executable, "-m", "ray.scripts.scripts"]
    settings = ["--head", "--num-cpus", "2", "--include-dashboard", "false", "--disable-usage-stats"]
    subprocess.run([*program, "start", *settings], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run([*program, "stop"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def timed(arguments: list[str], output: Path, clips: int) -> tuple[float, float]:
    """Seconds until the program had ended, and seconds of processor time that it and its children took."""
    shutil.rmtree(output, ignore_errors=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    done = len(list(output.glob("*/_DONE")))
    if done != clips:
        sys.exit(f"{done} of {clips} clips are there: a ratio to that says nothing")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def table(walls: dict[str, list[float]], work: dict[str, list[float]], clips: int) -> str:
    """Clips a second of each program, and how the goals are met."""
    median = {name: statistics.median(seconds) for name, seconds in walls.items()}
    one = median["one process"]
    lines = ["| what | seconds | clips a second | processor time | |", "|---|---:|---:|---:|---|"]
    for name, seconds in median.items():
        told = ""
        if name == "batch":
            told = f"**{one / seconds:.2f}x** one process (goal {GOALS['batch']:g}x)"
        elif name == "batch on Ray":
            told = f"**{seconds / median['batch'] - 1:+.0%}** to the batch (goal under {GOALS['ray'] - 1:.0%})"
        processor = statistics.median(work[name])
        lines.append(f"| {name} | {seconds:.1f} | {clips / seconds:.1f} | {processor:.1f} | {told} |")
    return (
        f"{clips} clips of {FRAMES} frames of {demo.WIDTH}x{demo.HEIGHT}, {SAMPLED} sampled of each.\n\n"
        + "\n".join(lines)
    )


def short_clips(count: int) -> Path:
    """A folder with short clips, each of other pictures than the last few."""
    folder = WORK / f"short-{count}"
    if not (folder.parent / f"{folder.name}.json").exists():
        print("making short clips ...", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        kinds = [_encode(folder / f"clip{number:03d}.mp4", number) for number in range(min(10, count))]
        for number in range(len(kinds), count):
            shutil.copy(kinds[number % len(kinds)], folder / f"clip{number:03d}.mp4")
        (folder.parent / f"{folder.name}.json").write_text(json.dumps({"clips": count}))
    return folder


def _encode(path: Path, number: int) -> Path:
    options = {"preset": "veryfast", "crf": str(20 + number), "g": "50"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=demo.RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = demo.WIDTH, demo.HEIGHT, "yuv420p"
        for place, picture in enumerate(demo.pictures(FRAMES + 10 * number)):
            if place >= 10 * number:
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    main()
