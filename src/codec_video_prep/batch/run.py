"""Run a batch: go on where an earlier run stopped, hand out the rest, and tell at the end what could not be done."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from codec_video_prep.batch.formats import FORMATS
from codec_video_prep.batch.job import Job, Outcome, Part, Video, plan_parts
from codec_video_prep.batch.pool import WorkerDiedError, WorkerPool, check_is_no_start
from codec_video_prep.batch.work import finish_part, finished_outcomes, prepare_video
from codec_video_prep.config import WITHOUT_EFFECT, OptionError
from codec_video_prep.output import OutputError, OutputExistsError, locked
from mediaref.bit_tables import import_pyarrow
from mediaref.threads import resolve_threads

BATCH = "batch.json"
_READERS = 16
"""Receipts read at once: far away, each takes its time."""
_PART_FILE = re.compile(r"part-(\d+)\.(?:tar|parquet|json)")
VIDEOS_PER_PART = {"folders": 8, "webdataset": 64, "bitcosts": 64}


@dataclass
class Tally:
    """How far a batch is, in videos."""

    total: int
    done: int = 0
    """Prepared, or found prepared, by this run."""
    before: int = 0
    """In parts that an earlier run finished."""
    failed: int = 0
    """Could not be prepared; an earlier run's are among them."""


@dataclass(frozen=True)
class BatchResult:
    """What a batch came to."""

    output: str
    tally: Tally
    errors_file: str
    """Name in `output` of the table of failures, which may have no rows."""


Progress = Callable[[Tally], None]
Task = tuple[Part, Video | Sequence[Outcome]]
"""A video to prepare, or all outcomes of a part, to finish it."""


@dataclass
class _Open:
    """A part that is being worked on."""

    part: Part
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def ordered(self) -> list[Outcome]:
        return [self.outcomes[video.uri] for video in self.part.videos]

    @property
    def is_complete(self) -> bool:
        return len(self.outcomes) == len(self.part.videos)


