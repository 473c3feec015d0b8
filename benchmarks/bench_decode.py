"""How fast chosen frames are decoded, beside every other library that reads them from Python.

    python benchmarks/bench_decode.py [--codecs h264 hevc vp9 av1] [--gops 40 250] [--sizes 360 1080]
                                      [--patterns ...] [--peers ...] [--rounds 5] [--write]

All libraries are alive at once, each in an environment of its own that the first run makes, and are measured in
turns on the same cores. torchcodec takes part if `.work/peer-torchcodec` has been made (its PyTorch is large).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from clips import HERE, WORK, demo
from contest import machine, write_results

from mediaref.video_decoder import VideoIndex

FRAMES = {360: 1500, 1080: 600}

#: Encoder and options by codec; B pictures as each encoder makes them by itself.
ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "fast", "crf": "23"}),
    "hevc": ("libx265", {"preset": "veryfast", "crf": "27", "x265-params": "log-level=none"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "6", "b": "0", "crf": "36"}),
    "av1": ("libsvtav1", {"preset": "10", "crf": "38"}),
}

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


def patterns(frames: int) -> dict[str, list[int]]:
    """The frames asked for, by the name of the pattern; the first is asked of a video that nobody knows."""
    middle = frames // 2 + 3
    return {
        "1 cold": [middle],
        "1 warm": [middle],
        "10 even": [int((number + 0.5) * frames / 10) for number in range(10)],
        "64 random": sorted(random.Random(64).sample(range(frames), 64)),
        "64 even": [int((number + 0.5) * frames / 64) for number in range(64)],
        "16 consecutive": list(range(middle, middle + 16)),
        "every 5th": list(range(0, frames, 5)),
        "all": list(range(frames)),
    }


@dataclass(frozen=True)
class Row:
    """Medians of one pattern on one clip with one number of threads."""

    clip: str
    pattern: str
    threads: int
    seconds: dict[str, float]

    @property
    def fastest(self) -> str:
        return min((name for name in self.seconds if name not in {"ours", "floor"}), key=self.seconds.__getitem__)

    @property
    def ratio(self) -> float:
        return self.seconds[self.fastest] / self.seconds["ours"]

    def text(self) -> str:
        others = ", ".join(
            f"{name} {took * 1000:.1f}" for name, took in self.seconds.items() if name not in {"ours", "floor"}
        )
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
        clean = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
        if function not in {"ours", "floor"}:
            clean.pop("PYTHONPATH", None)
        command = [str(python), str(HERE / "decode_worker.py"), function]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean
        )

    def do(self, request: dict[str, Any]) -> dict[str, Any]:
        """Its seconds and the mean of each frame, or its error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        result: dict[str, Any] = json.loads(answer) if answer else {"error": "the process died"}
        return result

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def contestants(chosen: list[str]) -> list[Contestant]:
    found = [Contestant("ours", sys.executable, "ours"), Contestant("floor", sys.executable, "floor")]
    for name in chosen:
        folder, packages, function = PEERS[name]
        python = environment(folder, packages)
        if python is not None:
            found.append(Contestant(name, python, function))
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


def made_clip(codec: str, gop: int, height: int) -> Path:
    """The clip, encoded on first use."""
    path = WORK / f"{codec}-g{gop}-{height}p.mp4"
    if path.exists():
        return path
    print(f"making {path.name} ...", file=sys.stderr)
    WORK.mkdir(exist_ok=True)
    encoder, options = ENCODERS[codec]
    part = path.with_suffix(".part")
    with av.open(str(part), "w", format="mp4") as output:
        stream: Any = output.add_stream(encoder, rate=demo.RATE, options={**options, "g": str(gop)})
        stream.width, stream.height, stream.pix_fmt = height * 16 // 9, height, "yuv420p"
        for picture in demo.pictures(FRAMES[height]):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            output.mux(stream.encode(frame.reformat(stream.width, height, "yuv420p")))
        output.mux(stream.encode(None))
    part.rename(path)
    return path


def measure(
    everybody: list[Contestant], clip: Path, pattern: str, threads: int, rounds: int, complaints: list[str]
) -> Row | None:
    index = VideoIndex.open(clip)
    assert index.pts_ns is not None
    frames = patterns(len(index))[pattern]
    cores = sorted(os.sched_getaffinity(0))[-threads:]
    request = {
        "video": str(clip),
        "frames": frames,
        "times": [int(index.pts_ns[frame]) for frame in frames],
        "threads": threads,
        "cores": cores,
        "cold": pattern == "1 cold",
    }
    taking_part = [one for one in everybody if threads > 1 or one.name not in USES_ALL_CORES]
    seconds: dict[str, list[float]] = {one.name: [] for one in taking_part}
    means: list[float] = []
    for number in range(rounds + 1):  # the first one is not counted
        for one in taking_part:
            if one.name not in seconds:
                continue
            answer = one.do(request)
            means = answer.get("means", means) if one.name == "ours" else means
            error = answer.get("error")
            if error is None and not are_alike(answer["means"], means):
                error = "other frames than the rest"
            if error is not None:
                complaints.append(f"- {clip.stem}, {pattern}, {threads} threads: {one.name}: {error[:120]}")
                del seconds[one.name]
            elif number:
                seconds[one.name].append(answer["seconds"])
    if not {"ours", "floor"} <= set(seconds) or len(seconds) < 3:
        return None
    row = Row(clip.stem, pattern, threads, {name: statistics.median(took) for name, took in seconds.items()})
    print(row.text(), flush=True)
    return row


def are_alike(means: list[float], expected: list[float]) -> bool:
    """Whether frames are the same, as far as their mean brightness tells: libraries turn YUV to RGB a little apart."""
    return len(means) == len(expected) and all(abs(a - b) < 2 for a, b in zip(means, expected, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codecs", nargs="+", choices=ENCODERS, default=list(ENCODERS))
    parser.add_argument("--gops", nargs="+", type=int, default=[40, 250])
    parser.add_argument("--sizes", nargs="+", type=int, choices=FRAMES, default=list(FRAMES))
    parser.add_argument("--patterns", nargs="+", choices=patterns(1500), default=list(patterns(1500)))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the table into RESULTS.md")
    given = parser.parse_args()
    clips = [made_clip(codec, gop, size) for codec in given.codecs for size in given.sizes for gop in given.gops]
    everybody = contestants(given.peers)
    rows: list[Row] = []
    complaints: list[str] = []
    print(HEADER)
    try:
        for clip in clips:
            for pattern in given.patterns:
                for threads in given.threads:
                    row = measure(everybody, clip, pattern, threads, given.rounds, complaints)
                    rows += [row] if row else []
    finally:
        for one in everybody:
            one.close()
    notes = "\n\nNot counted:\n\n" + "\n".join(complaints) if complaints else ""
    print(notes)
    if given.write:
        about = f"{machine()}; medians of {given.rounds}. The ratio is to the fastest peer of the row."
        table = "\n".join([HEADER, *(row.text() for row in rows)])
        write_results("Decoding", f"{about}\n\n{table}{notes}")


if __name__ == "__main__":
    main()
