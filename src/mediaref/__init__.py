"""Point at any image or video frame with `(uri, pts_ns)`; read it back as pixels or as the bits its encoder spent."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from mediaref.batch import batch_bit_costs, batch_decode, iter_decode
    from mediaref.bitcost import BitCost
    from mediaref.data_uri import DataURI
    from mediaref.read_stats import ReadStats
    from mediaref.ref import MediaRef
    from mediaref.tolerance import nearby
    from mediaref.video_decoder.cache import cleanup_cache

__all__ = [
    "BitCost",
    "DataURI",
    "MediaRef",
    "ReadStats",
    "batch_bit_costs",
    "batch_decode",
    "cleanup_cache",
    "iter_decode",
    "nearby",
]

# Where each public name lives; imported on first use, so that `import mediaref` stays light.
_HOMES = {
    "BitCost": "mediaref.bitcost",
    "DataURI": "mediaref.data_uri",
    "MediaRef": "mediaref.ref",
    "ReadStats": "mediaref.read_stats",
    "batch_bit_costs": "mediaref.batch",
    "batch_decode": "mediaref.batch",
    "cleanup_cache": "mediaref.video_decoder.cache",
    "iter_decode": "mediaref.batch",
    "nearby": "mediaref.tolerance",
}

logging.getLogger("mediaref").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'mediaref' has no attribute {name!r}")
    globals()[name] = value
    return value


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mediaref")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0.0.0.dev0"


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__"})
