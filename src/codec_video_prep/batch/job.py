"""What a batch is made of: videos, the parts that they come in, and what all workers must know."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import mediaref
from codec_video_prep.batch.store import Store
from codec_video_prep.config import OptionError, PreinferConfig
from mediaref.storage import locate_trusted

SCHEMA_VERSION = 1
"""Of batch.json and of receipts."""
_STEM_LENGTH = 48


@dataclass(frozen=True)
class Video:
    """One video, and the name that its results have."""

    uri: str
    key: str

    @classmethod
    def of(cls, uri: str) -> Video:
        """The key begins with the file's name for people and ends with a digest of the uri, which tells it apart."""
        source = locate_trusted(uri)
        name = "video" if source.data is not None else PurePosixPath((source.path or uri).replace("\\", "/")).stem
        readable = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:_STEM_LENGTH].strip("_") or "video"
        return cls(uri, f"{readable}-{hashlib.sha256(uri.encode()).hexdigest()[:16]}")


@dataclass(frozen=True)
class Part:
    """Videos that are finished together."""

    number: int
    videos: tuple[Video, ...]

    @property
    def name(self) -> str:
        return f"part-{self.number:06d}"


@dataclass(frozen=True)
class Outcome:
    """What became of a video: its result is there, or an error is."""

    video: Video
    items: int = 0
    """Canvases, or rows of a table."""
    error: str | None = None
    """Name of the error's class."""
    message: str | None = None


@dataclass(frozen=True)
class Job:
    """What is the same for all videos of a batch; goes to every worker."""

    output: str
    format: str
    options: Mapping[str, Any]
    """Of `PreinferConfig`, but for `video` and `out_dir`."""
    staging: str
    """Local folder for what is not finished."""
    videos_per_part: int
    threads: int = 1
    """For one video."""
    overwrite: bool = False
    store: Store = field(init=False, repr=False, compare=False)
    """Where `output` is, as seen from the process that planned the job."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "store", Store(self.output))

    @classmethod
    def of(
        cls,
        output: str,
        format: str,
        options: Mapping[str, Any],
        videos_per_part: int = 1,
        overwrite: bool = False,
        shard: str = "",
    ) -> Job:
        """A job whose options are checked, with a staging folder that is the same whenever the job is.

        Staging is inside a local output, so that finished files are only renamed. Raises `OptionError`.
        """
        options = dict(options)
        threads = options.pop("parallel_segments", 0) or 1
        job = cls(output, format, options, "", videos_per_part, threads, overwrite)
        job.config("any", "any")
        if job.store.local:
            return replace(job, staging=str(job.store.local / f".staging-{job.digest[:12]}{shard}"))
        there = hashlib.sha256(f"{output}\n{job.digest}".encode()).hexdigest()[:16]
        return replace(job, staging=str(Path(tempfile.gettempdir()) / f"codec-video-prep-{there}{shard}"))

    @property
    def metadata(self) -> dict[str, str]:
        """What every output says of where it comes from."""
        return {
            "config_hash": self.config_hash,
            "library_version": mediaref.__version__,
            "schema_version": str(SCHEMA_VERSION),
        }

    @property
    def config_hash(self) -> str:
        """Changes with every option that can change a result."""
        return self.config("any", "any").config_hash

    @property
    def digest(self) -> str:
        """Tells whether an earlier batch in the same place was this one."""
        told = {**self.metadata, "format": self.format, "videos_per_part": self.videos_per_part}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def config(self, video: str, out_dir: str | Path) -> PreinferConfig:
        """The preparation of one video. Raises `OptionError`."""
        return PreinferConfig(video=video, out_dir=str(out_dir), **{**self.options, "parallel_segments": self.threads})

    def staged(self, part: Part) -> Path:
        """Where a part collects its results until it is finished."""
        return Path(self.staging) / part.name


def plan_parts(uris: Sequence[str], videos_per_part: int, num_shards: int, shard_id: int) -> list[Part]:
    """Cut the list into parts, and take every `num_shards`-th of them.

    Raises:
        OptionError: (a `ValueError`) there is no such shard.
    """
    if videos_per_part < 1 or num_shards < 1:
        raise OptionError("videos_per_part and num_shards take whole numbers of at least 1")
    if not 0 <= shard_id < num_shards:
        raise OptionError(f"shard_id={shard_id}: takes 0 to {num_shards - 1} with num_shards={num_shards}")
    starts = range(0, len(uris), videos_per_part)
    return [
        Part(number, tuple(Video.of(uri) for uri in uris[start : start + videos_per_part]))
        for number, start in enumerate(starts)
        if number % num_shards == shard_id
    ]
