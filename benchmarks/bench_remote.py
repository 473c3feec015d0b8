"""What reading frames from afar takes: bytes, requests, round trips and seconds, beside the other libraries that can.

    python benchmarks/bench_remote.py [--clips h264-g40-1080p h264-g40-360p-60min.mkv] [--rounds 3] [--write]

A server on this machine counts what it is asked for and waits before each answer; behind it are files, or moto's S3
server. All libraries are measured in turns, each in an environment of its own: from the first time they hear of the
file, and for one more frame of a file that they know. mediaref 1.1.0's environment is made by the first run,
torchcodec's, which is large, with `--torchcodec`. The long files are made by the first run, too.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
from bench_decode import Contestant, are_alike, environment, make_torchcodec, patterns
from clips import WORK
from contest import machine, write_results
from decode_clips import made_clips, made_long_clip, remuxed
from metered_server import Meter, serving

from mediaref.video_decoder import DecodePlan, VideoIndex

PEERS = {
    "mediaref 1.1.0": ("mediaref-1.1.0-s3", ["mediaref[video]==1.1.0", "s3fs"], "original"),
    "torchcodec": ("torchcodec-remote", None, "torchcodec"),
    "torchcodec approximate": ("torchcodec-remote", None, "torchcodec_approximate"),
}
_CLIPS = ("h264-g40-1080p.mp4", "vp9-g40-360p.mp4", "h264-g40-360p-60min.mp4", "h264-g40-360p-60min.mkv")
_DELAYS = (0.0, 0.02)
#: Who takes longer than this is not asked again in the row: its one call counts.
_LONG_SECONDS = 2.0
#: moto makes a copy of the whole file for each range of it.
_LARGEST_IN_S3 = 16 << 20
HEADER = (
    "| storage | clip | frames | delay | who | bytes | of what is needed | requests | round trips | seconds |\n"
    "|---|---|---|---:|---|---:|---:|---:|---:|---:|"
)

_ABOUT = (
    "Calls for 1 frame and for 10 are the first that hear of the file, so that they read the container's table, too; "
    '"1 more" is another frame of a file that each knows, with whatever it keeps open. What is needed: the `moov` box, '
    "where it has to be read, and the packets of the plan. Round trips are the answers waited for one after the other, "
    "as the server sees them: with a delay they are what takes the time. Ours reads at most 160 KiB beside the table, "
    "the first picture and the packets from the keyframe on; of these some are B pictures that nothing refers to, "
    "which takes another round trip and a request for each to learn. Files of some megabytes fit into the first block "
    "that fsspec fetches for the others, and on one machine bytes cost nothing. Ours asks what the file is each time, "
    "so that a changed one is noticed. Of a long Matroska file it takes the cues, and parts, each time anew. "
    f"Who took longer than {_LONG_SECONDS:.0f} s was asked once."
)


@dataclass(frozen=True)
class Pattern:
    """Which frames are asked for, round by round."""

    name: str
    frames: list[list[int]]
    #: Nobody has heard of the file.
    is_cold: bool

    @classmethod
    def all(cls, count: int, rounds: int) -> list[Pattern]:
        """Those that are measured on a clip of `count` frames; round 0 does not count."""
        lone, even = patterns(count)["1 cold"], patterns(count)["10 even"]
        more = [[round(count * (0.1 + 0.8 * number / rounds))] for number in range(rounds + 1)]
        return [
            cls("1", [lone] * (rounds + 1), is_cold=True),
            cls("1 more", more, is_cold=False),
            cls("10 even", [even] * (rounds + 1), is_cold=True),
        ]


@dataclass
class Taken:
    """What one contestant's calls of a row took."""

    calls: list[dict[str, float]] = field(default_factory=list)
    is_done: bool = False

    def median(self, key: str) -> float:
        return statistics.median(call[key] for call in self.calls)


def table_bytes(clip: Path) -> int:
    """Bytes of the `moov` box; Matroska has no table."""
    content = clip.read_bytes()
    if clip.suffix == ".mkv":
        return 0
    at = content.rindex(b"moov") - 4
    return int.from_bytes(content[at : at + 4], "big")


@contextmanager
def stores(clips: list[Path]) -> Iterator[dict[str, tuple[Meter, str]]]:
    """The servers by name, and what their files' uris begin with."""
    with ExitStack() as stack:
        files = stack.enter_context(serving(WORK))
        found = {"HTTP": (files, f"{files.url}/")}
        try:
            from moto.server import ThreadedMotoServer
        except ImportError:
            yield found
            return
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        stack.callback(moto.stop)
        host, port = moto.get_host_and_port()
        os.environ |= {"AWS_ACCESS_KEY_ID": "who", "AWS_SECRET_ACCESS_KEY": "sesame", "AWS_DEFAULT_REGION": "us-east-1"}
        bucket = fsspec.filesystem("s3", endpoint_url=f"http://{host}:{port}")
        bucket.mkdir("clips")
        for clip in filter(_is_for_s3, clips):
            bucket.put_file(str(clip), f"clips/{clip.name}")
        counted = stack.enter_context(serving(behind=f"http://{host}:{port}"))
        os.environ["AWS_ENDPOINT_URL"] = counted.url
        yield found | {"S3": (counted, "s3://clips/")}


