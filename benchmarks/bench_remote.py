"""What reading frames from afar takes: bytes, requests and seconds, beside the other libraries that can.

    python benchmarks/bench_remote.py [--clips h264-g40-1080p vp9-g40-360p] [--rounds 3] [--write]

A server on this machine counts what it is asked for and waits before each answer; behind it are files, or moto's S3
server. All libraries are measured in turns, each in an environment of its own, from the first time they hear of the
file. mediaref 1.1.0's is made by the first run; torchcodec takes part where bench_decode.py has made its environment
(then it needs fsspec[http], and s3fs for S3, too).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import fsspec
from bench_decode import Contestant, are_alike, environment, patterns
from clips import WORK
from contest import machine, write_results
from decode_clips import made_clips
from metered_server import Meter, serving

from mediaref.video_decoder import DecodePlan, VideoIndex

PEERS = {
    "mediaref 1.1.0": ("mediaref-1.1.0-s3", ["mediaref[video]==1.1.0", "s3fs"], "original"),
    "torchcodec": ("torchcodec-remote", None, "torchcodec"),
    "torchcodec approximate": ("torchcodec-remote", None, "torchcodec_approximate"),
}
_PATTERNS = ("1 cold", "10 even")
_DELAYS = (0.0, 0.02)
HEADER = (
    "| storage | clip | frames | delay | who | bytes | of what is needed | requests | seconds |\n"
    "|---|---|---|---:|---|---:|---:|---:|---:|"
)


def table_bytes(clip: Path) -> int:
    """Bytes of the `moov` box."""
    content = clip.read_bytes()
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
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        moto.start()
        stack.callback(moto.stop)
        host, port = moto.get_host_and_port()
        os.environ |= {"AWS_ACCESS_KEY_ID": "who", "AWS_SECRET_ACCESS_KEY": "sesame", "AWS_DEFAULT_REGION": "us-east-1"}
        bucket = fsspec.filesystem("s3", endpoint_url=f"http://{host}:{port}")
        bucket.mkdir("clips")
        for clip in clips:
            bucket.put_file(str(clip), f"clips/{clip.name}")
        counted = stack.enter_context(serving(behind=f"http://{host}:{port}"))
        os.environ["AWS_ENDPOINT_URL"] = counted.url
        yield found | {"S3": (counted, "s3://clips/")}


def measure(one: Contestant, meter: Meter, request: dict[str, Any], expected: list[float]) -> dict[str, float] | None:
    """What the server counted and the seconds that passed; None, and why is printed, if it does not give the frames."""
    meter.requests = meter.bytes_sent = 0
    answer = one.do(request)
    if "error" in answer or (expected and not are_alike(answer["means"], expected)):
        print(f"{one.name}: {answer.get('error', 'other frames than the rest')[:160]}", file=sys.stderr)
        return None
    expected[:] = expected or answer["means"]
    return {"bytes": meter.bytes_sent, "requests": meter.requests, "seconds": answer["wall"]}


def rows(everybody: list[Contestant], clip: Path, kept: dict[str, tuple[Meter, str]], rounds: int) -> Iterator[str]:
    index = VideoIndex.open(clip)
    assert index.pts_ns is not None
    for pattern in _PATTERNS:
        frames = patterns(len(index))[pattern]
        plan = DecodePlan.of(index, frames)
        needed = table_bytes(clip) + int(index.packets.size[plan.packets].sum())
        for storage, (meter, prefix) in kept.items():
            for meter.delay in _DELAYS:
                request = {"video": prefix + clip.name, "frames": frames, "times": index.pts_ns[frames].tolist()}
                request |= {"threads": 1, "cores": sorted(os.sched_getaffinity(0))[-1:], "cold": True}
                expected: list[float] = []
                taken: dict[str, list[dict[str, float]]] = {one.name: [] for one in everybody}
                for number in range(rounds + 1):  # the first one does not count
                    for one in everybody:
                        found = measure(one, meter, request, expected) if one.name in taken else None
                        if found is None:
                            taken.pop(one.name, None)
                        elif number:
                            taken[one.name].append(found)
                for name, times in taken.items():
                    median = {key: statistics.median(each[key] for each in times) for key in times[0]}
                    yield (
                        f"| {storage} | {clip.stem} | {pattern.removesuffix(' cold')} | {meter.delay * 1000:.0f} ms | "
                        f"{name} | {median['bytes']:,.0f} | {median['bytes'] / needed:.2f}x | "
                        f"{median['requests']:.0f} | {median['seconds']:.3f} |"
                    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", nargs="+", default=["h264-g40-1080p", "vp9-g40-360p"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the table into RESULTS.md")
    given = parser.parse_args()
    made = {clip.stem: clip for codec in ("h264", "vp9") for clip in made_clips([codec], [40, 250], [360, 1080])}
    clips = [made[name] for name in given.clips]
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
        about = (
            "Each call is the first that hears of the file, so that it reads the container's table, too. What is "
            "needed: the `moov` box and the packets of the plan. Pictures are left out of a plan if none refers to "
            "them, but to know it their headers had to be seen: that, and the first packet, which an index takes a "
            "look at, is what is over 1.1. Files of some megabytes fit into the first block that fsspec fetches for "
            "the others, and on one machine bytes cost nothing: with larger files and real lines it is the bytes "
            "that take the time. Ours asks first what the file is, so that a changed one is noticed. torchcodec "
            "reads through fsspec, where s3fs is installed beside it."
        )
        write_results("From afar", f"{machine()}; medians of {given.rounds}. {about}\n\n{HEADER}\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
