"""The plot of the decoding benchmark: SVG that is legible on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape

from clips import HERE

PLOT = HERE.parent / "docs" / "decoding.svg"

#: Colours of the libraries, of about the same contrast on white and on black.
_COLOURS = {
    "PyAV": "#3b82f6",
    "decord": "#e8590c",
    "video-reader-rs": "#a855f7",
    "OpenCV": "#0d9488",
    "torchcodec": "#e64980",
    "torchcodec approximate": "#f08caf",
    "mediaref 1.1.0": "#868e96",
    "mediaref 2.1.0": "#b08900",
}
_TICKS = (0.5, 1, 2, 4, 8, 16)
_LEFT, _PANEL, _GAP, _TOP, _LINE = 120, 300, 40, 74, 30

#: Times that libraries take, ours being 1, by pattern and threads, and by library.
Ratios = Mapping[tuple[str, int], Mapping[str, float]]


def plot(ratios: Ratios, about: str) -> str:
    """An SVG picture: a line for each pattern, a dot for each library; one panel for each number of threads."""
    patterns = list(dict.fromkeys(pattern for pattern, _ in ratios))
    panels = sorted({threads for _, threads in ratios})
    width = _LEFT + len(panels) * (_PANEL + _GAP)
    bottom = _TOP + _LINE * len(patterns)
    shown = {name for of_libraries in ratios.values() for name in of_libraries}
    body = [*_legend([name for name in _COLOURS if name in shown])]
    body.append(f'<text x="{width - _GAP}" y="{bottom + 40}" class="quiet end">{escape(about)}</text>')
    body += [
        f'<text x="{_LEFT - 12}" y="{_TOP + _LINE * line + 19}" class="end">{escape(pattern)}</text>'
        for line, pattern in enumerate(patterns)
    ]
    for number, threads in enumerate(panels):
        left = _LEFT + number * (_PANEL + _GAP)
        body += _panel(left, bottom, threads)
        for line, pattern in enumerate(patterns):
            body += _dots(left, _TOP + _LINE * line + 15, ratios.get((pattern, threads), {}))
    style = (
        "text{font:12px system-ui,sans-serif;fill:#24292f}.quiet{font-size:10px;opacity:.7}.end{text-anchor:end}"
        ".middle{text-anchor:middle}.grid{stroke:#8b949e;stroke-opacity:.35}.ours{stroke:#2da44e;stroke-width:2}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 52}" width="{width}" role="img">\n'
        "<title>Time that other libraries take to decode some frames, ours being 1</title>\n"
        f"<style>{style}</style>\n" + "\n".join(body) + "\n</svg>\n"
    )


def _legend(names: list[str]) -> Iterator[str]:
    x, y = 16, 18
    for name in names:
        yield f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{_COLOURS[name]}"/>'
        yield f'<text x="{x + 9}" y="{y}">{escape(name)}</text>'
        x += 34 + 7 * len(name)
        if x > _LEFT + 2 * _PANEL - 80:
            x, y = 16, y + 20


def _panel(left: int, bottom: int, threads: int) -> Iterator[str]:
    title = f"{threads} thread{'s' * (threads > 1)}: times as long as ours"
    yield f'<text x="{left + _PANEL / 2}" y="{_TOP - 6}" class="middle">{title}</text>'
    for tick in _TICKS:
        x = left + _across(tick)
        yield f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}" class="{"ours" if tick == 1 else "grid"}"/>'
        yield f'<text x="{x}" y="{bottom + 16}" class="quiet middle">{tick:g}</text>'


def _dots(left: int, y: int, of_libraries: Mapping[str, float]) -> Iterator[str]:
    for name, ratio in of_libraries.items():
        dot = f'<circle cx="{left + _across(ratio):.1f}" cy="{y}" r="5" fill="{_COLOURS[name]}" fill-opacity=".8">'
        yield f"{dot}<title>{escape(name)}: {ratio:.2f}</title></circle>"


def _across(ratio: float) -> float:
    """Place on the axis, which is logarithmic; what lies beyond its ends is drawn there."""
    first, last = math.log(_TICKS[0]), math.log(_TICKS[-1])
    return _PANEL * min(1.0, max(0.0, (math.log(ratio) - first) / (last - first)))