def _is_for_s3(clip: Path) -> bool:
    return clip.stat().st_size <= _LARGEST_IN_S3


def measure(one: Contestant, meter: Meter, request: dict[str, Any], expected: list[float]) -> dict[str, float] | None:
    """What the server counted and the seconds that passed; None, and why is printed, if it does not give the frames."""
    meter.reset()
    answer = one.do(request)
    if "error" in answer or (expected and not are_alike(answer["means"], expected)):
        print(f"{one.name}: {answer.get('error', 'other frames than the rest')[:160]}", file=sys.stderr)
        return None
    expected[:] = expected or answer["means"]
    counted = {"bytes": meter.bytes_sent, "requests": meter.requests, "round trips": meter.round_trips}
    return {**counted, "seconds": answer["wall"]}


def rows(everybody: list[Contestant], clip: Path, kept: dict[str, tuple[Meter, str]], rounds: int) -> Iterator[str]:
    index = VideoIndex.open(clip)
    for pattern in Pattern.all(len(index), rounds):
        for storage, (meter, prefix) in kept.items():
            if storage == "S3" and not _is_for_s3(clip):
                continue
            for meter.delay in _DELAYS:
                taken = in_turns(everybody, meter, prefix + clip.name, index, pattern)
                needed = statistics.median(bytes_needed(clip, index, frames, pattern) for frames in pattern.frames[1:])
                for name, each in taken.items():
                    round_trips = f"{each.median('round trips'):.0f}" if meter.delay else ""
                    yield (
                        f"| {storage} | {clip.name} | {pattern.name} | {meter.delay * 1000:.0f} ms | {name} | "
                        f"{each.median('bytes'):,.0f} | {each.median('bytes') / needed:.2f}x | "
                        f"{each.median('requests'):.0f} | {round_trips} | {each.median('seconds'):.3f} |"
                    )


def in_turns(
    everybody: list[Contestant], meter: Meter, uri: str, index: VideoIndex, pattern: Pattern
) -> dict[str, Taken]:
    """All rounds of a pattern; who fails is left out."""
    assert index.pts_ns is not None
    taken = {one.name: Taken() for one in everybody}
    for number, frames in enumerate(pattern.frames):
        request = {"video": uri, "frames": frames, "times": index.pts_ns[frames].tolist(), "cold": pattern.is_cold}
        request |= {"threads": 1, "cores": sorted(os.sched_getaffinity(0))[-1:]}
        expected: list[float] = []
        for one in everybody:
            each = taken.get(one.name)
            if each is None or each.is_done:
                continue
            found = measure(one, meter, request, expected)
            if found is None:
                del taken[one.name]
                continue
            each.is_done = found["seconds"] > _LONG_SECONDS and (number > 0 or pattern.is_cold)
            if number or each.is_done:
                each.calls.append(found)
    return taken


def bytes_needed(clip: Path, index: VideoIndex, frames: list[int], pattern: Pattern) -> int:
    """The packets of the plan, and the table of a file that nobody has heard of."""
    plan = DecodePlan.of(index, frames)
    return plan.packet_bytes + (table_bytes(clip) if pattern.is_cold else 0)


def wanted_clips(names: list[str]) -> list[Path]:
    """The clips of these names, made where they are missing."""
    found = []
    for name in names:
        stem, long, _ = name.partition("-60min")
        codec, gop, height = Path(stem).stem.split("-")
        (short,) = (clip for clip in made_clips([codec], [int(gop[1:])], [int(height[:-1])]))
        clip = made_long_clip(short) if long else short
        found.append(remuxed(clip) if name.endswith(".mkv") else clip)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", default=list(_CLIPS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torchcodec", action="store_true", help="make torchcodec's environment, which is large")
    parser.add_argument("--write", action="store_true", help="write the table into RESULTS.md")
    given = parser.parse_args()
    if given.torchcodec:
        make_torchcodec("torchcodec-remote", "s3fs")
    clips = wanted_clips(given.clips)
    lines = []
    with stores(clips) as kept, ExitStack() as stack:
        everybody = [Contestant("ours", sys.executable, "ours")]
        for name, (folder, packages, function) in PEERS.items():
            python = environment(folder, packages)
            if python is not None:
                everybody.append(Contestant(name, python, function))
        for one in everybody:
            stack.callback(one.close)
        print(HEADER)
        for clip in clips:
            for line in rows(everybody, clip, kept, given.rounds):
                print(line, flush=True)
                lines.append(line)
    if given.write:
        write_results("From afar", f"{machine()}; medians of {given.rounds}. {_ABOUT}\n\n{HEADER}\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
