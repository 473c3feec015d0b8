"""Iterators that hold files and threads, and what becomes of them in a forked child."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Generator
from typing import TypeVar

from mediaref.errors import ForkedIteratorError

_Item = TypeVar("_Item")


def of_one_process(items: Generator[_Item, None, None], what: str) -> Generator[_Item, None, None]:
    """`items`, for the process that asks for the first of them; `what` is their name in messages.

    A child that is forked later has copies of open files, whose position it shares with its parent, and of decoders
    whose threads it has not. It is told so with a `ForkedIteratorError` when it asks for more, and letting go of the
    iterator there touches nothing.
    """
    process = os.getpid()
    try:
        for item in items:
            yield item
            if os.getpid() != process:
                raise ForkedIteratorError(
                    f"{what}: this iterator is that of process {process}, which had begun it before it forked this "
                    "one; make another one here"
                )
    finally:
        if os.getpid() == process:
            items.close()
        else:
            _keep_for_ever(items)


def _keep_for_ever(thing: object) -> None:
    """Have `thing` outlive the interpreter itself: FFmpeg would wait for threads that are not there to end."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
