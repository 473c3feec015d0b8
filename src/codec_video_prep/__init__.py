"""Turn a video into the few patches that matter, chosen by the bits that its encoder spent on them.

`run_preinfer("clip.mp4", "out")` samples frames, scores their blocks, and packs the best into canvases for a vision
model. `cv_reader_fast` reads the bits themselves.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codec_video_prep import cv_reader_fast
    from codec_video_prep.api import PreinferResult, run_preinfer, run_preinfer_config
    from codec_video_prep.config import PreinferConfig

__all__ = ["PreinferConfig", "PreinferResult", "cv_reader_fast", "run_preinfer", "run_preinfer_config"]

# Where each public name lives; imported on first use, so that processes which only hand out work start at once.
_HOMES = {
    "PreinferConfig": "codec_video_prep.config",
    "PreinferResult": "codec_video_prep.api",
    "run_preinfer": "codec_video_prep.api",
    "run_preinfer_config": "codec_video_prep.api",
}


def __getattr__(name: str) -> Any:
    if name == "cv_reader_fast":
        return importlib.import_module("codec_video_prep.cv_reader_fast")
    if name not in _HOMES:
        raise AttributeError(f"module 'codec_video_prep' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
