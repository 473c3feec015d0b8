"""`open` and `cleanup_cache` under the name that 1.1 has for them.

No container is kept open: what is worth keeping of a video is its index, which `mediaref.video_decoder` keeps.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO

from mediaref.video_decoder.cache import cleanup_cache
from mediaref.video_decoder.container import import_av

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

__all__ = ["cleanup_cache", "open"]


def open(
    file: str | os.PathLike[str] | BinaryIO, mode: str = "r", *, keep_av_open: bool = False, **options: Any
) -> InputContainer | OutputContainer:
    """`av.open(file, mode, **options)`: a container of the caller's own, shared with nobody.

    `keep_av_open` is accepted for programs written for 1.1. Raises `MissingDependencyError` without PyAV.
    """
    name = os.fspath(file) if isinstance(file, os.PathLike) else file
    container: InputContainer | OutputContainer = import_av().open(name, mode, **options)
    return container
