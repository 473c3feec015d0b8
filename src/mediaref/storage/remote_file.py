"""A file of fsspec, read as if it lay here."""

from __future__ import annotations

import io
from typing import Any

from mediaref import limits
from mediaref.errors import LimitExceededError
from mediaref.storage.errors import storage_errors


class RangesIgnoredError(Exception):
    """A server sends the whole file where a part was asked for."""


class RemoteFile(io.RawIOBase):
    """A seekable file whose errors are ours. Where the server sends only whole files it becomes a copy in memory."""

    def __init__(self, filesystem: Any, path: str, name: str) -> None:
        """Raises `MediaNotFoundError`, `AccessDeniedError`, `StorageError` or `LimitExceededError`."""
        self._filesystem, self._path, self._name = filesystem, path, name
        with storage_errors(name):
            file = filesystem.open(path, "rb")
        # fsspec's in-memory files are one object for all who open them, its position included.
        self._file: Any = io.BytesIO(file.getvalue()) if isinstance(file, io.BytesIO) else file
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
        position = self.tell()
        with storage_errors(self._name):
            try:
                return bytes(self._file.read(-1 if size is None else size))
            except RangesIgnoredError:
                pass
        self._take_whole()
        self._file.seek(position)
        return bytes(self._file.read(size))

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
            self._file = io.BytesIO(read_bounded(stream, self._name))


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
