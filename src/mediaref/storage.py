"""From a uri to something that can be opened: a local path, bytes that the uri carries itself, or an fsspec file."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from mediaref.data_uri import DataURI
from mediaref.errors import (
    AccessDeniedError,
    CorruptMediaError,
    InvalidReferenceError,
    MediaNotFoundError,
    MediaRefError,
    MissingDependencyError,
)

StorageOptions = Mapping[str, Any]

# Two letters at least: "C:\clip.mp4" is a path of Windows, not a scheme.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+):")
_KEPT_IN_MESSAGES = 120


def scheme_of(uri: str) -> str:
    """Lower-case scheme of `uri`: `data`, `file`, `s3`, ...; `""` for a bare path.

    A colon alone does not make a scheme (`take:2.mp4` is a file name): it takes `://`, or one of `data:` and `file:`.
    """
    found = _SCHEME.match(uri)
    if found is None:
        return ""
    scheme = found[1].lower()
    return scheme if scheme in {"data", "file"} or uri.startswith("://", found.end() - 1) or "::" in uri else ""


def shorten(uri: str) -> str:
    """`uri` for a message: a data URI of megabytes is cut."""
    return uri if len(uri) <= _KEPT_IN_MESSAGES else f"{uri[:_KEPT_IN_MESSAGES]}... ({len(uri)} characters)"


@dataclass(frozen=True)
class Source:
    """One file that can be opened any number of times.

    Exactly one of `path` (local file) and `data` (bytes carried by the uri) is set, or neither for an fsspec uri.
    """

    uri: str
    path: str | None = None
    data: bytes | None = field(default=None, repr=False)
    storage_options: StorageOptions = field(default_factory=dict, repr=False, hash=False)

    @property
    def name(self) -> str:
        """What messages call this file."""
        return shorten(self.uri)

    def open(self) -> BinaryIO:
        """A seekable binary file, positioned at its start.

        Raises `MediaNotFoundError`, `AccessDeniedError`, `MissingDependencyError` or `CorruptMediaError`.
        """
        if self.data is not None:
            return io.BytesIO(self.data)
        try:
            if self.path is not None:
                return Path(self.path).open("rb")
            filesystem, path = self._filesystem_and_path()
            file = filesystem.open(path, "rb")
            # fsspec's in-memory files are one object for all who open them, its position included.
            return io.BytesIO(file.getvalue()) if isinstance(file, io.BytesIO) else cast(BinaryIO, file)
        except MediaRefError:
            raise
        except Exception as error:
            raise _translated(error, self.name) from error

    def read(self) -> bytes:
        """All of the file's bytes."""
        if self.data is not None:
            return self.data
        with self.open() as file:
            try:
                return file.read()
            except OSError as error:
                raise _translated(error, self.name) from error

    def identity(self) -> Hashable:
        """A key that changes when the file's content does, as far as its storage tells: size, time, inode or etag."""
        try:
            if self.path is not None:
                status = os.stat(self.path)  # noqa: PTH116 - the inode and nanoseconds are what is wanted
                return ("file", os.path.realpath(self.path), status.st_size, status.st_mtime_ns, status.st_ino)
            if self.data is not None:
                return ("data", hashlib.sha256(self.data).digest())
            filesystem, path = self._filesystem_and_path()
            info = filesystem.info(path)
        except MediaRefError:
            raise
        except Exception as error:
            raise _translated(error, self.name) from error
        marks = sorted((key.lower(), str(value)) for key, value in info.items() if key.lower() in _CONTENT_MARKS)
        secret = hashlib.sha256(repr(sorted(self.storage_options.items())).encode()).digest()
        return ("remote", self.uri, secret, tuple(marks))

    def exists(self) -> bool:
        """Whether the file is there."""
        if self.data is not None:
            return True
        if self.path is not None:
            return Path(self.path).exists()
        filesystem, path = self._filesystem_and_path()
        return bool(filesystem.exists(path))

    def _filesystem_and_path(self) -> tuple[Any, str]:
        import fsspec

        try:
            filesystem, path = fsspec.core.url_to_fs(self.uri, **self.storage_options)
        except ImportError as error:
            raise MissingDependencyError(f"{self.name}: reading this scheme needs a package: {error}") from error
        except ValueError as error:
            raise InvalidReferenceError(f"{self.name}: {error}") from error
        return filesystem, path


_CONTENT_MARKS = {"size", "etag", "mtime", "created", "lastmodified", "last_modified", "ino", "generation"}


def locate(uri: str | os.PathLike[str] | DataURI, storage_options: StorageOptions | None = None) -> Source:
    """Find out what `uri` names, without touching it.

    Takes bare paths, `file:` uris in every spelling of RFC 8089 with no host but `localhost`, `data:` URIs, and any
    `scheme://` of fsspec, to which `storage_options` are passed. Raises `InvalidReferenceError`.
    """
    text = str(uri) if isinstance(uri, DataURI) else os.fspath(uri)
    scheme = scheme_of(text)
    if scheme == "data":
        return Source(text, data=DataURI.from_uri(text).decoded_data)
    if scheme == "file":
        return Source(text, path=_file_uri_path(text))
    if scheme:
        return Source(text, storage_options=dict(storage_options or {}))
    if not text:
        raise InvalidReferenceError("the uri is empty: there is nothing to open")
    return Source(text, path=text)


def join(base: str, relative: str) -> str:
    """`relative` under `base`, a path or a uri."""
    scheme = scheme_of(base)
    if scheme == "file":
        base = _file_uri_path(base)
    elif scheme:
        return f"{base.rstrip('/')}/{relative}" if relative else base
    return (Path(base) / relative).as_posix()


def _file_uri_path(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.netloc not in {"", "localhost"}:
        raise InvalidReferenceError(
            f"{shorten(uri)}: a file uri cannot name the host {parts.netloc!r}; use file:///path, or a path"
        )
    # In a file name '?' and '#' mean nothing special unless they were meant to be a query, which a file has not.
    path = uri.split(":", 1)[1]
    if path.startswith("//"):
        path = "/" + path[2:].partition("/")[2]
    return unquote(path)


def _translated(error: BaseException, name: str) -> MediaRefError:
    """Our error for what the operating system or fsspec raised on opening or reading `name`."""
    if isinstance(error, FileNotFoundError):
        return MediaNotFoundError(f"{name}: no such file")
    if isinstance(error, IsADirectoryError):
        return CorruptMediaError(f"{name}: is a folder, not a file")
    if isinstance(error, PermissionError):
        return AccessDeniedError(f"{name}: permission denied")
    if isinstance(error, ImportError):
        return MissingDependencyError(f"{name}: {error}")
    return CorruptMediaError(f"{name}: cannot be read: {type(error).__name__}: {error}")
