"""The boxes that an MP4 or MOV file consists of (ISO/IEC 14496-12, 4.2): where each begins and ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Reads `size` bytes at a position; fewer where the file ends.
Read = Callable[[int, int], bytes]


class Box(NamedTuple):
    """One box within some bytes."""

    kind: bytes
    begin: int
    #: Where its content begins and ends.
    body: int
    end: int


def top_level(read: Read, size: int) -> Iterator[Box]:
    """The boxes that a file of `size` bytes consists of; the last may reach beyond it, and ends them."""
    at = 0
    while at < size and len(head := read(at, 16)) >= 8:
        header, length = header_and_size(head, 0, size - at)
        if length < header:
            return
        yield Box(head[4:8], at, at + header, at + length)
        at += length


def boxes(content: bytes, begin: int, end: int, *, cut: bool = False) -> Iterator[Box]:
    """The boxes from `begin` on that lie whole before `end`; behind them, if it shall be `cut`, one that does not."""
    while begin + 8 <= end:
        header, size = header_and_size(content, begin, end)
        size = min(size, end - begin) if cut else size
        if size < header or begin + size > end:
            return
        yield Box(content[begin + 4 : begin + 8], begin, begin + header, begin + size)
        begin += size


def find(content: bytes, box: Box, *path: bytes) -> Box | None:
    """The first box of the kind `path[0]` in `box`, the first of `path[1]` in that, and so on; the last of them."""
    for kind in path:
        inner = next((each for each in boxes(content, box.body, box.end) if each.kind == kind), None)
        if inner is None:
            return None
        box = inner
    return box


def header_and_size(content: bytes, begin: int, end: int) -> tuple[int, int]:
    """Bytes of a box's header, and of the whole box."""
    size = int.from_bytes(content[begin : begin + 4], "big")
    if size == 1:
        return 16, int.from_bytes(content[begin + 8 : begin + 16], "big")
    return 8, size or end - begin


def entries(box: bytes, kind: str, count: int, at: int) -> NDArray[Any]:
    """`count` numbers of a box from byte `at` of its content on. Raises `ValueError` if the box is too short."""
    return np.frombuffer(box, kind, count, at)


def check(holds: bool) -> None:
    """Raise `ValueError` where boxes do not fit together."""
    if not holds:
        raise ValueError
