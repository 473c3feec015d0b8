"""`Source`: one file that can be opened any number of times, and which of them a uri names."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from reprlib import repr as short_repr
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from mediaref.data_uri import DataURI
from mediaref.errors import (
    CorruptMediaError,
    InvalidReferenceError,
    InvalidTypeError,
    MediaNotFoundError,
    MissingDependencyError,
)
from mediaref.read_stats import count
from mediaref.storage.access import AccessPolicy, allowed_path, policies_in_force
from mediaref.storage.errors import storage_errors
from mediaref.storage.uris import links_of, path_of_file_uri, scheme_of, shorten

if TYPE_CHECKING:
    from concurrent.futures import Future

StorageOptions = Mapping[str, Any]

_HTTP = ("http", "https")
_CONTENT_MARKS = frozenset(
    {
        "blob_id",
        "content-md5",
        "created",
        "digest",
        "etag",
        "generation",
        "ino",
        "last-modified",
        "last_modified",
        "lastmodified",
    }
    | {"mtime", "size"}
)
#: The package that brings a scheme to fsspec.
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("abfs", "abfss", "az"), "adlfs"),
}


class Status(NamedTuple):
    """What its storage says of a remote file."""

    identity: Hashable
    #: Bytes; None where its server does not tell.
    size: int | None


@dataclass(frozen=True)
class Source:
    """One file that can be opened any number of times.

    Exactly one of `path` (local file) and `data` (bytes carried by the uri) is set, or neither for an fsspec uri.
    """

    uri: str
    path: str | None = None
    data: bytes | None = field(default=None, repr=False)
    storage_options: StorageOptions = field(default_factory=dict, repr=False, hash=False)
    #: What was in force where the source was made holds wherever it is opened.
    policies: tuple[AccessPolicy, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """What messages call this file."""
        return shorten(self.uri)

    def open(self) -> BinaryIO:
        """A seekable binary file, positioned at its start.

        Raises `MediaNotFoundError`, `AccessDeniedError`, `MissingDependencyError`, `StorageError` (storage that does
        not answer, `StorageTimeoutError` if it is too slow), or `CorruptMediaError` for a folder or a device.
        """
        if self.data is not None:
            return io.BytesIO(self.data)
        with storage_errors(self.name):
            if self.path is None:
                from mediaref.storage.remote_file import RemoteFile

                return cast(BinaryIO, RemoteFile(*self.filesystem_and_path(), self.name))
            kind = os.stat(self.path).st_mode  # noqa: PTH116 - a path may be anything that the system takes for one
            if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
                # To open a pipe would wait for a writer; a device may have no end.
                raise CorruptMediaError(f"{self.name}: is no regular file")
            return open(self.path, "rb")  # noqa: PTH123 - whoever asked closes it

    def read(self) -> bytes:
        """All of the file's bytes. Raises as `open`, and `LimitExceededError`."""
        if self.data is not None:
            return self.data
        from mediaref.storage.remote_file import read_bounded

        with self.open() as file, storage_errors(self.name):
            return read_bounded(file, self.name)

    def identity(self) -> Hashable:
        """A key that changes when the file's content does, as far as its storage tells: size, time, inode or etag."""
        if self.data is not None:
            return ("data", hashlib.sha256(self.data).digest())
        if self.path is not None:
            with storage_errors(self.name):
                return file_identity(os.stat(self.path))  # noqa: PTH116 - the inode and nanoseconds are what is wanted
        return self.status().identity

    @property
    def is_remote(self) -> bool:
        """Whether the file is read through fsspec."""
        return self.path is None and self.data is None

    @property
    def key(self) -> Hashable:
        """Which remote file this is, by what name and with whose rights, whatever it holds."""
        secret = hashlib.sha256(repr(sorted(self.storage_options.items())).encode()).digest()
        return (self.uri, secret, self.policies)

    def status(self) -> Status:
        """What a remote file is now. Raises as `open`."""
        count(round_trips=1)
        with self.asked() as status:
            return status()

    @contextmanager
    def asked(self) -> Iterator[Callable[[], Status]]:
        """Ask what a remote file is now: the block is given what waits for the answer, and may ask more meanwhile.

        A file system that answers one question at a time is asked when the answer is waited for. Raises as `open`, in
        the block where waiting finds it out.
        """
        import asyncio

        with storage_errors(self.name):
            filesystem, path = self.filesystem_and_path()
        request: Future[Any] | None = None
        if filesystem.async_impl and not filesystem.asynchronous:
            request = asyncio.run_coroutine_threadsafe(filesystem._info(path), filesystem.loop)

        def status() -> Status:
            with storage_errors(self.name):
                return self._status(filesystem.info(path) if request is None else request.result())

        try:
            yield status
        finally:
            if request is not None:
                request.cancel()

    def _status(self, info: Mapping[str, Any]) -> Status:
        marks = sorted((key.lower(), str(value)) for key, value in info.items() if key.lower() in _CONTENT_MARKS)
        uri, secret, policies = cast(tuple[Hashable, ...], self.key)
        size = info["size"]
        return Status(("remote", uri, secret, tuple(marks), policies), None if size is None else int(size))

    def exists(self) -> bool:
        """Whether the file is there. Raises as `open` where that cannot be found out."""
        try:
            self.identity()  # fsspec's own answer is False as well where nobody answers
        except MediaNotFoundError:
            return False
        except InvalidReferenceError:  # a name that no local file can have
            if self.path is None:
                raise
            return False
        return True

    def filesystem_and_path(self) -> tuple[Any, str]:
        """The file system of fsspec that a remote file lies in, and its path there.

        Raises `MissingDependencyError` and `InvalidReferenceError`.
        """
        import fsspec

        links, options = links_of(self.uri), dict(self.storage_options)
        scheme = scheme_of(links[-1])
        if scheme in _HTTP:
            from mediaref.storage.http_client import guarded_options

            if len(links) == 1:  # not by fsspec's own reading of the uri, which takes `http://[::1]/` for a chain
                return fsspec.filesystem(scheme, **guarded_options(options, self.policies)), links[0]
            options[scheme] = guarded_options(options.get(scheme, {}), self.policies)
        elif scheme in {"", "file"}:
            links[-1] = self._local_link(links[-1])
        try:
            filesystem, path = fsspec.core.url_to_fs("::".join(links), **options)
        except ImportError as error:
            package = _PACKAGES.get(scheme)
            how = f"pip install {package}" if package else str(error)
            raise MissingDependencyError(f"{self.name}: reading {scheme}:// needs a package: {how}") from error
        except ValueError as error:
            raise InvalidReferenceError(f"{self.name}: {error}") from error
        return filesystem, path

    def _local_link(self, link: str) -> str:
        """The last link of a chain, a local file, so that fsspec opens what the policies allow: it takes a `~` for
        somebody's home and undoes no escapes.
        """
        path = str(Path(_local_path(link)).absolute())
        for policy in self.policies:
            path = policy.check_path(path)
        if "::" in path:
            raise InvalidReferenceError(f"{self.name}: a file whose name has '::' cannot be in a chain")
        return f"file://{path}"


