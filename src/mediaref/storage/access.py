"""`AccessPolicy`: what references from strangers may open."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from urllib.parse import urlsplit

from mediaref.errors import AccessDeniedError, InvalidReferenceError, StorageError
from mediaref.storage.uris import links_of, path_of_file_uri, scheme_of, shorten

if TYPE_CHECKING:
    from typing_extensions import Self

#: Links of a chain that only unpack or keep what the next link reads.
_WRAPPERS = frozenset({"blockcache", "filecache", "simplecache", "tar", "zip"})
#: Schemes of fsspec that lead to local files past the roots, or to any other uri.
_UNRULY = frozenset({"asynclocal", "dir", "git", "local", "reference"})
#: What stands behind `://` is a host that is connected to, not a bucket.
_CONNECTED = frozenset({"ftp", "ftps", "hdfs", "http", "https", "sftp", "smb", "ssh", "webdav", "webdavs", "webhdfs"})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: All of IPv6 that is handed out for the internet; the rest leads nowhere, or to this machine by an old notation.
_IPV6_INTERNET = ipaddress.ip_network("2000::/3")

_Item = TypeVar("_Item")
_END = object()

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class AccessPolicy:
    """What may be opened while it is in force: in `with AccessPolicy(roots=["/data"]):` every read is held to it.

    It holds for images, videos, bit costs and existence checks alike, in the threads that the calls of the block start,
    for iterators and decoders made in it wherever they are used, and in the processes of `codec_video_prep.batch`. It
    does not reach into processes of others: there use it inside the function that they run (it can be pickled), or the
    argument `access` of `mediaref.ray`. Of policies in one another each must allow.

    - Paths and `file:` uris must lie under one of `roots`, links and `..` followed. Without roots none is opened.
    - Hosts (buckets for `s3` and its kind) must be among `hosts`: names, or `*.example.org` for all below that one.
      None allows any.
    - Redirects are held to all of this, and so are all links of a chain (`simplecache::https://...`), in which only
      archives and caches may stand before the last.
    - Private, loopback and link-local addresses are refused unless `allow_private_addresses`. For `http` and `https`
      it is the addresses connected to that are looked at; for other protocols those that the name has when it is
      checked, since fsspec resolves it again.

    `AccessDeniedError` (a `PermissionError`) says which rule refuses. Naming other `schemes` than the default ones
    trusts what fsspec makes of them; those that would lead past the rules are a `ValueError`.
    """

    schemes: Iterable[str] = frozenset({"data", "file", "http", "https"})
    roots: Iterable[str | os.PathLike[str]] = ()
    hosts: Iterable[str] | None = None
    allow_private_addresses: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("schemes", "roots", "hosts"):
            if isinstance(getattr(self, name), (str, os.PathLike)):
                raise InvalidReferenceError(f"{name} is one string; give a list of them")
        schemes = frozenset(scheme.lower() for scheme in self.schemes)
        if unruly := schemes & _UNRULY:
            raise InvalidReferenceError(f"the schemes {sorted(unruly)} cannot be held to a policy: they lead past it")
        object.__setattr__(self, "schemes", schemes)
        object.__setattr__(self, "roots", tuple(os.path.realpath(root) for root in self.roots))
        if self.hosts is not None:
            object.__setattr__(self, "hosts", frozenset(host.lower() for host in self.hosts))

    # --- in force -----------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        _in_force.set((*_in_force.get(), self))
        return self

    def __exit__(self, *_: object) -> None:
        _in_force.set(_in_force.get()[:-1])

    # --- the rules ----------------------------------------------------------------------------------------------

    def check(self, uri: str) -> None:
        """Raise `AccessDeniedError` if `uri`, or a link of it, may not be opened. Opens nothing itself."""
        *wrappers, target = links_of(uri)
        for link in wrappers:
            self._check_scheme(link, uri)
            if scheme_of(link) not in _WRAPPERS:
                raise _denied(uri, f"{scheme_of(link)!r} before '::' is none of {', '.join(sorted(_WRAPPERS))}")
        scheme = scheme_of(target)
        self._check_scheme(target, uri)
        if scheme in {"", "file"}:
            self.check_path(path_of_file_uri(target) if scheme else target)
        elif scheme != "data":
            self.check_host(target)

    def check_path(self, path: str) -> str:
        """The path itself, links and `..` resolved. Raises `AccessDeniedError` if it lies under none of the roots, and
        `InvalidReferenceError` if it is none.
        """
        try:
            real = os.path.realpath(path)
        except ValueError as error:  # a NUL, half a surrogate pair
            raise InvalidReferenceError(f"{shorten(path)}: is no path: {error}") from None
        if not any(Path(real).is_relative_to(root) for root in self.roots):
            raise _denied(
                path, f"it lies under none of the roots ({', '.join(map(str, self.roots)) or 'there are none'})"
            )
        return real

    def check_host(self, url: str) -> None:
        """Raise `AccessDeniedError` if the host or bucket of `url` may not be asked, or its address is private."""
        self._check_scheme(url, url)
        try:
            host = (urlsplit(url).hostname or "").rstrip(".")
        except ValueError:
            raise InvalidReferenceError(f"{shorten(url)}: the host is misspelt") from None
        if self.hosts is not None and not any(_is_named(host, pattern) for pattern in self.hosts):
            raise _denied(url, f"the host {host!r} is none of {', '.join(sorted(self.hosts)) or 'no hosts'}")
        if scheme_of(url) in _CONNECTED and not self.allow_private_addresses:
            for address in _literal_address(host) if scheme_of(url).startswith("http") else _addresses(host):
                self.check_address(str(address), url)

    def check_address(self, address: str, url: str) -> None:
        """Raise `AccessDeniedError` if `address`, that of the host of `url`, is not one of the public internet."""
        if not self.allow_private_addresses and not _is_public(ipaddress.ip_address(address.partition("%")[0])):
            raise _denied(url, f"{address} is a private address, and allow_private_addresses is not set")

    def _check_scheme(self, link: str, uri: str) -> None:
        scheme = scheme_of(link) or "file"
        if scheme not in self.schemes:
            raise _denied(uri, f"the scheme {scheme!r} is none of {', '.join(sorted(self.schemes)) or 'no schemes'}")


_in_force: ContextVar[tuple[AccessPolicy, ...]] = ContextVar("mediaref_access_policies", default=())


def policies_in_force() -> tuple[AccessPolicy, ...]:
    """The policies of the `with` blocks that surround the caller, the outermost first."""
    return _in_force.get()


def allowed_path(path: str) -> str:
    """`path` itself, or where policies are in force the file that they allow, links resolved."""
    for policy in policies_in_force():
        path = policy.check_path(path)
    return path


@dataclass(frozen=True)
class Held(Generic[_Item]):
    """A function that is held to `policies` in whatever process it is called."""

    function: Callable[..., _Item]
    policies: tuple[AccessPolicy, ...]

    def __call__(self, *arguments: Any, **named: Any) -> _Item:
        with ExitStack() as stack:
            for policy in self.policies:
                stack.enter_context(policy)
            return self.function(*arguments, **named)


def held_to_policies(items: Generator[_Item, None, None]) -> Generator[_Item, None, None]:
    """`items`, each made under the policies that are in force now, wherever they are asked for."""
    policies = policies_in_force()

    def held() -> Generator[_Item, None, None]:
        try:
            while True:
                with _only(policies):
                    item = next(items, _END)
                if item is _END:
                    return
                yield cast(_Item, item)
        finally:
            with _only(policies):
                items.close()

    return held()


@contextmanager
def _only(policies: tuple[AccessPolicy, ...]) -> Iterator[None]:
    others = _in_force.set(policies)
    try:
        yield
    finally:
        _in_force.reset(others)


def _denied(uri: str, rule: str) -> AccessDeniedError:
    return AccessDeniedError(f"{shorten(uri)}: refused by the access policy: {rule}")


def _is_named(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _literal_address(host: str) -> Iterator[Address]:
    try:
        yield ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        with suppress(OSError, ValueError):  # "127.1", "2130706433": no name server is asked for these
            yield ipaddress.IPv4Address(socket.inet_aton(host))


def _addresses(host: str) -> Iterator[Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise StorageError(f"the host {host!r} is not known: {error}") from error
    for *_, address in found:
        yield from _literal_address(str(address[0]))


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
        if address not in _IPV6_INTERNET:
            return False
    return address.is_global and not address.is_multicast
