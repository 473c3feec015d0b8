"""The errors that MediaRef raises: all are `MediaRefError`, and each is also the builtin error one would expect."""

from __future__ import annotations

from typing import TypeVar

_E = TypeVar("_E", bound="MediaRefError")


class MediaRefError(Exception):
    """Base of all errors of this library."""

    def within(self: _E, what: str) -> _E:
        """The same error with `what` was being done put in front of its message."""
        return type(self)(f"{what}: {self}")


class InvalidReferenceError(MediaRefError, ValueError):
    """A reference, data URI or argument that cannot mean anything."""


class InvalidTypeError(InvalidReferenceError, TypeError):
    """An argument of a kind that cannot mean anything here: 1.5 or "7" for the number of a frame."""


class MediaNotFoundError(MediaRefError, FileNotFoundError, ValueError):
    """The file that a reference names does not exist."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class AccessDeniedError(MediaRefError, PermissionError, ValueError):
    """A file that may not be read: its storage refuses, or an `AccessPolicy` in force does and the message says why."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class StorageError(MediaRefError, ConnectionError, ValueError):
    """The storage behind a uri cannot be reached, refuses, or breaks off."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class StorageTimeoutError(StorageError, TimeoutError):
    """The storage behind a uri did not answer in time."""


class CorruptMediaError(MediaRefError, ValueError):
    """The data is not, or is no longer, what its container or header says."""


class FileChangedError(CorruptMediaError):
    """A file is another one than when it was indexed; index it again."""


class UnsupportedBitstreamError(MediaRefError, NotImplementedError, ValueError):
    """Sound data that uses something this library does not read; the message names it."""


class TimestampError(MediaRefError, ValueError, RuntimeError):
    """A time outside the video, or any time in a video that has none."""


class FrameIndexError(MediaRefError, IndexError):
    """A frame number outside the video."""


class LimitExceededError(MediaRefError, ValueError):
    """Sound or not, larger than the limit that the message names."""


class ForkedIteratorError(MediaRefError, RuntimeError):
    """An iterator that a process had begun before it forked, and that its child carries on: it holds the parent's files
    and threads. Make another one in the child.
    """


class MissingDependencyError(MediaRefError, ImportError):
    """A package that this call needs is not installed; the message names it."""
