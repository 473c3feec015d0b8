"""How fast bit costs are read, and whether they are the original's.

    python benchmarks/bench_bit_costs.py [--rounds 5] [--write] [CLIP ...]

CLIPs of one's own are measured besides the made ones.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
from clips import WORK, made_clips
from contest import Contest, Row, machine, table, write_results

from mediaref.video_decoder.index import VideoIndex

FEW = 64


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


def measure(contest: Contest, name: str, video: str) -> list[Row]:
    index = VideoIndex.open(video)
    is_cabac = "cavlc" not in name
    few = np.linspace(0, len(index) - 1, FEW).astype(int).tolist()
    plain = {"video": video, "threads": 1}
    some = {"video": video, "frames": few, "threads": 1}
    one, two = contest.one_core, contest.two_cores
    all_name = f"{name}: all {len(index):,} maps"
    return [
        contest.compare(f"{all_name}, one thread", 3 if is_cabac else 6, "all_maps", one, ours=plain, theirs=plain),
        contest.compare(
            f"{all_name}, two threads", 5, "all_maps", two, ours={"video": video, "threads": 2}, theirs=plain
        ),
        contest.compare(f"{name}: {FEW} of {len(index):,} maps", 50, "some_maps", one, ours=some, theirs=some),
        contest.compare(
            f"{name}: {FEW} of {len(index):,}, again", 50, "some_maps", one, ours={**some, "warm": True}, theirs=some
        ),
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
        f"{apart.size:,} macroblocks, {(apart == 0).mean():.2%} equal to the original's, "
        f"never more than {apart.max()} bits apart"
    )


if __name__ == "__main__":
    main()
