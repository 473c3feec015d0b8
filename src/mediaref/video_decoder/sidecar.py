"""An index on disk beside its video, so that a dataset is indexed once."""

from __future__ import annotations

import io
import json
import logging
import os
import zipfile
import zlib
from collections.abc import Hashable
from dataclasses import asdict, fields
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import UnsupportedBitstreamError
from mediaref.storage import Source
from mediaref.video_decoder.orientation import Orientation
from mediaref.video_decoder.packets import PacketTable

if TYPE_CHECKING:
    from mediaref._native import StreamParser
    from mediaref.video_decoder.index import VideoIndex

_log = logging.getLogger("mediaref")

_VERSION = 2
_PLAIN = ("codec", "stream", "pixel_format", "width", "height", "end_ns", "is_directly_readable", "file_size")
_FLAGS = ("has_side_data", "has_constant_sets", "reorder_depth")
_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


def save(index: VideoIndex, path: str | os.PathLike[str]) -> None:
    """See `VideoIndex.save`."""
    if index.parser is not None and _parser(index.codec, index.extradata, index.headers, index.packets) is None:
        raise UnsupportedBitstreamError(
            f"{index.source.name}: its parameter sets come beside the packets; such an index cannot be kept in a file"
        )
    about = {name: getattr(index, name) for name in (*_PLAIN, *_FLAGS)}
    about |= {
        "version": _VERSION,
        "marks": _marks(index.identity),
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
    file = io.BytesIO()
    np.savez(
        file,
        about=_as_array(json.dumps(about).encode()),
        packet_of=index.packet_of,
        pts_ns=np.empty(0, np.int64) if index.pts_ns is None else index.pts_ns,
        extradata=_as_array(index.extradata),
        description=_as_array(index.description or b""),
        **arrays,
    )
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        part.write_bytes(file.getbuffer())
        part.replace(target)  # whoever reads it sees all of it or nothing
    finally:
        part.unlink(missing_ok=True)


def load(path: str | os.PathLike[str], source: Source, identity: Hashable) -> VideoIndex | None:
    """The index that was saved at `path`, if it is one of `source` as it is now; else None, and why in the log."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return _index(file, source, identity)
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


def _index(file: Any, source: Source, identity: Hashable) -> VideoIndex:
    from mediaref.video_decoder.index import VideoIndex

    about = json.loads(file["about"].tobytes())
    if about["version"] != _VERSION or about["marks"] != _marks(identity):
        raise _StaleError
    table = PacketTable(**{name: file[name] for name in _COLUMNS})
    packet_of, times = file["packet_of"], file["pts_ns"]
    lengths = {len(getattr(table, name)) for name in _COLUMNS}
    shown = len(packet_of) if about["has_times"] else 0
    if len(lengths) != 1 or len(packet_of) == 0 or len(times) != shown or not 0 <= packet_of.max() < len(table):
        raise ValueError("its columns do not fit together")
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
        packet_of=packet_of,
        pts_ns=times if about["has_times"] else None,
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


def _marks(identity: Any) -> Any:
    """What of an identity tells the content apart, whatever path and machine it lies at; as JSON gives it back."""
    kind, *rest = identity
    marks = {"file": lambda: rest[1:3], "data": lambda: rest[0].hex(), "remote": lambda: rest[2]}[kind]()
    return json.loads(json.dumps(marks))


def _as_array(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8)


_COLUMNS = tuple(column.name for column in fields(PacketTable))
