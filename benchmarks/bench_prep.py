"""How fast a video is prepared, and whether the same is chosen.

    python benchmarks/bench_prep.py [--rounds 5] [--write] [CLIP ...]

CLIPs of one's own are measured besides one of the made ones.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from clips import WORK, made_clips
from contest import Contest, Row, machine, table, write_results

GOALS = {512: 4.0, 64: 3.0}
"""Ratio to reach by the number of sampled frames."""
OTHER_GOALS = {"hevc": {512: 4.0}, "vp9": {512: 3.0}}
CLIPS = ("cabac-crf24", "cabac-crf19", "cavlc-crf20", "hevc-crf26", "vp9-g128")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the table into RESULTS.md")
    parser.add_argument("clips", nargs="*", type=Path)
    given = parser.parse_args()
    made = made_clips()
    clips = {**{name: made[name] for name in CLIPS}, **{clip.name: clip.resolve() for clip in given.clips}}
    rows: list[Row] = []
    agreement: list[str] = []
    with Contest(given.rounds) as contest:
        for name, path in clips.items():
            agreement.append(f"- {name}: {compare_runs(contest, path)}")
            print(agreement[-1][2:])
            for sampled, goal in OTHER_GOALS.get(name.partition("-")[0], GOALS).items():
                same = {"video": str(path), "sampled": sampled}
                label = f"{name}: {sampled} sampled"
                rows.append(contest.compare(label, goal, "prepare", contest.two_cores, ours=same, theirs=same))
    if given.write:
        text = f"{machine()}; medians of {given.rounds}, both on the same two cores.\n\n{table(rows)}\n\n"
        write_results("Preparing a video", text + "Agreement:\n\n" + "\n".join(agreement))


def compare_runs(contest: Contest, path: Path) -> str:
    """How alike the two outputs are. They cannot be equal: the original's bits are rounded and shifted."""
    patches, frames, metas = [], [], []
    for who, contestant in (("ours", contest.ours), ("theirs", contest.theirs)):
        folder = WORK / "compare" / f"{path.stem}-{who}"
        shutil.rmtree(folder, ignore_errors=True)
        contestant.do("save_run", contest.two_cores, video=str(path), target=str(folder), sampled=128)
        patches.append({tuple(patch) for patch in np.load(folder / "src_patch_position.npy").tolist()})
        frames.append(np.load(folder / "frame_ids.npy").tolist())
        metas.append(json.loads((folder / "meta.json").read_text()))
    missing = sorted(set(metas[1]) - set(metas[0]))
    return (
        f"{'the same' if frames[0] == frames[1] else 'OTHER'} frames, size {metas[0]['processed_hw']} and "
        f"{metas[1]['processed_hw']}, groups {metas[0]['num_groups']} and {metas[1]['num_groups']}, "
        f"{len(patches[0] & patches[1]) / len(patches[0] | patches[1]):.0%} of patches chosen by both, "
        f"metadata keys missing: {', '.join(missing) or 'none'}"
    )


if __name__ == "__main__":
    main()
