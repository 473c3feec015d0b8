"""What operating systems, fsspec and its clients raise, as errors of ours that name the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mediaref import limits
from mediaref.errors import (
    AccessDeniedError,
    CorruptMediaError,
    InvalidReferenceError,
    LimitExceededError,
    MediaNotFoundError,
    MediaRefError,
    MissingDependencyError,
    StorageError,
    StorageTimeoutError,
)


@contextmanager
def storage_errors(name: str) -> Iterator[None]:
    """Turn what is raised while `name` is opened or read into errors of ours."""
    try:
        yield
    except (MediaRefError, MemoryError):
        raise
    except Exception as error:
        raise _translated(error, name) from error


def _translated(error: Exception, name: str) -> MediaRefError:
    for cause in _causes(error):
        if isinstance(cause, MediaRefError):  # of our HTTP client: fsspec calls it a file that is not there
            return cause.within(name)
        if "Timeout" in type(cause).__name__:  # the builtin one, asyncio's before Python 3.11, those of the clients
            return StorageTimeoutError(f"{name}: the storage did not answer in time ({cause or type(cause).__name__})")
        status = getattr(cause, "status", None)
        if isinstance(status, int):
            return _of_http_status(status, name)
        if isinstance(cause, ConnectionError) or type(cause).__module__.startswith("aiohttp."):
            return StorageError(f"{name}: cannot be read: {type(cause).__name__}: {cause}")
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return MediaNotFoundError(f"{name}: no such file")
    if isinstance(error, IsADirectoryError):
        return CorruptMediaError(f"{name}: is a folder, not a file")
    if isinstance(error, PermissionError):
        return AccessDeniedError(f"{name}: permission denied")
    if isinstance(error, ImportError):
        return MissingDependencyError(f"{name}: {error}")
    if isinstance(error, ValueError):  # a NUL in a path, half a surrogate pair, a misspelt host
        return InvalidReferenceError(f"{name}: cannot be opened: {error}")
    return StorageError(f"{name}: cannot be read: {type(error).__name__}: {error}")


def _of_http_status(status: int, name: str) -> MediaRefError:
    if status in {404, 410}:
        return MediaNotFoundError(f"{name}: no such file (HTTP {status})")
    if status in {401, 403, 407}:
        return AccessDeniedError(f"{name}: permission denied (HTTP {status}); storage_options may carry credentials")
    if status == 0 or 300 <= status < 400:  # 0 is what aiohttp says when it stops following
        return LimitExceededError(f"{name}: redirects over mediaref.limits.MAX_REDIRECTS ({limits.MAX_REDIRECTS})")
    return StorageError(f"{name}: cannot be read: the server answers HTTP {status}")


def _causes(error: BaseException) -> list[BaseException]:
    """`error` and what led to it, the first cause first."""
    found = [error]
    while (before := found[-1].__cause__ or found[-1].__context__) is not None and before not in found:
        found.append(before)
    return found[::-1]
