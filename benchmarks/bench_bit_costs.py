"""How fast bit costs are read, and whether they are the original's.

    python benchmarks/bench_bit_costs.py [--rounds 5] [--write] [CLIP ...]

CLIPs of one's own are measured besides the made ones.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from clips import WORK, made_clips
from contest import Contest, Row, machine, table, write_results

from mediaref.video_decoder.index import VideoIndex


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the table into RESULTS.md")
    parser.add_argument("clips", nargs="*", type=Path)
    given = parser.parse_args()
    clips = {**made_clips(), **{clip.name: clip.resolve() for clip in given.clips}}
    rows: list[Row] = []
    agreement: list[str] = []
    with Contest(given.rounds) as contest:
        for name, path in clips.items():
            agreement.append(f"- {name}: {compare_maps(contest, path)}")
            print(agreement[-1][2:])
            rows += measure(contest, name, str(path))
    mean = statistics.geometric_mean([r.ratio for r in rows if r.name.startswith("cabac") and "one thread" in r.name])
    summary = f"All maps of the CABAC mix, one thread: {mean:.2f}x (geometric mean; goal 3x)."
    print(summary)
    if given.write:
        text = f"{machine()}; medians of {given.rounds}.\n\n{table(rows)}\n\n{summary}\n\nAgreement of the maps:\n\n"
        write_results("Bit costs", text + "\n".join(agreement))


@dataclass(frozen=True)
class Goals:
    """Ratios to reach: all maps with one thread and with two, and `count` maps spread over the video."""

    one: float
    two: float | None
    few: float
    count: int = 64

    @classmethod
    def of(cls, name: str, codec: str) -> Goals:
        if codec == "vp9":  # its frames are read in chains from keyframe to keyframe
            return cls(2.5, None, 8, count=16)
        return cls(6 if "cavlc" in name else 3, 5, 50)


def measure(contest: Contest, name: str, video: str) -> list[Row]:
    index = VideoIndex.open(video)
    goals, total = Goals.of(name, index.codec), f"{len(index):,}"
    few = np.linspace(0, len(index) - 1, goals.count).astype(int).tolist()
    plain = {"video": video, "threads": 1}
    some = {"video": video, "frames": few, "threads": 1}
    one, two = contest.one_core, contest.two_cores
    rows = [
        contest.compare(f"{name}: all {total} maps, one thread", goals.one, "all_maps", one, ours=plain, theirs=plain)
    ]
    if goals.two:
        both = {"video": video, "threads": 2}
        rows.append(
            contest.compare(
                f"{name}: all {total} maps, two threads", goals.two, "all_maps", two, ours=both, theirs=plain
            )
        )
    label, warm = f"{name}: {goals.count} of {total}", {**some, "warm": True}
    return [
        *rows,
        contest.compare(f"{label} maps", goals.few, "some_maps", one, ours=some, theirs=some),
        contest.compare(f"{label}, again", goals.few, "some_maps", one, ours=warm, theirs=some),
    ]


def compare_maps(contest: Contest, path: Path) -> str:
    """The original rounds CABAC's bits to bytes, and has a padding column."""
    maps = {}
    for who, contestant in (("ours", contest.ours), ("theirs", contest.theirs)):
        target = WORK / "compare" / f"{path.stem}-{who}.npy"
        contestant.do("save_maps", contest.two_cores, video=str(path), target=str(target))
        maps[who] = np.load(target).astype(np.int64)
    apart = np.abs(maps["ours"] - maps["theirs"][:, :, : maps["ours"].shape[2]])
    return (
        f"{apart.size:,} blocks, {(apart == 0).mean():.2%} equal to the original's, "
        f"never more than {apart.max()} bits apart"
    )


if __name__ == "__main__":
    main()
