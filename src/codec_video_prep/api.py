"""Prepare one video from Python."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mediaref
from codec_video_prep.config import PreinferConfig
from codec_video_prep.output import META, check_out_dir, finished_meta, locked, new_folder, write_meta
from codec_video_prep.pipeline import Progress, prepare
from mediaref.storage import Source, locate

__all__ = ["PreinferConfig", "PreinferResult", "run_preinfer", "run_preinfer_config"]

SCHEMA_VERSION = 1
"""Of our keys in meta.json."""
CODEC_SELECTOR_VERSION = 1
"""What the original writes; readers may check it."""


@dataclass(frozen=True)
class PreinferResult:
    """A finished output folder."""

    out_dir: str
    meta_path: str
    canvas_files: list[str]
    """Names of the canvases in `out_dir`, in order."""
    summary: dict[str, Any]
    """All of meta.json."""

    @property
    def timings(self) -> dict[str, float]:
        """Seconds that each step of the run took (of the run that did the work, if this one only found it done)."""
        return dict(self.summary["timings"])


def run_preinfer(
    video: str, out_dir: str, *, overwrite: bool = False, progress: Progress | None = None, **options: Any
) -> PreinferResult:
    """Turn a video into canvases: `run_preinfer_config` with the options of `PreinferConfig` as keywords.

    Raises:
        TypeError: there is no such option.
    """
    config = PreinferConfig(video=video, out_dir=out_dir, **options)
    return run_preinfer_config(config, overwrite=overwrite, progress=progress)


def run_preinfer_config(
    config: PreinferConfig, *, overwrite: bool = False, progress: Progress | None = None
) -> PreinferResult:
    """Turn a video into a folder of canvases, patch positions and metadata.

    The folder appears when it is complete, or not at all. A run that finds its own work done already (same options,
    video and version) returns it at once. Two processes with one `out_dir` work one after the other.

    Args:
        config: What to prepare, where, and how.
        overwrite: Do the work again, and replace the output of an earlier run.
        progress: Called with a stage's name, how many items are done and how many there are.

    Raises:
        OptionError: (a `ValueError`) an option does not fit this video; it names the option.
        MediaNotFoundError, CorruptMediaError, UnsupportedBitstreamError, ...: the video cannot be read.
        OutputError: (an `OSError`) the folder cannot be written, or holds something else.
    """
    source = locate(config.video)
    out_dir = Path(config.out_dir).resolve()
    identity = _identity(config, source)
    with locked(out_dir):
        done = None if overwrite else finished_meta(out_dir, identity)
        if done is None:
            check_out_dir(out_dir, overwrite)
            with new_folder(out_dir) as folder:
                done = {**identity, **_names(config, source, out_dir), **prepare(config, folder, progress or _silence)}
                write_meta(folder, done)
    return PreinferResult(str(out_dir), str(out_dir / META), list(done["canvas_files"]), done)


def _identity(config: PreinferConfig, source: Source) -> dict[str, Any]:
    """What must be equal for an earlier run's output to be this one's."""
    return {
        "schema_version": SCHEMA_VERSION,
        "library_version": mediaref.__version__,
        "config_hash": config.config_hash,
        "source": _source_marks(source),
    }


def is_result_of(meta: Mapping[str, Any], config: PreinferConfig) -> bool:
    """Whether `meta`, all of a meta.json, is that of a run of `config` on its video as it is now."""
    return all(meta.get(key) == value for key, value in _identity(config, locate(config.video)).items())


def identity_digest(config: PreinferConfig) -> str:
    """32 hex digits that change whenever a run's result may: with its options, its video and our version.

    Raises what finding the video raises: `MediaNotFoundError`, `AccessDeniedError`, ...
    """
    identity = _identity(config, locate(config.video))
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


def _source_marks(source: Source) -> dict[str, Any]:
    """What tells one state of the video from another, wherever it lies; its content is not read for that."""
    if source.path is None:
        return {"fingerprint": hashlib.sha256(repr(source.identity()).encode()).hexdigest()}
    source.identity()  # for the plain errors: not there, not allowed
    status = Path(source.path).stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _names(config: PreinferConfig, source: Source, out_dir: Path) -> dict[str, Any]:
    return {
        "video": source.name,
        "video_hash": hashlib.sha1(config.video.encode(), usedforsecurity=False).hexdigest()[:8],
        "codec_selector_version": CODEC_SELECTOR_VERSION,
        "config": {**config.to_dict(), "video": source.name},
        "out_dir": str(out_dir),
    }


def _silence(stage: str, done: int, total: int) -> None:
    pass
