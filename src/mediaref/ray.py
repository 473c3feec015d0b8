"""References and bit costs in Ray Data: callables for `Dataset.map_batches`.

    import ray
    from mediaref.ray import DecodeRefs, ReadBitCosts

    rows = ray.data.read_parquet("episodes.parquet")  # a row an episode, with a list of references
    frames = rows.map_batches(DecodeRefs, fn_constructor_kwargs={"column": "refs"}, batch_size=4, concurrency=8)

    videos = ray.data.read_parquet("videos.parquet")  # a row a video
    bits = videos.map_batches(ReadBitCosts, batch_size=1, concurrency=8)  # a row a frame

A row is a video or a list of references, never one frame: whoever has a whole video's references at once reads the
video once. Batches are taken as dicts of arrays (Ray's default) and as Arrow tables. Each callable is an actor that
Ray gives one CPU, so it works with one thread unless told otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mediaref.batch import batch_decode
from mediaref.bit_tables import iter_bit_cost_batches
from mediaref.errors import InvalidReferenceError, MediaRefError
from mediaref.ref import MediaRef
from mediaref.storage import AccessPolicy, StorageOptions
from mediaref.storage.access import Held

__all__ = ["DecodeRefs", "ReadBitCosts"]


class DecodeRefs:
    """Adds to rows with a list of references the pixels that they point at.

    Args:
        column: Column with a list of references in each row: `MediaRef`, dicts, or their JSON.
        into: Column to add: uint8 `[references, height, width, 3]` in each row.
        format: Pixel format, as for `batch_decode`.
        threads: For one batch.
        on_error: `raise`, or `skip`: a reference that fails has no picture, and the column `{into}_decoded`, a bool for
            each reference, says which those are.
        storage_options: For remote files.
        access: What the references may open: an `AccessPolicy`.

    A call raises `MediaRefError`s as `batch_decode` does, and `InvalidReferenceError` where the pictures of one row
    differ in size.
    """

    def __init__(
        self,
        column: str = "refs",
        into: str = "frames",
        *,
        format: str = "rgb",
        threads: int | None = 1,
        on_error: Literal["raise", "skip"] = "raise",
        storage_options: StorageOptions | None = None,
        access: AccessPolicy | None = None,
    ) -> None:
        self._decode = Held(batch_decode, (access,) if access else ())
        self._column = column
        self._into = into
        self._skips = on_error == "skip"
        self._settings: dict[str, Any] = {
            "allow_images": True,
            "allow_multi_video": True,
            "format": format,
            "threads": threads,
            "on_error": on_error,
            "storage_options": storage_options,
        }

    def __call__(self, batch: Any) -> dict[str, Any]:
        """The batch with its pictures, as a dict of arrays."""
        columns = as_columns(batch)
        rows = [[_as_ref(ref) for ref in refs] for refs in column_of(columns, self._column)]
        flat = [ref for refs in rows for ref in refs]
        decoded = iter(self._decode(flat, **self._settings))
        by_row = [[next(decoded) for _ in refs] for refs in rows]
        columns[self._into] = _as_column(
            [_stacked(pictures, refs) for pictures, refs in zip(by_row, rows, strict=True)]
        )
        if self._skips:
            flags = [np.array([picture is not None for picture in pictures]) for pictures in by_row]
            columns[f"{self._into}_decoded"] = _as_column(flags)
        return columns


class ReadBitCosts:
    """Makes of a row for each video a row for each of its frames: the table of `mediaref.bit_tables`.

    Args:
        column: Column with the videos' uris.
        threads: For one video.
        on_error: `raise`, or `skip`: a video that cannot be read has no rows.
        storage_options: For remote files.
        access: What the uris may be: an `AccessPolicy`.

    A call gives Arrow tables one after the other, so that memory stays bounded for videos of any length.
    """

    def __init__(
        self,
        column: str = "uri",
        *,
        threads: int | None = 1,
        on_error: Literal["raise", "skip"] = "raise",
        storage_options: StorageOptions | None = None,
        access: AccessPolicy | None = None,
    ) -> None:
        self._read = Held(iter_bit_cost_batches, (access,) if access else ())
        self._column = column
        self._threads = threads
        self._skips = on_error == "skip"
        self._storage_options = storage_options

    def __call__(self, batch: Any) -> Iterator[Any]:
        """Arrow tables of all the batch's videos."""
        import pyarrow as pa

        from mediaref.bit_tables import bit_cost_schema

        yield bit_cost_schema().empty_table()
        for uri in column_of(as_columns(batch), self._column):
            try:
                for part in self._read(str(uri), threads=self._threads, storage_options=self._storage_options):
                    yield pa.Table.from_batches([part])
            except MediaRefError:
                if not self._skips:
                    raise


def as_columns(batch: Any) -> dict[str, Any]:
    """A batch of Ray Data, a dict of arrays or an Arrow table, as a dict of sequences of Python's or numpy's values."""
    if isinstance(batch, Mapping):
        return dict(batch)
    return {name: batch.column(name).to_pylist() for name in batch.column_names}


def column_of(columns: Mapping[str, Any], name: str) -> Any:
    """One column of a batch. Raises `InvalidReferenceError` where there is none of that name."""
    if name not in columns:
        raise InvalidReferenceError(f"the rows have no column {name!r}; they have {', '.join(columns)}")
    return columns[name]


def _as_ref(value: Any) -> MediaRef:
    if isinstance(value, MediaRef):
        return value
    return MediaRef.model_validate(json.loads(value) if isinstance(value, str) else value)


def _stacked(pictures: Sequence[NDArray[np.uint8] | None], refs: Sequence[MediaRef]) -> NDArray[np.uint8]:
    found = [picture for picture in pictures if picture is not None]
    if len({picture.shape for picture in found}) > 1:
        sizes = ", ".join(sorted({f"{picture.shape[1]}x{picture.shape[0]}" for picture in found}))
        raise InvalidReferenceError(
            f"{refs[0].uri} and the references beside it have pictures of {sizes}; those of one row must be of one size"
        )
    return np.stack(found) if found else np.empty((0, 0, 0, 3), np.uint8)


def _as_column(values: list[NDArray[Any]]) -> NDArray[Any]:
    """One array for each row; their shapes may differ."""
    if len({value.shape for value in values}) == 1:
        return np.stack(values)
    column = np.empty(len(values), object)
    column[:] = values
    return column
