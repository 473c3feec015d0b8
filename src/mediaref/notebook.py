"""How references, bit costs, frame tables and decode plans show themselves in notebooks.

Showing reads no file and runs no script; what comes from outside is escaped. Text takes the notebook's own colours, so
light and dark themes are alike legible.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mediaref import images
from mediaref.data_uri import DataURI
from mediaref.errors import MediaRefError
from mediaref.heat_map import heat_map
from mediaref.storage import shorten

if TYPE_CHECKING:
    from mediaref.bitcost import BitCost
    from mediaref.ref import MediaRef
    from mediaref.video_decoder.index import VideoIndex
    from mediaref.video_decoder.plan import DecodePlan

_SECOND = 1_000_000_000
#: Sides of a 4x4 cell in the pixels of the picture.
_CELL = 4
#: Widest picture or strip, in CSS pixels.
_WIDTH = 640
#: Longest embedded image that is shown, in characters of its URI.
_SHOWN_DATA = 1 << 20
#: Formats that browsers show and that hold nothing but pixels.
_PIXEL_FORMATS = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/avif"})
#: Bars of a strip; longer videos are shown some frames a bar.
_BARS = 320
#: Stands out on white and on black.
_ACCENT = "#e8590c"
_GREY = "rgba(128, 128, 128, 0.35)"


def ref_html(ref: MediaRef) -> str:
    """The fields of a reference; of an embedded image, the image too."""
    facts = {"uri": shorten(ref.uri)}
    if ref.pts_ns is not None:
        facts["pts_ns"] = f"{ref.pts_ns} ({_seconds(ref.pts_ns)})"
    return _box("MediaRef", _table(facts), _embedded_image(ref))


def bit_cost_html(cost: BitCost) -> str:
    """What a frame costs, and where."""
    blocks = int(cost.bits.sum())
    facts = {
        "frame": f"{cost.frame_index} ({cost.picture_type})" + ("" if cost.is_shown else ", never shown"),
        "begins": "no timestamps" if cost.pts_ns is None else _seconds(cost.pts_ns),
        "picture": f"{cost.codec}, {cost.width}x{cost.height}",
        "blocks": f"{cost.bits.shape[0]}x{cost.bits.shape[1]} of {cost.unit}x{cost.unit} samples",
        "bits": f"{cost.packet_bits:,} = {blocks:,} in blocks + {cost.overhead_bits:,} overhead",
        **{name: _share(int(bits.sum()), cost.packet_bits) for name, bits in cost.syntax.items()},
    }
    return _box("BitCost", _table(facts), _picture(cost))


def index_html(index: VideoIndex) -> str:
    """What a video consists of, and the size of its frames over time."""
    keys = index.is_key
    facts = {
        "video": index.source.name,
        "picture": f"{index.codec}, {index.width}x{index.height}",
        "frames": f"{len(index):,}, {int(keys.sum()):,} of them key frames",
        "runs": "no timestamps"
        if index.pts_ns is None
        else f"{_seconds(int(index.pts_ns[0]))} to {_seconds(index.end_ns or 0)}",
    }
    sizes = index.packet_bytes
    heights = _in_bars(sizes / max(int(sizes.max(initial=0)), 1))
    strip = _strip(heights, _in_bars(keys) > 0, "bytes of each frame in display order, key frames in orange")
    return _box("VideoIndex", _table(facts), strip)


def plan_html(plan: DecodePlan) -> str:
    """What a decoder is fed, and what it is spared."""
    index, table = plan.index, plan.index.packets
    fed = plan.packets
    wanted = [int(frame) for span in plan.spans for frame in span.frames]
    facts = {
        "video": index.source.name,
        "frames": f"{len(wanted):,} of {len(index):,}",
        "packets fed": f"{len(fed):,} of {len(table):,} ({int(table.size[fed].sum()):,} bytes)",
        "starts": f"{len(plan.spans):,}",
    }
    height = np.full(len(table), 0.12)
    height[fed] = 0.6
    is_target = np.zeros(len(table), np.bool_)
    is_target[index.packet_of[wanted]] = True
    height[is_target] = 1.0
    label = "packets in decoding order: low those left out, high those fed, orange those of the asked frames"
    strip = _strip(_in_bars(height), _in_bars(is_target) > 0, label)
    return _box("DecodePlan", _table(facts), strip)


# --- pieces ----------------------------------------------------------------------------------------------------------


def _box(title: str, *parts: str) -> str:
    return (
        f'<div style="display: inline-block; max-width: 100%; border: 1px solid {_GREY}; border-radius: 4px; '
        f'padding: 6px 10px; color: inherit"><strong>{title}</strong>{"".join(parts)}</div>'
    )


def _table(facts: Mapping[str, str]) -> str:
    style = "background: transparent; border: none; text-align: left; padding: 1px 12px 1px 0; color: inherit"
    rows = "".join(
        f'<tr style="background: transparent"><td style="{style}; opacity: 0.7">{escape(name)}</td>'
        f'<td style="{style}; overflow-wrap: anywhere">{escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    return f'<table style="border-collapse: collapse; margin: 4px 0; border: none"><tbody>{rows}</tbody></table>'


def _picture(cost: BitCost) -> str:
    """The heat map with one pixel a cell; the browser enlarges it."""
    png = base64.b64encode(images.encode(heat_map(cost.cells), "png")).decode("ascii")
    rows, cols = cost.cells.shape
    label = "bits at each place of the picture: black none, pale yellow the most, in steps of the logarithm"
    return (
        f'<img src="data:image/png;base64,{png}" alt="{label}" title="{label}" style="display: block; '
        f"width: {min(cols * _CELL, _WIDTH)}px; max-width: 100%; aspect-ratio: {cols} / {rows}; "
        f'image-rendering: pixelated"/>'
    )


def _embedded_image(ref: MediaRef) -> str:
    if not ref.is_embedded or ref.is_video or len(ref.uri) > _SHOWN_DATA:
        return ""
    try:
        embedded = DataURI.from_uri(ref.uri)
    except MediaRefError:
        return ""
    if embedded.mimetype.lower() not in _PIXEL_FORMATS:
        return ""
    return (
        f'<img src="{escape(embedded.uri)}" alt="the embedded image" style="display: block; '
        f'max-width: min(100%, {_WIDTH}px)"/>'
    )


def _in_bars(values: NDArray[np.number] | NDArray[np.bool_]) -> NDArray[np.float64]:
    """The largest value of each bar's share of `values`."""
    bars = min(len(values), _BARS)
    edges = np.linspace(0, len(values), bars, endpoint=False).astype(np.int64)
    found: NDArray[np.float64] = np.maximum.reduceat(values.astype(np.float64), edges)
    return found


def _strip(heights: Iterable[float], stands_out: Iterable[bool], label: str) -> str:
    """Bars from 0 to 1, some of them in the accent colour."""
    plain: list[str] = []
    accented: list[str] = []
    for x, (height, is_accented) in enumerate(zip(heights, stands_out, strict=True)):
        (accented if is_accented else plain).append(f"M{x} 40v{-max(40 * height, 1):.1f}h1V40z")
    bars = len(plain) + len(accented)
    return (
        f'<svg viewBox="0 0 {bars} 40" preserveAspectRatio="none" role="img" aria-label="{label}" '
        f'style="display: block; width: {min(4 * bars, _WIDTH)}px; max-width: 100%; height: 40px">'
        f'<title>{label}</title><path fill="currentColor" fill-opacity="0.45" d="{"".join(plain)}"/>'
        f'<path fill="{_ACCENT}" d="{"".join(accented)}"/></svg>'
    )


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / _SECOND:.6f} s"


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.1f} %)" if whole else f"{part:,}"
