"""`ReadStats`: what was read, fed and returned, counted while a `with` block runs."""

from __future__ import annotations

import os
import threading
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass
class ReadStats:
    """Counts what is read within a `with` block, by this thread and by those that its calls start.

    That is all that is read of remote files, images among them, and of local videos what their index, plans and bit
    costs take: a pass that FFmpeg makes over a local file by itself, in a container without tables, is not seen.

        with ReadStats() as stats:
            batch_decode(refs)
        print(stats)

    Blocks may be nested: each counts what happens in it.
    """

    #: Bytes read of files, headers of the protocols they came by not included.
    bytes_read: int = 0
    #: Reads of local files, and ranges asked of remote ones.
    requests: int = 0
    #: Times that an answer about a remote file had to be waited for: what is asked at once counts once.
    round_trips: int = 0
    #: Packets that were given to a decoder.
    packets_fed: int = 0
    #: Stand-ins among them, fed in the place of packets of which the decoder must know no more than that they were.
    stand_ins_fed: int = 0
    #: Different frames that were decoded.
    frames_returned: int = 0
    _outer: ReadStats | None = field(default=None, repr=False, compare=False)
    _token: Token[ReadStats | None] | None = field(default=None, repr=False, compare=False)

    def __enter__(self) -> Self:
        self._outer = _counting.get()
        self._token = _counting.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._token is not None
        _counting.reset(self._token)
        self._token = None

    def add(
        self,
        *,
        bytes_read: int = 0,
        requests: int = 0,
        round_trips: int = 0,
        packets_fed: int = 0,
        stand_ins_fed: int = 0,
        frames_returned: int = 0,
    ) -> None:
        """Count, here and in the blocks around."""
        with _adding:
            stats: ReadStats | None = self
            while stats is not None:
                stats.bytes_read += bytes_read
                stats.requests += requests
                stats.round_trips += round_trips
                stats.packets_fed += packets_fed
                stats.stand_ins_fed += stand_ins_fed
                stats.frames_returned += frames_returned
                stats = stats._outer


def current_stats() -> ReadStats:
    """The innermost block's counters; some that nobody looks at where there is none."""
    return _counting.get() or ReadStats()


_counting: ContextVar[ReadStats | None] = ContextVar("mediaref_read_stats", default=None)
_adding = threading.Lock()


def _renew_lock() -> None:
    global _adding
    _adding = threading.Lock()


if hasattr(os, "register_at_fork"):
    # A child must not inherit a lock that a thread of its parent held at the fork.
    os.register_at_fork(after_in_child=_renew_lock)
