"""The spelling of uris: schemes, `file:` paths, chains, and how they are joined and shown."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

from mediaref.errors import InvalidReferenceError

# Two letters at least: "C:\clip.mp4" is a path of Windows, not a scheme.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+):")
#: A uri whose only `::` are those of an IPv6 address.
_IPV6_HOST = re.compile(
    r"https?://(?:[^/?#@\[]*@)?\[[0-9A-Fa-f:.]*\](?::\d*)?(?:[/?#](?:(?!::).)*)?", re.IGNORECASE | re.DOTALL
)
#: Characters of a data URI, and of any other, that are shown: data says nothing, and a path says most at its end.
_KEPT_OF_DATA, _KEPT = 120, 200


def scheme_of(uri: str) -> str:
    """Lower-case scheme of `uri`: `data`, `file`, `s3`, ...; `""` for a bare path.

    A colon alone does not make a scheme (`take:2.mp4` is a file name): it takes `://`, or one of `data:` and `file:`.
    """
    found = _SCHEME.match(uri)
    if found is None:
        return ""
    scheme = found[1].lower()
    return scheme if scheme in {"data", "file"} or uri.startswith("://", found.end() - 1) or "::" in uri else ""


def cut(uri: str) -> str:
    """`uri`, or its begin and its end with its length if it is long."""
    if scheme_of(uri) == "data":
        return uri if len(uri) <= _KEPT_OF_DATA else f"{uri[:_KEPT_OF_DATA]}... ({len(uri)} characters)"
    half = _KEPT // 2
    return uri if len(uri) <= _KEPT else f"{uri[:half]}...{uri[-half:]} ({len(uri)} characters)"


def shorten(uri: str) -> str:
    """`uri` for a message: what is long is cut, and what cannot be printed is escaped."""
    shown = cut(uri)
    return shown if shown.isprintable() else shown.encode("unicode_escape", "surrogatepass").decode("ascii")


def links_of(uri: str) -> list[str]:
    """The uris of a chain as fsspec opens them, `zip://a.png::s3://b/c.zip`, each with its scheme in lower case.

    A uri that is no chain is the only link of its own. A link that is one word is a scheme (`simplecache::...`).
    """
    if scheme_of(uri) in {"", "data", "file"}:
        return [uri]
    # At every `::`, as fsspec does: what is checked must be what is opened.
    links = [uri] if _IPV6_HOST.fullmatch(uri) else uri.split("::")
    if len(links) > 1:
        links = [f"{link}://" if link.isalnum() else link for link in links]
    return [_with_lower_scheme(link) for link in links]


def _with_lower_scheme(uri: str) -> str:
    scheme = scheme_of(uri)
    return scheme + uri[len(scheme) :]


def path_of_file_uri(uri: str) -> str:
    """The path that a `file:` uri names, in any spelling of RFC 8089. Raises `InvalidReferenceError`."""
    # In a file name '?' and '#' mean nothing special unless they were meant to be a query, which a file has not.
    path = uri.split(":", 1)[1]
    if path.startswith("//"):
        host, _, path = path[2:].partition("/")
        if host.lower() not in {"", "localhost"}:
            raise InvalidReferenceError(
                f"{shorten(uri)}: a file uri cannot name the host {host!r}; use file:///path, or a path"
            )
        path = f"/{path}"
    return os.fsdecode(unquote_to_bytes(path.encode(errors="surrogateescape")))  # names need not be UTF-8


def join(base: str, relative: str) -> str:
    """`relative` under `base`, a path or a uri. Raises `InvalidReferenceError` if it leads out of it."""
    depth = 0
    for part in Path(relative).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            raise InvalidReferenceError(f"{shorten(relative)}: leads out of its base {shorten(base)}")
    scheme = scheme_of(base)
    if scheme == "file":
        base = path_of_file_uri(base)
    elif scheme:
        return f"{base.rstrip('/')}/{relative}" if relative else base
    return (Path(base) / relative).as_posix()
