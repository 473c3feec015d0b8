"""The tensorcodec backend: that library has the interface of torchcodec, without torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from mediaref.errors import MissingDependencyError
from mediaref.video_decoder.backends import check_choice, check_options
from mediaref.video_decoder.base import Backend
from mediaref.video_decoder.torchcodec import PASSED_OPTIONS, LibraryBackend


def backend(options: Mapping[str, Any]) -> Backend:
    """The backend for a call's `decoder_options`. Raises `InvalidReferenceError` and `MissingDependencyError`."""
    check_options("tensorcodec", options, (*PASSED_OPTIONS, "output_format", "expected_pixel_format"))
    passed = dict(options)
    check_choice("seek_mode", passed.pop("seek_mode", "exact"), ("exact", "approximate", "timestamp"))
    try:
        library = importlib.import_module("tensorcodec.decoders")
    except ImportError as error:
        raise MissingDependencyError(
            f"decoder='tensorcodec' needs that package: pip install tensorcodec ({error})"
        ) from error
    return LibraryBackend(library, "tensorcodec", passed)
