"""The two roads to an index: the container's own tables, and a pass over all packets. Both must tell the same."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from mediaref import cleanup_cache
from mediaref.video_decoder import VideoIndex
from mediaref.video_decoder import index as index_module
from mediaref.video_decoder.packets import PacketTable

#: What both roads find out in the same words. Counters of headers begin anew where reading begins.
COLUMNS = [field.name for field in fields(PacketTable) if field.name not in {"poc", "sequence", "scanned_from"}]
_ABOUT = ("codec", "stream", "pixel_format", "time_base", "width", "height", "orientation", "end_ns", "reorder_depth")
_TOLD = ("pts", "dts", "duration", "position", "size", "is_key", "is_discarded")


def indexed_by_packets(path: Path) -> VideoIndex:
    """Index a file by the pass over all packets, whatever its container."""
    cleanup_cache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "read_container_table", lambda source, ranges: None)
        index = VideoIndex.open(path)
    cleanup_cache()
    return index


def assert_same(tabled: VideoIndex, packeted: VideoIndex, but: tuple[str, ...] = ()) -> None:
    """Before any header is read the container's columns agree, and after all are the others do, too.

    `but` names what the roads tell differently, and tests say why.
    """
    for name in (*_ABOUT, "average_rate"):
        assert name in but or getattr(tabled, name) == getattr(packeted, name), name
    np.testing.assert_array_equal(tabled.packet_of, packeted.packet_of)
    np.testing.assert_array_equal(tabled.pts_ns, packeted.pts_ns)  # type: ignore[arg-type]
    for name in _TOLD:
        if name not in but:
            np.testing.assert_array_equal(getattr(tabled.packets, name), getattr(packeted.packets, name), name)
    complete = tabled.with_headers()
    for name in COLUMNS:
        if name not in but:
            np.testing.assert_array_equal(getattr(complete.packets, name), getattr(packeted.packets, name), name)
    assert complete.headers == packeted.headers or len(tabled) == 1  # nothing comes later that needs them
