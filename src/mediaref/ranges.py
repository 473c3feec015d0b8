"""Byte ranges of one file, wherever it lies."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from mediaref.storage import Source

if TYPE_CHECKING:
    from typing_extensions import Self


class Ranges:
    """Reads pieces of a file. Not to be shared by threads; use it in a `with` block."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._resources = ExitStack()

    @cached_property
    def size(self) -> int:
        """Bytes of the file."""
        if self._source.data is not None:
            return len(self._source.data)
        return self._file.seek(0, os.SEEK_END)

    def read(self, position: int, size: int) -> bytes:
        """`size` bytes at `position`, fewer where the file ends. Raises as `Source.open`."""
        if self._source.data is not None:
            return self._source.data[position : position + size]
        size = min(size, self.size - position)  # what a damaged file asks for may be more than there is memory
        if size <= 0:
            return b""
        self._file.seek(position)
        return self._file.read(size)

    @cached_property
    def _file(self) -> BinaryIO:
        return self._resources.enter_context(self._source.open())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()
