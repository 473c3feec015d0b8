"""A bounded cache that threads and forked children can use."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from mediaref.errors import InvalidReferenceError

if TYPE_CHECKING:
    from mediaref._native import ChainParser
    from mediaref.video_decoder.frame_decoder import FrameDecoder
    from mediaref.video_decoder.index import VideoIndex

_Value = TypeVar("_Value")


class BoundedCache(Generic[_Value]):
    """Keeps the values used last, up to a total weight and, where `most` names one, a number.

    Two threads that miss at once both make the value.
    """

    def __init__(
        self, capacity: int, weight: Callable[[_Value], int], most: Callable[[], int | None] = lambda: None
    ) -> None:
        self._capacity = capacity
        self._weight = weight
        self._most = most
        self._held = 0
        self._values: OrderedDict[Hashable, _Value] = OrderedDict()
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            # A child must not inherit a lock that a thread of its parent held at the fork.
            os.register_at_fork(after_in_child=self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        """The value of `key`, made outside the lock if it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        most = self._most()
        value = make()
        with self._lock:
            if key not in self._values:
                self._keep(key, value, most)
        return value

    def peek(self, key: Hashable) -> _Value | None:
        """The value of `key` if it is there, which is then one of those used last."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: _Value) -> None:
        """Replace the value of `key` by a better one of the same weight; nothing if it has been let go."""
        with self._lock:
            if key in self._values:
                self._values[key] = value

    def keep(self, key: Hashable, value: _Value) -> None:
        """Keep `value`, in the place of another one if there is one."""
        with self._lock:
            if key in self._values:
                self._held -= self._weight(self._values.pop(key))
            self._keep(key, value, None)

    def _keep(self, key: Hashable, value: _Value, most: int | None) -> None:
        self._values[key] = value
        self._held += self._weight(value)
        while len(self._values) > (most or len(self._values)) or (
            self._held > self._capacity and len(self._values) > 1
        ):
            _, dropped = self._values.popitem(last=False)
            self._held -= self._weight(dropped)

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._values.clear()
            self._held = 0

    def __len__(self) -> int:
        return len(self._values)


class IdlePool(Generic[_Value]):
    """Keeps things that are used by one at a time, for whoever needs one next: those used last, up to a total weight.

    Nobody ever waits for it: who comes while another is at it is given nothing, or keeps nothing. The garbage collector
    may therefore interrupt it by something that comes back to it, and a fork may leave it held.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._idle: list[tuple[Hashable, int, _Value]] = []
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> _Value | None:
        """One that was given under this key, used last, if there is one."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            for place in range(len(self._idle) - 1, -1, -1):
                if self._idle[place][0] == key:
                    return self._idle.pop(place)[2]
            return None
        finally:
            self._lock.release()

    def give(self, key: Hashable, value: _Value, weight: int) -> None:
        """Keep `value`, which nobody uses any more."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._idle.append((key, weight, value))
            while sum(weight for _, weight, _ in self._idle) > self._capacity:
                del self._idle[0]
        finally:
            self._lock.release()

    def clear(self) -> None:
        """Forget all."""
        self._idle = []

    def __len__(self) -> int:
        return len(self._idle)


def _index_weight(index: VideoIndex) -> int:
    return len(index.packets) + 1024


def _most_videos() -> int | None:
    """How many videos `AV_CACHE_SIZE` allows; None, or 0 as the variable's value, leaves it to their memory alone."""
    value = os.environ.get("AV_CACHE_SIZE")
    if value is None:
        return None
    try:
        most = int(value)
    except ValueError:
        most = -1
    if most < 0:
        raise InvalidReferenceError(f"AV_CACHE_SIZE is {value!r}; it must be a number of videos, 0 for no limit")
    return most


#: Indexes of the videos used last: about 100 bytes a packet, so 200 MB when full.
indexes: BoundedCache[VideoIndex] = BoundedCache(1 << 21, _index_weight, _most_videos)

#: The identity that each remote file had when it was indexed last, by `Source.key`.
identities: BoundedCache[Hashable] = BoundedCache(1 << 14, lambda _: 1)


#: Bytes that may still be read of remote files in parts, by their identity, before it is time to index them whole.
allowances: BoundedCache[int] = BoundedCache(1 << 14, lambda _: 1)


class Checkpoint(NamedTuple):
    """A parser of VP9 or AV1 that can go on."""

    #: Row of the packet that it comes to next.
    row: int
    #: Not to be changed: others may go on from it, too.
    parser: ChainParser
    #: Memory that it holds, roughly.
    size: int


#: Where parsing can go on within the chains of packets that were parsed last, by the video's identity and the row of
#: the chain's first packet; in bytes.
checkpoints: BoundedCache[tuple[Checkpoint, ...]] = BoundedCache(
    64 << 20, lambda chain: sum(checkpoint.size for checkpoint in chain)
)


#: Decoders at rest, in bytes of the memory that they have for pictures.
idle_decoders: IdlePool[FrameDecoder] = IdlePool(64 << 20)


def cleanup_cache() -> None:
    """Forget everything that is kept about videos read before."""
    indexes.clear()
    identities.clear()
    allowances.clear()
    checkpoints.clear()
    idle_decoders.clear()