def run_batch(
    videos: Iterable[str],
    output: str,
    *,
    format: str = "folders",
    options: Mapping[str, Any] | None = None,
    videos_per_part: int | None = None,
    num_shards: int = 1,
    shard_id: int = 0,
    workers: int | None = None,
    ray: str | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> BatchResult:
    """Prepare many videos. One that cannot be prepared is reported in a table, and the rest goes on.

    Run again after any interruption, it goes on where it was. Workers are processes: a script that calls this needs
    `if __name__ == "__main__":`.

    Args:
        videos: Paths or URIs, each once; see `list_videos`.
        output: Local folder or fsspec uri, made if need be.
        format: `folders`, `webdataset` (tar shards) or `bitcosts` (Parquet tables of every frame's bits).
        options: Of `PreinferConfig`, but for `video` and `out_dir`; `bitcosts` needs none.
        videos_per_part: Videos in a shard or table, and in the smallest piece of work that is counted as done.
        num_shards: How many runs share the videos, on machines of their own, say.
        shard_id: Which of them this is, from 0.
        workers: Processes; None: as many as this process has CPUs.
        ray: Address of a Ray cluster to run on (`auto`, `ray://host:10001`); `local` starts one here.
        overwrite: Replace what another batch has left in `output`.
        retry_failed: Try the videos again that failed in an earlier run.
        progress: Called after every video.

    Raises:
        OptionError: (a `ValueError`) an option is wrong, before any work starts.
        OutputError: (an `OSError`) the results cannot be written, or `output` holds another batch.
        MissingDependencyError: (an `ImportError`) a package is missing.
        WorkerStartError: (a `RuntimeError`) worker processes cannot be started, for want of that line for one.
    """
    check_is_no_start()
    if format not in FORMATS:
        raise OptionError(f"format={format!r}: takes one of {', '.join(FORMATS)}")
    if workers is not None and workers < 1:
        raise OptionError(f"workers={workers}: takes a whole number of at least 1")
    if find_spec("pyarrow") is None:
        import_pyarrow()  # raises: better now than after a night's work; where it is there, it can wait until the end
    uris = list(dict.fromkeys(videos))
    shard = "" if num_shards == 1 else f"-{shard_id:03d}-of-{num_shards:03d}"
    if videos_per_part is None:
        videos_per_part = VIDEOS_PER_PART[format]
    parts = plan_parts(uris, videos_per_part, num_shards, shard_id)
    job = Job.of(output, format, options or {}, videos_per_part, overwrite, shard)
    with locked(Path(job.staging)):  # two runs of the same shard: the second finds what the first has done
        _claim(job, -(-len(uris) // job.videos_per_part))
        tally = Tally(sum(len(part.videos) for part in parts))
        outcomes, pending = _resumed(job, parts, retry_failed, tally)
        if progress and tally.before:
            progress(tally)
        with closing(_outcomes(job, pending, workers, ray)) as coming:  # closed, so that no process outlives an error
            for outcome in coming:
                outcomes.append(outcome)
                tally.done += outcome.error is None
                tally.failed += outcome.error is not None
                if progress:
                    progress(tally)
        errors_file = f"errors{shard}.parquet"
        job.store.write(errors_file, _error_table(job, outcomes))
        shutil.rmtree(job.staging, ignore_errors=True)
    return BatchResult(output, tally, errors_file)


def _claim(job: Job, total_parts: int) -> None:
    """Write down whose output this is, or refuse to mix it with another batch's."""
    content = job.store.read(BATCH)
    is_ours = content is not None and _is_of(job, content)
    if content is not None and not is_ours and not job.overwrite:
        raise OutputExistsError(
            f"{job.output}: holds another batch (other options, another format or version); "
            "choose another output, or pass overwrite to replace it"
        )
    has_part_files = job.format != "folders" or not is_ours
    for folder in ("", "receipts") if has_part_files else ("receipts",):
        for name in job.store.names(folder):
            number = _PART_FILE.fullmatch(name)
            if number and (not is_ours or int(number[1]) >= total_parts):  # readers take all parts that they find
                job.store.remove(f"{folder}/{name}".lstrip("/"))
    if not is_ours:
        options = {k: v for k, v in job.config("any", "any").to_dict().items() if k not in WITHOUT_EFFECT}
        told = {"format": job.format, "videos_per_part": job.videos_per_part, "job": job.digest, "options": options}
        job.store.write(BATCH, json.dumps({**job.metadata, **told}, indent=2).encode())


def _is_of(job: Job, content: bytes) -> bool:
    try:
        return bool(json.loads(content)["job"] == job.digest)
    except (KeyError, TypeError, ValueError):
        return False


def _resumed(job: Job, parts: Sequence[Part], retry_failed: bool, tally: Tally) -> tuple[list[Outcome], list[Part]]:
    """What earlier runs did, and the parts that are left."""
    outcomes: list[Outcome] = []
    pending: list[Part] = []
    with ThreadPoolExecutor(_READERS, thread_name_prefix="receipts") as pool:
        everything = list(pool.map(partial(finished_outcomes, job), parts))
    for part, found in zip(parts, everything, strict=True):
        if found is None or (retry_failed and any(outcome.error for outcome in found)):
            pending.append(part)
            continue
        outcomes += found
        failed = sum(outcome.error is not None for outcome in found)
        tally.failed += failed
        tally.before += len(found) - failed
    return outcomes, pending


def _outcomes(
    job: Job, pending: Sequence[Part], workers: int | None, ray: str | None
) -> Generator[Outcome, None, None]:
    """Prepare the videos of all parts, and finish each part; outcomes come as they are known."""
    if not pending:
        return
    if ray is not None:
        from codec_video_prep.integrations.ray import outcomes_on_cluster

        yield from outcomes_on_cluster(job, pending, ray, workers)
    else:
        yield from _in_processes(job, pending, workers)


def _in_processes(job: Job, pending: Sequence[Part], workers: int | None) -> Iterator[Outcome]:
    cpus = resolve_threads(None)
    count = min(workers or cpus, sum(len(part.videos) for part in pending))
    job = replace(job, threads=max(job.threads, cpus // count if workers is None else 1))
    videos: Iterator[Task] = ((part, video) for part in pending for video in part.videos)
    started = {part.number: _Open(part) for part in pending}
    finishing: deque[Task] = deque()
    pool: WorkerPool[Task, Outcome | None]
    with WorkerPool(count, partial(do_task, job)) as pool:
        while True:
            while pool.has_idle and (task := finishing.popleft() if finishing else next(videos, None)):
                pool.give(task)
            if not pool.is_busy:
                return
            for (part, what), result in pool.results():
                if not isinstance(what, Video):
                    if isinstance(result, WorkerDiedError):
                        raise OutputError(f"{job.output}: {part.name} was not finished: {result}")
                    continue
                outcome = lost(what, result) if isinstance(result, WorkerDiedError) else result
                assert outcome is not None
                yield outcome
                started[part.number].outcomes[what.uri] = outcome
                if started[part.number].is_complete:
                    finishing.append((part, started.pop(part.number).ordered))


def do_task(job: Job, task: Task) -> Outcome | None:
    """What a worker does with a task: the outcome of a video; None for a part that is finished now."""
    part, what = task
    if isinstance(what, Video):
        return prepare_video(job, part, what)
    finish_part(job, part, what)
    return None


def lost(video: Video, error: WorkerDiedError) -> Outcome:
    """The outcome of a video whose process died."""
    return Outcome(video, error=type(error).__name__, message=f"{video.uri}: {error}")


def _error_table(job: Job, outcomes: Sequence[Outcome]) -> bytes:
    """The failures as a Parquet file: `uri`, `key`, `error` (the class) and `message`, in the order of the keys."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    failed = sorted((outcome for outcome in outcomes if outcome.error), key=lambda outcome: outcome.video.key)
    columns = {
        "uri": [outcome.video.uri for outcome in failed],
        "key": [outcome.video.key for outcome in failed],
        "error": [outcome.error for outcome in failed],
        "message": [outcome.message for outcome in failed],
    }
    schema = pa.schema([(name, pa.string()) for name in columns], metadata=job.metadata)
    file = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema), file)
    return file.getvalue()
