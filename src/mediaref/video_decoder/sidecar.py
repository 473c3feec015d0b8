"""An index on disk beside its video, so that a dataset is indexed once."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import secrets
import zipfile
import zlib
from collections.abc import Hashable, Mapping
from dataclasses import asdict, fields
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import StorageError, UnsupportedBitstreamError
from mediaref.storage import Source
from mediaref.storage.source import content_marks
from mediaref.video_decoder.orientation import Orientation
from mediaref.video_decoder.packets import PacketTable

if TYPE_CHECKING:
    from mediaref._native import StreamParser
    from mediaref.video_decoder.index import VideoIndex

_log = logging.getLogger("mediaref")

_VERSION = 3
_PLAIN = ("codec", "stream", "pixel_format", "width", "height", "end_ns", "is_directly_readable", "file_size")
_FLAGS = ("has_side_data", "has_constant_sets", "reorder_depth")
#: What reading a file raises that was not written here, or not all of it.
_DAMAGE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error),
)


def save(index: VideoIndex, path: str | os.PathLike[str]) -> None:
    """See `VideoIndex.save`."""
    if index.parser is not None and _parser(index.codec, index.extradata, index.headers, index.packets) is None:
        raise UnsupportedBitstreamError(
            f"{index.source.name}: its parameter sets come beside the packets; such an index cannot be kept in a file"
        )
    about = {name: getattr(index, name) for name in (*_PLAIN, *_FLAGS)}
    about |= {
        "version": _VERSION,
        "marks": content_marks(index.identity),
        "time_base": str(index.time_base),
        "average_rate": None if index.average_rate is None else str(index.average_rate),
        "orientation": asdict(index.orientation),
        "header_rows": list(index.headers),
        "is_parsed": index.parser is not None,
        "is_described": index.description is not None,
        "has_times": index.pts_ns is not None,
    }
    arrays = {name: getattr(index.packets, name) for name in _COLUMNS}
    arrays |= {f"headers_{row}": _as_array(content) for row, content in index.headers.items()}
    arrays |= {
        "about": _as_array(json.dumps(about).encode()),
        "packet_of": index.packet_of,
        "pts_ns": np.empty(0, np.int64) if index.pts_ns is None else index.pts_ns,
        "extradata": _as_array(index.extradata),
        "description": _as_array(index.description or b""),
    }
    file = io.BytesIO()
    np.savez(file, digest=_digest(arrays), **arrays)
    try:
        _write(Path(path), file.getbuffer())
    except (OSError, ValueError) as error:
        raise StorageError(f"{os.fspath(path)}: the index of {index.source.name} cannot be written: {error}") from error


def _write(target: Path, content: memoryview) -> None:
    """Whoever reads it sees all of it or nothing, however many write it at once."""
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        part.write_bytes(content)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def load(path: str | os.PathLike[str], source: Source, identity: Hashable) -> VideoIndex | None:
    """The index that was saved at `path`, if it is one of `source` as it is now; else None, and why in the log."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return _index({name: file[name] for name in file.files}, source, identity)
    except FileNotFoundError:
        return None
    except _StaleError:
        _log.warning("%s: is not an index of %s as it is now; indexing it again", path, source.name)
    except _DAMAGE as error:
        _log.warning(
            "%s: is no sound index (%s: %s); indexing %s again", path, type(error).__name__, error, source.name
        )
    return None


class _StaleError(Exception):
    """The video is another one by now."""


def _index(file: dict[str, NDArray[Any]], source: Source, identity: Hashable) -> VideoIndex:
    from mediaref.video_decoder.index import VideoIndex

    about = json.loads(file["about"].tobytes())
    if about["version"] != _VERSION or about["marks"] != content_marks(identity):
        raise _StaleError
    if not np.array_equal(file.pop("digest"), _digest(file)):
        raise ValueError("it has been changed since it was written")
    table = PacketTable(**{name: file[name] for name in _COLUMNS})
    extradata = file["extradata"].tobytes()
    headers = {row: file[f"headers_{row}"].tobytes() for row in about["header_rows"]}
    parser = _parser(about["codec"], extradata, headers, table) if about["is_parsed"] else None
    if about["is_parsed"] and parser is None:
        raise ValueError("its parameter sets do not fit its packets")
    return VideoIndex(
        **{name: about[name] for name in (*_PLAIN, *_FLAGS)},
        source=source,
        identity=identity,
        time_base=Fraction(about["time_base"]),
        orientation=Orientation(**about["orientation"]),
        average_rate=None if about["average_rate"] is None else Fraction(about["average_rate"]),
        packets=table,
        packet_of=file["packet_of"],
        pts_ns=file["pts_ns"] if about["has_times"] else None,
        parser=parser,
        extradata=extradata,
        headers=headers,
        description=file["description"].tobytes() if about["is_described"] else None,
    )


def _parser(codec: str, extradata: bytes, headers: Any, table: PacketTable) -> StreamParser | None:
    """A parser that knows all parameter sets of the stream by the handles in the table; None if it cannot be made."""
    from mediaref._native import StreamParser

    parser = StreamParser(codec, extradata)
    handles = parser.scan([*(headers[row] for row in sorted(headers)), b""]).parameter_sets
    return parser if int(handles[-1]) == int(table.parameter_sets.max()) or not headers else None


def _digest(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """Tells one content from another. It is no seal: whoever changes a file can make it anew."""
    found = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).data)
    return _as_array(found.digest())


def _as_array(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8)


_COLUMNS = tuple(column.name for column in fields(PacketTable))
