"""`ReadStats`: what was read, fed and returned, counted while a `with` block runs."""

from __future__ import annotations

import os
import threading
from contextvars import ContextVar
from dataclasses import dataclass
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

    Blocks may be nested: each counts what happens in it. What an iterator reads (`iter_decode`, `decode_frames`,
    `iter_bit_costs`) counts in the blocks in which it is asked for an item, wherever it was made, and so does what it
    reads ahead then. The same counters may be used for several blocks, also within each other and by several threads at
    once: they hold the sum, each thing counted once.
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

    def __enter__(self) -> Self:
        _blocks.set((*_blocks.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not always the innermost: generators that are in a block of their own may end in any order.
        blocks = _blocks.get()
        own = max((place for place, each in enumerate(blocks) if each is self), default=len(blocks))
        _blocks.set(blocks[:own] + blocks[own + 1 :])


def count(
    *,
    bytes_read: int = 0,
    requests: int = 0,
    round_trips: int = 0,
    packets_fed: int = 0,
    stand_ins_fed: int = 0,
    frames_returned: int = 0,
) -> None:
    """Count in the blocks that are open where this is called."""
    blocks = _blocks.get()
    if not blocks:
        return
    with _adding:
        for stats in {id(each): each for each in blocks}.values():
            stats.bytes_read += bytes_read
            stats.requests += requests
            stats.round_trips += round_trips
            stats.packets_fed += packets_fed
            stats.stand_ins_fed += stand_ins_fed
            stats.frames_returned += frames_returned


_blocks: ContextVar[tuple[ReadStats, ...]] = ContextVar("mediaref_read_stats", default=())
#: One that its thread may take again: the garbage collector may interrupt the counting to close a decoder.
_adding = threading.RLock()


def _renew_lock() -> None:
    global _adding
    _adding = threading.RLock()


if hasattr(os, "register_at_fork"):
    # A child must not inherit a lock that a thread of its parent held at the fork.
    os.register_at_fork(after_in_child=_renew_lock)
