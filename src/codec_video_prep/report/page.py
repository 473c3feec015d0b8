"""The page itself: HTML and SVG with everything inside, nothing loaded from anywhere."""

from __future__ import annotations

import base64
import json
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np

from codec_video_prep.report.facts import Facts
from codec_video_prep.report.timeline import timeline

STOP_REASONS = {
    "readiness_threshold_low_gain": "the kept blocks were worth enough, and another frame added little",
    "readiness_threshold": "the kept blocks were worth enough",
    "max_group_frames": "it was as long as a group may be",
    "fixed_group_size": "groups have this fixed length",
    "tail_flush": "the video ended",
}
_OPEN_GROUPS = 3
"""Groups further down begin closed."""


def page(facts: Facts) -> str:
    """All of report.html."""
    here = files("codec_video_prep.report")
    name = facts.meta["video"].replace("\\", "/").rpartition("/")[2] or facts.meta["video"]
    return Template((here / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(name),
        path=escape(facts.meta["video"]),
        style=(here / "page.css").read_text(encoding="utf-8"),
        script=(here / "page.js").read_text(encoding="utf-8"),
        summary=_summary(facts.meta),
        timeline=timeline(facts),
        maps="".join(_map(facts, number) for number in range(len(facts.maps))),
        groups="".join(_group(facts, number) for number in range(len(facts.meta["groups"]))),
        timings=_timings(facts.meta),
        options=_options(facts.meta),
        data=_data(facts),
        version=escape(str(facts.meta.get("library_version", ""))),
        config_hash=escape(str(facts.meta.get("config_hash", ""))[:12]),
    )


def _summary(meta: dict[str, Any]) -> str:
    height, width = meta["stream_hw"]
    prepared_height, prepared_width = meta["processed_hw"]
    rows, columns = meta["hb_wb"]
    entries = {
        "Video": f"{width} &times; {height}, {escape(meta['codec_name'])}",
        "Length": f"{meta['total_frames']:,} frames, {_clock(meta['total_frames'] / meta['fps'])}",
        "Rate": f"{meta['fps']:.4g} frames/s, {meta['video_bit_rate'] / 1000:,.0f} kbit/s",
        "Looked at": f"{meta['seq_len']:,} frames of {prepared_width} &times; {prepared_height}",
        "Groups": f"{meta['num_groups']:,}",
        "Canvases": f"{meta['total_images']:,} of {columns} &times; {rows} patches",
        "Time taken": f"{meta['timings']['total']:.2f} s",
    }
    return "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in entries.items())


def _map(facts: Facts, number: int) -> str:
    each = facts.maps[number]
    told = f"Frame {each.frame}, {facts.seconds[each.frame]:.2f} s"
    kind, bits = facts.types[each.frame], facts.bits[each.frame]
    return (
        f'<figure class="map"><div class="layers">'
        f'<img src="{each.picture}" alt="Picture of frame {each.frame}" loading="lazy">'
        f'<img class="heat" src="{each.heat}" alt="Where its bits went: black none, pale yellow most" loading="lazy">'
        f'<img class="kept" src="{each.kept}" alt="Dark where nothing was kept" loading="lazy"></div>'
        f'<figcaption>{told}<br><span class="type type-{kind}">{kind}</span> {_bits(bits)}, '
        f"{each.kept_share:.0%} kept</figcaption></figure>"
    )


def _group(facts: Facts, number: int) -> str:
    group = facts.meta["groups"][number]
    ids = sorted(group["frame_ids"])
    begin, end = facts.seconds[ids[0]], facts.seconds[ids[-1]]
    reason = STOP_REASONS.get(group["group_stop_reason"], group["group_stop_reason"])
    ready = group["group_readiness"]
    is_open = " open" if number < _OPEN_GROUPS else ""
    return (
        f'<details class="group" id="group-{number}"{is_open}><summary><h3>Group {number}</h3>'
        f"<span>{_clock(begin)} &ndash; {_clock(end)}, {group['group_frame_count']} frames</span></summary>"
        f"<p>Frame {group['frame_ids'][0]} is kept whole, and the best {group['selected_blocks']:,} of "
        f"{ready['candidate_block_count']:,} blocks of the others. The group ended because {escape(reason)}.</p>"
        f"{_shares(group)}{_canvases(facts, group)}</details>"
    )


def _shares(group: dict[str, Any]) -> str:
    """How many blocks of each frame of the group were kept."""
    kept = {int(place): count for place, count in group["selected_blocks_per_frame"].items()}
    count = group["group_frame_count"]
    top = max(kept.values(), default=1)
    bars = "".join(
        f'<rect x="{place}.1" y="{30 - 30 * kept.get(place, 0) / top:.2f}" width="0.8" '
        f'height="{30 * kept.get(place, 0) / top:.2f}">'
        f"<title>frame {group['frame_ids'][place]}: {kept.get(place, 0)} blocks</title></rect>"
        for place in range(1, count)
    )
    whole = '<rect class="anchor" x="0.1" y="0" width="0.8" height="30"><title>kept whole</title></rect>'
    return (
        f'<figure class="shares"><svg viewBox="0 0 {count} 30" preserveAspectRatio="none" role="img" '
        f'aria-label="Blocks kept of each frame, at most {top}">{whole}{bars}</svg>'
        f"<figcaption>Blocks kept of each frame of the group; the first is kept whole</figcaption></figure>"
    )


def _canvases(facts: Facts, group: dict[str, Any]) -> str:
    first, count = group["global_img_offset"], group["num_canvases"]
    if first + count > len(facts.canvases):
        return '<p class="note">Its canvases are left out of this page, which would grow too large.</p>'
    rows, columns = facts.meta["hb_wb"]
    height, width = facts.meta["processed_hw"]
    figures = []
    for number in range(first, first + count):
        sources = np.unique(facts.positions[number, :, 0])
        padding = bool(sources[0] < 0)
        told = "padding" if padding else f"of {len(sources)} frames" if len(sources) > 1 else f"frame {sources[0]}"
        figures.append(
            f'<figure class="canvas"><div class="patches" tabindex="0" role="application" data-canvas="{number}" '
            f'data-rows="{rows}" data-columns="{columns}" '
            f'aria-label="Canvas {number}: use the arrow keys to go from patch to patch">'
            f'<img src="{facts.canvases[number]}" alt="Canvas {number}, {told}" width="{width}" height="{height}" '
            f'loading="lazy"><i></i></div><figcaption>canvas_{number:03d}, {told}</figcaption></figure>'
        )
    return f'<div class="canvases">{"".join(figures)}</div>'


def _timings(meta: dict[str, Any]) -> str:
    parts = {name: sec for name, sec in meta["timings"].items() if not name.startswith("total")}
    total = meta["timings"]["total"] or 1.0
    rows = [
        f'<tr><th scope="row">{escape(name.replace("_", " "))}</th><td>{sec:.3f} s</td>'
        f'<td class="bar"><i style="width:{100 * min(1.0, sec / total):.1f}%"></i></td></tr>'
        for name, sec in sorted(parts.items(), key=lambda item: -item[1])
    ]
    return "".join(rows) + f'<tr class="total"><th scope="row">in all</th><td>{total:.3f} s</td><td></td></tr>'


def _options(meta: dict[str, Any]) -> str:
    left_out = {"video", "out_dir"}
    return "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(value))}</td></tr>'
        for name, value in meta["config"].items()
        if name not in left_out
    )


def _data(facts: Facts) -> str:
    """What the script needs to tell where a patch comes from."""
    positions = np.ascontiguousarray(facts.positions[: len(facts.canvases)], "<i4")
    seconds = {int(frame): round(float(facts.seconds[frame]), 3) for frame in np.unique(facts.frames)}
    told = {
        "positions": base64.b64encode(positions.tobytes()).decode(),
        "rows": facts.meta["hb_wb"][0],
        "columns": facts.meta["hb_wb"][1],
        "seconds": seconds,
    }
    return json.dumps(told)


def _bits(bits: float) -> str:
    return f"{bits:,.0f} bits"


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