def locate(uri: str | os.PathLike[str] | DataURI, storage_options: StorageOptions | None = None) -> Source:
    """Find out what `uri` names, without opening it.

    Takes bare paths, `file:` uris in every spelling of RFC 8089 with no host but `localhost`, `data:` URIs, and any
    `scheme://` of fsspec, to which `storage_options` are passed.
    Raises `InvalidReferenceError`, and `AccessDeniedError` if an `AccessPolicy` is in force that refuses it.
    """
    policies = policies_in_force()
    for policy in policies:
        policy.check(_as_text(uri))
    source = locate_trusted(uri, storage_options)
    return replace(source, path=None if source.path is None else allowed_path(source.path), policies=policies)


def locate_trusted(uri: str | os.PathLike[str] | DataURI, storage_options: StorageOptions | None = None) -> Source:
    """As `locate`, for a uri that is the program's own, the place for its results for one: no policy is asked."""
    text = _as_text(uri)
    scheme = scheme_of(text)
    if scheme == "data":
        return Source(text, data=DataURI.from_uri(text).decoded_data)
    if scheme and scheme != "file":
        return Source(text, storage_options=dict(storage_options or {}))
    path = _local_path(text)
    if not path:
        raise InvalidReferenceError("the uri is empty: there is nothing to open")
    if not Path(path).is_absolute():  # it stays the same file when the process changes its directory
        with storage_errors(shorten(text)):
            path = os.path.join(Path.cwd(), path)  # noqa: PTH118 - a slash at its end says that it is a folder
    return Source(text, path=path)


def file_identity(status: os.stat_result) -> Hashable:
    """`Source.identity` of a local file that the system says this of."""
    return ("file", status.st_dev, status.st_size, status.st_mtime_ns, status.st_ino)


def content_marks(identity: Hashable) -> Any:
    """What of an identity tells the content apart, whatever path and machine it lies at, as JSON can say it."""
    kind, *rest = cast(tuple[Any, ...], identity)
    if kind == "file":
        return rest[1:3]  # size and time
    return rest[0].hex() if kind == "data" else [list(mark) for mark in rest[2]]


def _local_path(uri: str) -> str:
    return path_of_file_uri(uri) if scheme_of(uri) else uri


def _as_text(uri: str | os.PathLike[str] | DataURI) -> str:
    text = str(uri) if isinstance(uri, DataURI) else uri
    text = os.fspath(text) if isinstance(text, os.PathLike) else text
    if not isinstance(text, str):
        raise InvalidTypeError(f"{short_repr(uri)} names no file; give a path or a uri")
    return text
