"""Which videos a batch is over: tables, lists, patterns and folders, here or remote, as one list of uris."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mediaref.bit_tables import import_pyarrow
from mediaref.errors import InvalidReferenceError, MediaNotFoundError
from mediaref.storage import locate, scheme_of, shorten

_log = logging.getLogger("mediaref")

#: Columns of a table that are taken for the videos where none is named.
COLUMNS = ("uri", "video", "video_path", "path", "file", "url")
#: What a folder is searched for.
SUFFIXES = frozenset(".mp4 .m4v .mov .mkv .webm .avi .ts .mpg .h264 .264 .hevc .h265 .265 .ivf".split())  # noqa: SIM905
_MAGIC = frozenset("*?[")


def list_videos(inputs: Sequence[str], column: str | None = None) -> list[str]:
    """The videos that `inputs` name, each once, in the order in which they are named first.

    Args:
        inputs: Each a Parquet table (`.parquet`), a text file with a uri a line (`.txt`; `#` begins a comment), a
            pattern with `*`, `?` or `[]`, a folder, or a video; as path or any fsspec uri (`s3://`, `hf://`, ...).
            Paths in tables and lists are relative to the working folder.
        column: Column of the tables; None: the first of `COLUMNS` there. It holds uris, or references with a `uri`.

    Raises:
        MediaNotFoundError: (a `FileNotFoundError`) an input names nothing.
        InvalidReferenceError: (a `ValueError`) a table has no such column, or nothing is named at all.
    """
    found = [uri for given in inputs for uri in _videos(given, column)]
    once = list(dict.fromkeys(found))
    if not once:
        raise InvalidReferenceError(f"no video is named by {', '.join(map(shorten, inputs)) or 'no input'}")
    if len(once) < len(found):
        _log.warning("%d videos are named more than once; each is prepared once", len(found) - len(once))
    return once


def _videos(given: str, column: str | None) -> Iterator[str]:
    suffix = PurePosixPath(given.partition("?")[0] if scheme_of(given) else given).suffix.lower()
    if suffix == ".parquet" and not _is_pattern(given):
        yield from _from_table(given, column)
    elif suffix == ".txt" and not _is_pattern(given):
        lines = locate(given).read().decode("utf-8-sig").splitlines()
        yield from (line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    elif _is_pattern(given):
        yield from _matching(given, given)
    elif _is_folder(given):
        yield from (uri for uri in _matching(given, f"{given.rstrip('/')}/**") if _is_video_name(uri))
    elif not locate(given).exists():
        raise MediaNotFoundError(f"{shorten(given)}: no such file, folder or pattern")
    else:
        yield given


def _is_pattern(given: str) -> bool:
    """A pattern that is also the name of a file is meant as the file."""
    return bool(_MAGIC.intersection(given)) and not (scheme_of(given) == "" and Path(given).exists())


def _is_video_name(uri: str) -> bool:
    return PurePosixPath(uri).suffix.lower() in SUFFIXES


def _is_folder(given: str) -> bool:
    filesystem, path = _filesystem(given)
    return bool(filesystem.isdir(path))


def _matching(given: str, pattern: str) -> list[str]:
    filesystem, path = _filesystem(pattern)
    names = sorted(name for name in filesystem.glob(path) if not filesystem.isdir(name))
    if not names:
        raise MediaNotFoundError(f"{shorten(given)}: matches no file")
    is_local = not scheme_of(given) or scheme_of(given) == "file"
    return names if is_local else [filesystem.unstrip_protocol(name) for name in names]


def _filesystem(uri: str) -> tuple[Any, str]:
    import fsspec

    source = locate(uri)
    if source.is_remote:
        return source.filesystem_and_path()  # ours, which holds to the access policies
    return (fsspec.filesystem("file"), source.path) if source.path else fsspec.core.url_to_fs(uri)


def _from_table(given: str, column: str | None) -> list[str]:
    import_pyarrow()
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with locate(given).open() as file:
        try:
            table = pq.ParquetFile(file)
            names = table.schema_arrow.names
            name = column or next((known for known in COLUMNS if known in names), None)
            if name is None or name not in names:
                wanted = repr(column) if column else f"named {', '.join(COLUMNS)}"
                raise InvalidReferenceError(f"{shorten(given)}: has no column {wanted}; it has {', '.join(names)}")
            values = table.read([name]).column(name).combine_chunks()
            if hasattr(values.type, "names") and "uri" in values.type.names:
                values = pc.struct_field(values, "uri")
            uris = pc.unique(values).drop_null().to_pylist()
        except (OSError, ValueError) as error:
            if isinstance(error, InvalidReferenceError):
                raise
            raise InvalidReferenceError(f"{shorten(given)}: is no table that can be read: {error}") from error
    if not all(isinstance(uri, str) for uri in uris):
        raise InvalidReferenceError(f"{shorten(given)}: its column {name!r} holds neither text nor references")
    return uris  # type: ignore[no-any-return]
