"""The time line of a report: the bits of all frames, the sampled ones among them by type, and the groups."""

from __future__ import annotations

import numpy as np

from codec_video_prep.report.facts import Facts

WIDTH, HEIGHT, GROUPS, AXIS = 1200, 170, 22, 20
MOST_BARS = 600
"""Parts that the line of all frames is cut into."""


def timeline(facts: Facts) -> str:
    """An SVG, its heights the square roots of bits: key frames would dwarf the rest."""
    length = max(float(facts.seconds[-1]) * len(facts.seconds) / max(1, len(facts.seconds) - 1), 1e-3)
    top = max(float(np.sqrt(facts.bits.max())), 1.0)
    parts = [_everything(facts, length, top), _sampled(facts, length, top), _groups(facts, length), _axis(length)]
    label = f"Bits of {len(facts.bits)} frames over {length:.1f} seconds; {len(facts.frames)} of them were sampled"
    return (
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {HEIGHT + GROUPS + AXIS}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _everything(facts: Facts, length: float, top: float) -> str:
    """The most expensive frame of each part of the time, as one outline."""
    bars = min(MOST_BARS, len(facts.bits))
    part = np.minimum((facts.seconds / length * bars + 1e-6).astype(int), bars - 1)
    highest = np.zeros(bars)
    np.maximum.at(highest, part, np.sqrt(facts.bits) / top)
    step = WIDTH / bars
    points = " ".join(
        f"{place * step:.1f},{_y(high):.1f} {(place + 1) * step:.1f},{_y(high):.1f}"
        for place, high in enumerate(highest)
    )
    return f'<polygon class="all" points="0,{HEIGHT} {points} {WIDTH},{HEIGHT}"/>'


def _sampled(facts: Facts, length: float, top: float) -> str:
    kept: dict[int, int] = {}
    anchors = set()
    for group in facts.meta["groups"]:
        anchors.add(group["frame_ids"][0])
        for place, count in group["selected_blocks_per_frame"].items():
            frame = group["frame_ids"][int(place)]
            kept[frame] = kept.get(frame, 0) + count
    bad, dropped = set(facts.meta.get("bad_frames", ())), set(facts.meta.get("dropped_frames", ()))
    width = max(0.8, min(6.0, 0.7 * WIDTH / max(1, len(facts.frames))))
    lines = []
    for frame in np.unique(facts.frames).tolist():
        x, y = facts.seconds[frame] / length * WIDTH, _y(float(np.sqrt(facts.bits[frame])) / top)
        what = (
            "shows nothing, none kept"
            if frame in bad
            else "in no group"
            if frame in dropped
            else "kept whole"
            if frame in anchors
            else f"{kept.get(frame, 0)} blocks kept"
        )
        kind = facts.types[frame]
        faded = " faded" if frame in bad or frame in dropped else ""
        lines.append(
            f'<rect class="type-{kind}{faded}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{HEIGHT - y:.1f}">'
            f"<title>frame {frame}, {facts.seconds[frame]:.2f} s\n{kind}, {facts.bits[frame]:,} bits\n{what}</title>"
            "</rect>"
        )
    return "".join(lines)


def _groups(facts: Facts, length: float) -> str:
    bands = []
    for number, group in enumerate(facts.meta["groups"]):
        ids = sorted(group["frame_ids"])
        left = facts.seconds[ids[0]] / length * WIDTH
        following = facts.meta["groups"][number + 1]["frame_ids"] if number + 1 < len(facts.meta["groups"]) else None
        end = facts.seconds[min(following)] if following else facts.seconds[ids[-1]]
        width = max(2.0, end / length * WIDTH - left - 1.5)
        text = f'<text x="{left + width / 2:.1f}" y="{HEIGHT + GROUPS - 6}">{number}</text>' if width > 22 else ""
        bands.append(
            f'<a href="#group-{number}" aria-label="Group {number}"><rect class="group" x="{left:.1f}" '
            f'y="{HEIGHT + 3}" width="{width:.1f}" height="{GROUPS - 4}" rx="3"/>{text}</a>'
        )
    return "".join(bands)


def _axis(length: float) -> str:
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
    step = next((step for step in steps if length / step <= 10), 4 * 3600)
    marks = np.arange(0, length, step)
    texts = []
    for mark in marks:
        x = mark / length * WIDTH
        texts.append(
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT + GROUPS + AXIS - 5}">{_time(float(mark), step)}</text>'
        )
    return "".join(texts)


def _time(seconds: float, step: float) -> str:
    if step < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{rest} s" if seconds < 60 and step < 60 else f"{minutes}:{rest:02d}"


def _y(share: float) -> float:
    return HEIGHT - share * (HEIGHT - 8)
