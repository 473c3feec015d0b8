"""The one spelling that stands for all spellings of a uri: RFC 3986's syntax-based normalisation."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from mediaref.storage import scheme_of

#: What stands after `://` is the name of a host, so its case does not matter. Elsewhere it may be a bucket, an owner
#: of repositories or simply the begin of a path, and `hf://Ann/clips` is not `hf://ann/clips`.
_SCHEMES_WITH_HOSTS = frozenset({"file", "http", "https", "ftp", "sftp", "ssh", "smb", "webdav", "webdavs"})
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_STRAY = re.compile(r"%[0-9A-Fa-f]?\Z")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def normal_form(uri: str) -> str:
    """`uri` with the case of scheme, host and escapes folded, needless escapes undone and dot segments removed.

    A `data:` URI and a chain of fsspec's (`zip://a::s3://b`) stay as they are. A bare path is no URI: a `%` in it is
    a percent sign, and `a/../b` need not be `b` where `a` is a link; only its `.` segments go.
    """
    scheme = scheme_of(uri)
    if not scheme:
        return _normal_path(uri)
    if scheme == "data" or "::" in uri:
        return uri
    if scheme == "file":
        return _normal_file_uri(uri)
    try:
        parts = urlsplit(uri)
    except ValueError:  # broken brackets around an IPv6 address: it opens nothing, under any spelling
        return uri
    authority = parts.netloc
    if scheme in _SCHEMES_WITH_HOSTS:
        user, at, host = authority.rpartition("@")
        authority = user + at + _unescaped(host).lower()  # an escape may stand for a capital
    tail = uri[len(parts.scheme) + len("://") + len(parts.netloc) :]
    path = re.match(r"[^?#]*", tail)
    assert path is not None
    return f"{scheme}://{_unescaped(authority)}{_without_dots(_unescaped(path[0]))}{_unescaped(tail[path.end() :])}"


def _normal_file_uri(uri: str) -> str:
    # In a file's name `?` and `#` mean nothing special, so all of the rest is path.
    rest = uri.split(":", 1)[1]
    host, slash, path = rest[2:].partition("/") if rest.startswith("//") else ("", "", rest)
    host = "" if host.lower() == "localhost" else host.lower()
    path = _without_dots(_unescaped(slash + path))
    return f"file://{host}{path}" if host or path.startswith("/") else f"file:{path}"


def _normal_path(path: str) -> str:
    first, *others = path.split("/")
    kept = [part for part in others[:-1] if part != "."] + others[-1:]
    if others and first != ".":
        kept = [first, *kept]
    elif not others or not kept[0]:  # "name", ".", "./": nothing would be left
        return path
    shorter = "/".join(kept)
    # "./data:x" names a file, "data:x" would not; "/.//a" is "/a", but "//a" may lie under another root.
    return path if scheme_of(shorter) or _has_second_root(shorter) != _has_second_root(path) else shorter


def _has_second_root(path: str) -> bool:
    """POSIX lets two leading slashes, no more and no fewer, mean a root of their own."""
    return path.startswith("//") and not path.startswith("///")


def _unescaped(text: str) -> str:
    def one(escape: re.Match[str]) -> str:
        character = chr(int(escape[1], 16))
        # Behind a stray percent sign, what is decoded would become part of an escape that was not there.
        is_safe = not _STRAY.search(text, max(0, escape.start() - 2), escape.start())
        return character if character in _UNRESERVED and is_safe else escape[0].upper()

    return _ESCAPE.sub(one, text)


def _without_dots(path: str) -> str:
    """RFC 3986, 5.2.4, for a path that begins with a slash; others have nothing to be resolved against."""
    if not path.startswith("/"):
        return path
    kept: list[str] = []
    parts = path.split("/")[1:]
    for part in parts:
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    if parts[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)
