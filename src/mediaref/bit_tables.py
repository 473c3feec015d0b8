"""Bit costs as Arrow tables: a row for each frame, for Parquet files and whatever reads them.

| column | type | |
|---|---|---|
| `uri` | string | the video |
| `frame_index` | int64 | display index of the frame |
| `pts_ns` | int64 | when it begins; null in a stream without timestamps |
| `picture_type` | string | `I`, `P` or `B` |
| `packet_bits` | int64 | 8 times the bytes that the container gives to the frame |
| `unit` | int32 | luma samples along a side of a block |
| `rows`, `cols` | int32 | shape of the map |
| `bits` | list of uint32 | the map, row after row: `np.reshape(bits, (rows, cols))` |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from mediaref.bitcost import BitCost, iter_bit_costs
from mediaref.errors import MissingDependencyError
from mediaref.storage import StorageOptions
from mediaref.video_decoder.index import VideoIndex

__all__ = ["bit_cost_schema", "bit_cost_table", "iter_bit_cost_batches", "write_bit_costs"]

#: Map entries that one record batch has at most, unless one frame alone has more.
_BATCH_ENTRIES = 1 << 20


def bit_cost_schema(metadata: Mapping[str, str] | None = None) -> Any:
    """The `pyarrow.Schema` of the tables, with `metadata` of the caller's."""
    pa = import_pyarrow()
    fields = {
        "uri": pa.string(),
        "frame_index": pa.int64(),
        "pts_ns": pa.int64(),
        "picture_type": pa.string(),
        "packet_bits": pa.int64(),
        "unit": pa.int32(),
        "rows": pa.int32(),
        "cols": pa.int32(),
        "bits": pa.list_(pa.uint32()),
    }
    return pa.schema(list(fields.items()), metadata=dict(metadata or {}))


def iter_bit_cost_batches(
    video: str | PathLike[str],
    frames: Sequence[int] | None = None,
    *,
    threads: int | None = None,
    storage_options: StorageOptions | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Iterator[Any]:
    """The bit costs of a video as `pyarrow.RecordBatch`es, in bounded memory.

    Arguments and errors are those of `read_bit_costs`; `MissingDependencyError` where pyarrow is missing.
    """
    schema = bit_cost_schema(metadata)
    index = VideoIndex.open(video, storage_options=storage_options)
    costs = iter_bit_costs(index, range(len(index)) if frames is None else frames, threads=threads)
    return _record_batches(fspath(video), costs, schema)


def _record_batches(uri: str, costs: Iterable[BitCost], schema: Any) -> Iterator[Any]:
    waiting: list[BitCost] = []
    entries = 0
    for cost in costs:
        waiting.append(cost)
        entries += cost.bits.size
        if entries >= _BATCH_ENTRIES:
            yield _record_batch(uri, waiting, schema)
            waiting, entries = [], 0
    if waiting:
        yield _record_batch(uri, waiting, schema)


def bit_cost_table(
    video: str | PathLike[str],
    frames: Sequence[int] | None = None,
    *,
    threads: int | None = None,
    storage_options: StorageOptions | None = None,
) -> Any:
    """The bit costs of a video as one `pyarrow.Table`; see `iter_bit_cost_batches`."""
    batches = iter_bit_cost_batches(video, frames, threads=threads, storage_options=storage_options)
    return import_pyarrow().Table.from_batches(batches, schema=bit_cost_schema())


def write_bit_costs(
    path: str | PathLike[str], batches: Iterator[Any], metadata: Mapping[str, str] | None = None
) -> int:
    """Write record batches of bit costs to a Parquet file as they come, and return how many rows it has."""
    import_pyarrow()
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(Path(path), bit_cost_schema(metadata), compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _record_batch(uri: str, costs: Sequence[BitCost], schema: Any) -> Any:
    pa = import_pyarrow()
    offsets = np.cumsum([0, *(cost.bits.size for cost in costs)], dtype=np.int32)
    values = np.concatenate([cost.bits.ravel() for cost in costs])
    columns = {
        "uri": [uri] * len(costs),
        "frame_index": [cost.frame_index for cost in costs],
        "pts_ns": [cost.pts_ns for cost in costs],
        "picture_type": [cost.picture_type for cost in costs],
        "packet_bits": [cost.packet_bits for cost in costs],
        "unit": [cost.unit for cost in costs],
        "rows": [cost.bits.shape[0] for cost in costs],
        "cols": [cost.bits.shape[1] for cost in costs],
        "bits": pa.ListArray.from_arrays(pa.array(offsets), pa.array(values)),
    }
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, kind)
        for column, kind in zip(columns.values(), schema.types, strict=True)
    ]
    return pa.record_batch(arrays, schema=schema)


def import_pyarrow() -> Any:
    """The package `pyarrow`, or a `MissingDependencyError` that says how to get it."""
    try:
        import pyarrow
    except ImportError as error:
        raise MissingDependencyError(
            "tables need pyarrow: install the 'batch' extra (pip install 'mediaref[batch]')"
        ) from error
    return pyarrow
