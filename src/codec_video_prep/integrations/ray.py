"""The preparation in Ray Data, and a batch over the machines of a Ray cluster.

    import ray
    from codec_video_prep.integrations.ray import PrepareVideos

    videos = ray.data.read_parquet("videos.parquet")  # a row a video
    where = {"output": "/shared/prepared", "options": {"num_sampled_frames": 256}}
    done = videos.map_batches(PrepareVideos, fn_constructor_kwargs=where, batch_size=4, concurrency=8)

`codec-video-prep batch --ray ADDRESS` does the same with progress, receipts and all formats; every machine must see
the same output: a shared folder or a uri.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from codec_video_prep.batch.job import Job, Outcome, Part, Video
from codec_video_prep.batch.pool import WorkerPool
from codec_video_prep.batch.run import Task, do_task, lost
from codec_video_prep.batch.work import prepare_video
from codec_video_prep.config import OptionError
from codec_video_prep.output import OutputError
from mediaref.errors import MissingDependencyError
from mediaref.ray import as_columns, column_of
from mediaref.storage import AccessPolicy, join
from mediaref.storage.access import Held, policies_in_force

__all__ = ["PrepareVideos"]


class PrepareVideos:
    """Prepares a folder of canvases for each row's video, and tells in the row where it is.

    Args:
        output: Folder or uri that all machines see; each video gets a folder there.
        options: Of `PreinferConfig`, but for `video` and `out_dir`.
        column: Column with the videos' uris.
        threads: For one video.
        access: What the videos may be: an `AccessPolicy`.

    A call returns the batch with `prepared` (the folder), `canvases` (their number), and for a video that cannot be
    prepared `error` (the name of its class) and `message` instead; these are empty where all is well.
    """

    def __init__(
        self,
        output: str,
        options: Mapping[str, Any] | None = None,
        column: str = "uri",
        threads: int = 1,
        *,
        access: AccessPolicy | None = None,
    ) -> None:
        self._column = column
        self._prepare = Held(prepare_video, (access,) if access else ())
        self._job = Job.of(output, "folders", {**(options or {}), "parallel_segments": threads})

    def __call__(self, batch: Any) -> dict[str, Any]:
        """The batch with what became of its videos, as a dict of arrays."""
        columns = as_columns(batch)
        videos = [Video.of(str(uri)) for uri in column_of(columns, self._column)]
        outcomes = [self._prepare(self._job, Part(0, (video,)), video) for video in videos]
        folders = [join(self._job.output, outcome.video.key) for outcome in outcomes]
        made = [outcome.error is None for outcome in outcomes]
        columns["prepared"] = np.array([folder if ok else "" for folder, ok in zip(folders, made, strict=True)])
        columns["canvases"] = np.array([outcome.items for outcome in outcomes], np.int64)
        columns["error"] = np.array([outcome.error or "" for outcome in outcomes])
        columns["message"] = np.array([outcome.message or "" for outcome in outcomes])
        return columns


def outcomes_on_cluster(job: Job, parts: Sequence[Part], address: str, workers: int | None) -> Iterator[Outcome]:
    """Prepare the videos of all parts on a Ray cluster, and finish each part there; outcomes come part by part.

    Raises:
        OptionError: (a `ValueError`) no cluster answers at `address`.
        MissingDependencyError: Ray is not installed.
        OutputError: the results cannot be written.
    """
    ray = _ray()
    was_there = ray.is_initialized()
    if not was_there:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, ValueError) as error:
            raise OptionError(f"ray={address!r}: no cluster answers there: {error}") from error
    try:
        with _quiet(ray):
            rows = [{"number": part.number, "uris": json.dumps([video.uri for video in part.videos])} for part in parts]
            cpus = int(ray.cluster_resources().get("CPU", 1))
            actors = ray.data.ActorPoolStrategy(size=min(workers or cpus, len(parts)))
            data = ray.data.from_items(rows, override_num_blocks=len(rows))
            settings = (job, policies_in_force())
            told = data.map_batches(_FinishParts, fn_constructor_args=settings, batch_size=1, compute=actors)
            for row in told.iter_rows():
                yield _as_outcome(row)
    finally:
        if not was_there:
            ray.shutdown()


@contextmanager
def _quiet(ray: Any) -> Iterator[None]:
    """Without the bars and messages of Ray Data: the caller has a line of its own."""
    context, log = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    before = context.enable_progress_bars, log.level
    context.enable_progress_bars = False
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars = before[0]
        log.setLevel(before[1])


class _FinishParts:
    """Takes rows of parts, gives a row for each of their videos. A process of its own does the work: it may die."""

    def __init__(self, job: Job, policies: tuple[AccessPolicy, ...]) -> None:
        self._job = job
        self._pool: WorkerPool[Task, Outcome | None] = WorkerPool(1, Held(partial(do_task, job), policies))

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        for number, uris in zip(batch["number"], batch["uris"], strict=True):
            part = Part(int(number), tuple(Video.of(uri) for uri in json.loads(uris)))
            try:
                rows += [_as_row(outcome) for outcome in self._outcomes(part)]
            except (OutputError, MissingDependencyError) as error:
                rows.append({**_as_row(Outcome(part.videos[0], message=str(error))), "fatal": type(error).__name__})
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def _outcomes(self, part: Part) -> list[Outcome]:
        outcomes = []
        for video in part.videos:
            result = self._done((part, video))
            outcomes.append(result if isinstance(result, Outcome) else lost(video, result))
        finished = self._done((part, outcomes))
        if finished is not None:
            raise OutputError(f"{self._job.output}: {part.name} was not finished: {finished}")
        return outcomes

    def _done(self, task: Task) -> Any:
        self._pool.give(task)
        while True:  # the first news may be that the process has started
            for _, result in self._pool.results():
                return result


def _as_row(outcome: Outcome) -> dict[str, Any]:
    return {
        "uri": outcome.video.uri,
        "key": outcome.video.key,
        "items": outcome.items,
        "error": outcome.error or "",
        "message": outcome.message or "",
        "fatal": "",
    }


def _as_outcome(row: Mapping[str, Any]) -> Outcome:
    if row["fatal"]:
        kind = MissingDependencyError if row["fatal"] == MissingDependencyError.__name__ else OutputError
        raise kind(row["message"])
    return Outcome(Video(row["uri"], row["key"]), int(row["items"]), row["error"] or None, row["message"] or None)


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingDependencyError(
            "running on a cluster needs Ray: install the 'ray' extra (pip install 'mediaref[ray]')"
        ) from error
    return ray
