"""A file of fsspec, read as if it lay here."""

from __future__ import annotations

import io
from typing import Any

from mediaref import limits
from mediaref.errors import LimitExceededError
from mediaref.read_stats import count
from mediaref.storage.errors import storage_errors


class RangesIgnoredError(Exception):
    """A server sends the whole file where a part was asked for."""


class RemoteFile(io.RawIOBase):
    """A seekable file whose errors are ours and whose reading is counted in `ReadStats`.

    Where the server sends only whole files it becomes a copy in memory.
    """

    def __init__(self, filesystem: Any, path: str, name: str) -> None:
        """Raises `MediaNotFoundError`, `AccessDeniedError`, `StorageError` or `LimitExceededError`."""
        self._filesystem, self._path, self._name = filesystem, path, name
        self._requests = 0
        with storage_errors(name):
            file = filesystem.open(path, "rb")
        # fsspec's in-memory files are one object for all who open them, its position included.
        self._file: Any = io.BytesIO(file.getvalue()) if isinstance(file, io.BytesIO) else file
        self._is_cached = self._count_fetches(getattr(self._file, "cache", None))
        try:
            self._file.seek(0, io.SEEK_END)  # what fsspec calls seekable is not always so
            self._file.seek(0)
        except (OSError, ValueError):
            self._take_whole()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with storage_errors(self._name):
            return int(self._file.seek(offset, whence))

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes. Raises as opening does, `StorageTimeoutError` among it."""
        position, requests = self.tell(), self._requests
        size = -1 if size is None else size
        with storage_errors(self._name):
            try:
                content = bytes(self._file.read(size))
            except RangesIgnoredError:
                self._take_whole()
                self._file.seek(position)
                return bytes(self._file.read(size))
        if requests == self._requests and not (self._is_cached and size >= 0):
            self._count(content)
        return content

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _take_whole(self) -> None:
        self._file.close()
        with storage_errors(self._name), self._filesystem.open(self._path, "rb", block_size=0) as stream:
            content = read_bounded(stream, self._name)
        self._file, self._is_cached = io.BytesIO(content), True
        self._count(content)

    def _count_fetches(self, cache: Any) -> bool:
        """Count what fsspec fetches for its cache, if the file has one: what is read from that is less, or more."""
        fetch = getattr(cache, "fetcher", None)
        if fetch is None:
            return False

        def counted(begin: int, end: int) -> bytes:
            content: bytes = fetch(begin, end)
            self._count(content)
            return content

        cache.fetcher = counted
        return True

    def _count(self, content: bytes) -> None:
        self._requests += 1
        count(bytes_read=len(content), requests=1, round_trips=1)


def read_bounded(file: Any, name: str) -> bytes:
    """All that is left of `file`. Raises `LimitExceededError`."""
    content = bytearray()
    while piece := file.read(limits.MAX_READ_BYTES + 1 - len(content)):
        content += piece
        if len(content) > limits.MAX_READ_BYTES:
            raise LimitExceededError(
                f"{name}: is over mediaref.limits.MAX_READ_BYTES ({limits.MAX_READ_BYTES}), the most that is read into "
                "memory at once"
            )
    return bytes(content)
