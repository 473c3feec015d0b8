"""Lines on a terminal that say how far a run is, or a batch of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from codec_video_prep.batch.run import Tally

WIDTH = 30
REDRAW_SECONDS = 0.1
LINE_SECONDS = 10.0
"""On something that is no terminal, a batch prints a line this often."""


class ProgressBar:
    """Draws stages as they advance; on something that is no terminal, one line for each finished stage.

    Use it as a context. `stream=None` draws nothing.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._redraws = stream is not None and stream.isatty()
        self._stage = ""
        self._began = self._drawn = 0.0

    def show(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` items of a stage are finished."""
        if self._stream is None:
            return
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began, self._drawn = stage, now, 0.0
        finished = done == total
        if self._redraws and (finished or now - self._drawn >= REDRAW_SECONDS):
            self._drawn = now
            bar = "#" * (WIDTH * done // total)
            self._stream.write(f"\r{stage:>7} [{bar:<{WIDTH}}] {done}/{total}" + ("\n" if finished else ""))
        elif finished:
            self._stream.write(f"{stage}: {total} in {now - self._began:.1f} s\n")
        self._stream.flush()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None and self._redraws and self._stream is not None:
            self._stream.write("\n")  # the message that follows starts on a line of its own


class BatchLine:
    """Says how many videos of a batch are done, how fast they go, and how long the rest will take.

    Use it as a context. `stream=None` says nothing.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._redraws = stream is not None and stream.isatty()
        self._began = time.monotonic()
        self._said = -LINE_SECONDS
        self._width = 0

    def show(self, tally: Tally) -> None:
        """Another video is done, or has failed."""
        if self._stream is None:
            return
        now = time.monotonic()
        reached = tally.before + tally.done + tally.failed
        if reached < tally.total and now - self._said < (REDRAW_SECONDS if self._redraws else LINE_SECONDS):
            return
        self._said = now
        text = _told(tally, reached, now - self._began)
        if self._redraws:
            self._stream.write(f"\r{text:<{self._width}}")
            self._width = len(text)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def __enter__(self) -> BatchLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._redraws and self._width and self._stream is not None:
            self._stream.write("\n")


def _told(tally: Tally, reached: int, seconds: float) -> str:
    parts = [f"{reached}/{tally.total} videos"]
    if tally.failed:
        parts.append(f"{tally.failed} failed")
    rate = tally.done / seconds if seconds > 0 else 0.0
    if rate:
        parts.append(f"{rate:.2g}/s" if rate < 10 else f"{rate:.0f}/s")
        parts.append(f"{_clock((tally.total - reached) / rate)} left" if reached < tally.total else _clock(seconds))
    return ", ".join(parts)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
