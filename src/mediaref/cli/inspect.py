"""`mediaref inspect`: what a video consists of."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from mediaref.native_costs import COSTED_CODECS
from mediaref.storage import locate
from mediaref.video_decoder.container import opened
from mediaref.video_decoder.index import VideoIndex


def run(video: str, frames: bool, as_json: bool) -> int:
    """Print a report of `video`, for people or as JSON."""
    found = report(video)
    if as_json:
        print(json.dumps(found, indent=2))
        return 0
    _print_pairs(found["video"])
    _print_table("streams", found["streams"])
    _print_table("groups of pictures", found["gops"])
    if frames:
        _print_table("frames", found["frames"])
    return 0


def report(video: str) -> dict[str, Any]:
    """Everything that is known of a video, as JSON has it: `video`, `streams`, `gops` and `frames`."""
    source = locate(video)
    index = VideoIndex.open(source)
    facts = {
        "uri": source.uri,
        "codec": index.codec,
        "width": index.width,
        "height": index.height,
        "frames": len(index),
        "begin_ns": None if index.pts_ns is None else int(index.pts_ns[0]),
        "end_ns": index.end_ns,
        "average_rate": None if index.average_rate is None else str(index.average_rate),
        "time_base": str(index.time_base),
        "bit_rate": None if index.bit_rate is None else round(index.bit_rate),
        "key_frames": int(index.is_key.sum()),
        "unreferenced_frames": None if index.parser is None else int((~index.is_referenced).sum()),
        "bit_costs": "read" if index.codec in COSTED_CODECS else "not read for this codec",
    }
    with opened(source) as (container, shown):
        streams = [
            {
                "index": stream.index,
                "type": stream.type,
                "codec": stream.codec_context.name if stream.codec_context else None,
                "read": stream.index == shown.index,
                "language": stream.metadata.get("language"),
            }
            for stream in container.streams
        ]
    return {"video": facts, "streams": streams, "gops": _gops(index), "frames": _frames(index)}


def _gops(index: VideoIndex) -> list[dict[str, Any]]:
    """Runs of frames in decoding order, each from one key frame to the next."""
    order = np.argsort(index.packet_of, kind="stable")
    keys = np.flatnonzero(index.is_key[order])
    starts = np.unique(np.append(keys, 0))
    gops = []
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=True):
        members = order[start:stop]
        first = int(members[0])
        gops.append(
            {
                "first_frame": first,
                "pts_ns": None if index.pts_ns is None else int(index.pts_ns[first]),
                "frames": len(members),
                "bytes": int(index.packet_bytes[members].sum()),
                "starts_with_key": bool(index.is_key[first]),
            }
        )
    return gops


def _frames(index: VideoIndex) -> list[dict[str, Any]]:
    times = [None] * len(index) if index.pts_ns is None else index.pts_ns.tolist()
    columns = zip(
        times,
        index.picture_type.tolist(),
        index.is_key.tolist(),
        index.is_referenced.tolist(),
        index.packet_bytes.tolist(),
        index.packets.position[index.packet_of].tolist(),
        strict=True,
    )
    return [
        {
            "frame": number,
            "pts_ns": pts_ns,
            "type": chr(kind) if kind else None,
            "key": key,
            "referenced": referenced if index.parser is not None else None,
            "bytes": size,
            "position": position if position >= 0 else None,
        }
        for number, (pts_ns, kind, key, referenced, size, position) in enumerate(columns)
    ]


def _print_pairs(pairs: dict[str, Any]) -> None:
    widest = max(map(len, pairs))
    for name, value in pairs.items():
        print(f"{name:<{widest}}  {_shown(value)}")


def _print_table(title: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{title}")
    lines = [list(rows[0]), *([_shown(value) for value in row.values()] for row in rows)] if rows else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  " + "  ".join(f"{text:>{width}}" for text, width in zip(line, widths, strict=True)))


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
