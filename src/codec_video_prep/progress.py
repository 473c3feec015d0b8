"""One line on a terminal that says how far a run is."""

from __future__ import annotations

import time
from typing import TextIO

WIDTH = 30
REDRAW_SECONDS = 0.1


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
