"""What a batch can leave behind: folders, WebDataset shards, or tables of bit costs.

Each format makes a video's result, in the place where it stays or in the staging folder, and then finishes the part.
Making what is already there finds it there; finishing twice gives the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from codec_video_prep.api import PreinferResult, is_result_of, run_preinfer_config
from codec_video_prep.batch.job import Job, Part, Video
from codec_video_prep.output import DONE, META, OutputExistsError
from codec_video_prep.webdataset import write_shard
from mediaref.bit_tables import iter_bit_cost_batches, write_bit_costs


class Format(Protocol):
    """One kind of result."""

    def make(self, job: Job, part: Part, video: Video) -> int:
        """Make the result of a video; returns how many canvases or rows it has."""

    def finish(self, job: Job, part: Part, made: Sequence[Video]) -> None:
        """Put the results of a part where they belong."""


class Folders:
    """`KEY/`: a folder for each video, as the preparation of one video makes it."""

    def make(self, job: Job, part: Part, video: Video) -> int:
        if job.store.local:
            return len(_prepare(job, video, job.store.local / video.key).canvas_files)
        there = job.store.read(f"{video.key}/{DONE}"), job.store.read(f"{video.key}/{META}")
        config = job.config(video.uri, "any")
        if None not in there and is_result_of(meta := json.loads(there[1] or b"{}"), config):
            return len(meta["canvas_files"])
        folder = job.staged(part) / video.key
        result = _prepare(job, video, folder)
        for file in sorted(folder.iterdir(), key=lambda file: (file.name == DONE, file.name)):
            job.store.put(file, f"{video.key}/{file.name}")
        return len(result.canvas_files)

    def finish(self, job: Job, part: Part, made: Sequence[Video]) -> None:
        pass


class Shards:
    """`part-000000.tar`: a WebDataset shard for each part."""

    def make(self, job: Job, part: Part, video: Video) -> int:
        return len(_prepare(job, video, job.staged(part) / video.key).canvas_files)

    def finish(self, job: Job, part: Part, made: Sequence[Video]) -> None:
        shard = job.staged(part) / f"{part.name}.tar"
        write_shard(shard, [(video.key, job.staged(part) / video.key) for video in made])
        job.store.put(shard, shard.name)


class BitTables:
    """`part-000000.parquet`: the bit costs of every frame of the part's videos, a row each."""

    def make(self, job: Job, part: Part, video: Video) -> int:
        import pyarrow.parquet as pq

        done = job.staged(part) / f"{video.key}.parquet"
        if done.exists():
            return int(pq.read_metadata(done).num_rows)
        done.parent.mkdir(parents=True, exist_ok=True)
        growing = done.with_suffix(".growing")
        rows = write_bit_costs(growing, iter_bit_cost_batches(video.uri, threads=job.threads), job.metadata)
        growing.replace(done)
        return rows

    def finish(self, job: Job, part: Part, made: Sequence[Video]) -> None:
        import pyarrow.parquet as pq

        table = job.staged(part) / f"{part.name}.joined"
        each = (pq.ParquetFile(job.staged(part) / f"{video.key}.parquet") for video in made)
        batches = (batch for file in each for batch in file.iter_batches())
        write_bit_costs(table, batches, job.metadata)
        job.store.put(table, f"{part.name}.parquet")


def _prepare(job: Job, video: Video, folder: Path) -> PreinferResult:
    config = job.config(video.uri, folder)
    try:
        return run_preinfer_config(config)
    except OutputExistsError:
        if not job.overwrite:
            raise
        return run_preinfer_config(config, overwrite=True)


FORMATS: dict[str, Format] = {"folders": Folders(), "webdataset": Shards(), "bitcosts": BitTables()}
