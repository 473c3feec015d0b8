"""References as a column of Hugging Face datasets: importing this module registers the feature `MediaRef`."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from mediaref.data_uri import DataURI
from mediaref.errors import InvalidReferenceError, MissingDependencyError
from mediaref.ref import MediaRef
from mediaref.storage import locate, scheme_of

try:
    import pyarrow as pa

    # From their own module, not from `datasets`: while datasets itself is being imported, only this one is complete.
    from datasets.features.features import Value, register_feature
except ImportError as error:
    raise MissingDependencyError(
        "mediaref.hf needs datasets and pyarrow: install the 'hf' extra (pip install 'mediaref[hf]')"
    ) from error

__all__ = ["MediaRefFeature"]

_log = logging.getLogger("mediaref")

_INT64 = range(-(1 << 63), 1 << 63)
#: From here on a float64 does not have every whole number.
_EXACT_FLOATS = 1 << 53


@dataclass
class MediaRefFeature:
    """A column of references, stored as `struct<uri: string, pts_ns: int64>`.

    Takes `MediaRef`, `DataURI`, paths, strings and `{"uri": ..., "pts_ns": ...}`; gives `MediaRef`, or with
    `decode=False` the dictionary as it is stored. No picture is read by either. `Dataset.map` stores what a function
    looked at or returned, and knows no references: hand the column over with `input_columns=`, and return
    `ref.model_dump()` with `features=` that say what it is.
    """

    decode: bool = True
    id: str | None = field(default=None, repr=False)
    dtype: ClassVar[str] = "mediaref.MediaRef"
    pa_type: ClassVar[Any] = pa.struct({"uri": pa.string(), "pts_ns": pa.int64()})
    _type: str = field(default="MediaRef", init=False, repr=False)

    def __call__(self) -> Any:
        return self.pa_type

    def encode_example(self, value: object) -> dict[str, Any]:
        """What is stored for `value`. Raises `ValueError` (no uri, a time beyond int64) or `TypeError`."""
        ref = _as_ref(value)
        if ref.pts_ns is not None and ref.pts_ns not in _INT64:
            raise InvalidReferenceError(f"{ref!r}: pts_ns does not fit into the 64 bits that Arrow has for it")
        return {"uri": ref.uri, "pts_ns": ref.pts_ns}

    def decode_example(self, value: Any, token_per_repo_id: Mapping[str, Any] | None = None) -> Any:
        """The `MediaRef` of a stored `value`, or `value` itself with `decode=False`; nothing is opened."""
        return _as_ref(value) if self.decode else value

    def cast_storage(self, storage: Any) -> Any:
        """An Arrow array of strings, of structs with `uri` and perhaps `pts_ns`, or of nulls, as an array of ours.

        Other fields are dropped and null rows stay null. Raises `ValueError` (no `uri`) or `TypeError`.
        """
        if pa.types.is_struct(storage.type):
            children = dict(zip((each.name for each in storage.type), storage.flatten(), strict=True))
            if "uri" not in children:
                raise InvalidReferenceError(f"a struct without a field 'uri' holds no references: {storage.type}")
            uris, times = children["uri"], children.get("pts_ns")
        elif _is_text(storage.type) or pa.types.is_null(storage.type):
            uris, times = storage, None
        else:
            raise TypeError(f"cannot read {storage.type} as references; it takes strings or struct<uri, pts_ns>")
        if times is None:
            times = pa.nulls(len(storage), pa.int64())
        fields = [uris.cast(pa.string()), times.cast(pa.int64())]
        return pa.StructArray.from_arrays(fields, fields=list(self.pa_type), mask=storage.is_null())

    def embed_storage(
        self,
        storage: Any,
        token_per_repo_id: Mapping[str, Any] | None = None,
        local_files: bool = True,
        remote_files: bool = True,
    ) -> Any:
        """`storage` with the image files of this machine put into the references themselves, as `data:` URIs.

        This is what `push_to_hub` asks for, so that others can read what is uploaded. Remote files are left where
        they are, for all to read. So are videos, whose every frame would take the whole file along, and files that
        do not exist here: a warning in the log counts both.
        """
        if not local_files:
            return storage
        rows, videos, missing = storage.to_pylist(), 0, 0
        for row in rows:
            if row is None or row["uri"] is None or scheme_of(row["uri"]) not in {"", "file"}:
                continue
            path = locate(row["uri"]).path
            if row["pts_ns"] is not None:
                videos += 1
            elif path is None or not Path(path).is_file():
                missing += 1
            else:
                row["uri"] = DataURI.from_file(path).uri
        if videos or missing:
            _log.warning(
                "references to files of this machine that were not embedded: %d to frames of videos, "
                "%d to files that are not there",
                videos,
                missing,
            )
        return pa.array(rows, self.pa_type)

    def flatten(self) -> MediaRefFeature | dict[str, Any]:
        """The columns that `Dataset.flatten` makes of this one: itself, or the two fields with `decode=False`."""
        return self if self.decode else {"uri": Value("string"), "pts_ns": Value("int64")}


def _is_text(kind: Any) -> bool:
    is_view = getattr(pa.types, "is_string_view", None)  # not in older versions of pyarrow
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or bool(is_view and is_view(kind))


def _as_ref(value: object) -> MediaRef:
    if isinstance(value, MediaRef):
        return value
    if isinstance(value, (str, os.PathLike, DataURI)):
        return MediaRef.model_validate({"uri": value})
    if isinstance(value, Mapping):
        if value.get("uri") is None:
            raise InvalidReferenceError(f"a reference must include 'uri'; got {dict(value)!r}")
        time = value.get("pts_ns")
        if isinstance(time, float) and abs(time) >= _EXACT_FLOATS:
            # Pandas turns whole numbers with gaps into floats; the right frame is no longer known then.
            raise InvalidReferenceError(f"pts_ns came as the float {time!r}, which has lost its last digits")
        return MediaRef.model_validate(dict(value))
    raise TypeError(f"cannot make a reference of {type(value).__name__}; it takes MediaRef, a path, str or a dict")


def _register() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # datasets calls its registry experimental
        register_feature(MediaRefFeature, "MediaRef")


_register()
