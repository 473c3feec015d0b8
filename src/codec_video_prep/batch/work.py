"""The two things that a worker does: prepare one video, and finish a part. A receipt tells that a part is done."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict

from codec_video_prep.batch.formats import FORMATS
from codec_video_prep.batch.job import Job, Outcome, Part, Video
from codec_video_prep.output import OutputError
from mediaref.errors import MediaRefError, MissingDependencyError

_log = logging.getLogger("mediaref")


def prepare_video(job: Job, part: Part, video: Video) -> Outcome:
    """Make one video's result, or say why it cannot be made.

    Raises:
        OutputError: the storage refuses results. That is no fault of the video: the batch must stop.
        MissingDependencyError: a package is missing, which all videos would miss.
    """
    try:
        return Outcome(video, FORMATS[job.format].make(job, part, video))
    except (OutputError, MissingDependencyError):
        raise
    except MediaRefError as error:
        return Outcome(video, error=type(error).__name__, message=str(error))
    except Exception as error:
        _log.exception("%s: an error that is not the video's alone", video.uri)
        return Outcome(video, error=type(error).__name__, message=str(error) or repr(error))


def finish_part(job: Job, part: Part, outcomes: Sequence[Outcome]) -> None:
    """Put the part's results in their place, then write its receipt, then tidy up."""
    made = [outcome.video for outcome in outcomes if outcome.error is None]
    if made:
        FORMATS[job.format].finish(job, part, made)
    receipt = {
        **job.metadata,
        "job": job.digest,
        "part": part.number,
        "videos": [{**asdict(outcome.video), **_without(asdict(outcome), "video")} for outcome in outcomes],
    }
    job.store.write(_receipt_name(part), json.dumps(receipt, indent=1, ensure_ascii=False).encode())
    shutil.rmtree(job.staged(part), ignore_errors=True)


def finished_outcomes(job: Job, part: Part) -> list[Outcome] | None:
    """What became of the videos of a part that is done: this part, of this job. None where it is not."""
    content = job.store.read(_receipt_name(part))
    try:
        receipt = json.loads(content or b"{}")
        told = {entry["uri"]: entry for entry in receipt["videos"]}
        if receipt["job"] != job.digest or list(told) != [video.uri for video in part.videos]:
            return None
        return [
            Outcome(video, *(told[video.uri][name] for name in ("items", "error", "message"))) for video in part.videos
        ]
    except (KeyError, TypeError, ValueError):
        return None


def _receipt_name(part: Part) -> str:
    return f"receipts/{part.name}.json"


def _without(entries: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in entries.items() if key != name}
