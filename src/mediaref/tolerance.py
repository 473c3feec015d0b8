"""References moved a little in time, to frames that are cheaper to decode."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TypeVar

from mediaref.arguments import tolerance
from mediaref.errors import MediaRefError
from mediaref.ref import MediaRef
from mediaref.storage import StorageOptions, locate
from mediaref.storage.ranges import Ranges

_log = logging.getLogger("mediaref")

_Ref = TypeVar("_Ref", bound=MediaRef)


def nearby(refs: Iterable[_Ref], tolerance_ns: int, *, storage_options: StorageOptions | None = None) -> list[_Ref]:
    """The references, in their order, each pointing at the frame that costs least within `tolerance_ns` of its time.

    See `mediaref.video_decoder.nearest_cheap_frames` for which frame that is; the new `pts_ns` is when it begins. What
    `to_ndarray`, `batch_decode` and `iter_decode` decode with a `tolerance_ns` are the frames of these references.
    References to images stay as they are, and so do those that cannot be read: decoding them says why.
    Raises `InvalidReferenceError` (a `ValueError`) for a negative tolerance.
    """
    within = tolerance(tolerance_ns)
    moved = list(refs)
    places: dict[str, list[int]] = {}
    for place, ref in enumerate(moved):
        if ref.is_video:
            places.setdefault(ref.uri, []).append(place)
    for uri, of_file in places.items():
        asked = [moved[place].pts_ns or 0 for place in of_file]
        try:
            times = _cheap_times(uri, asked, within, storage_options)
        except MediaRefError as error:
            _log.debug("%s", error)
            continue
        for place, time in zip(of_file, times, strict=True):
            moved[place] = moved[place].model_copy(update={"pts_ns": time})
    return moved


def _cheap_times(
    uri: str, asked: Sequence[int], tolerance_ns: int, storage_options: StorageOptions | None
) -> list[int]:
    from mediaref.video_decoder.cheap_frames import nearest_cheap_frames
    from mediaref.video_decoder.parts import index_around

    source = locate(uri, storage_options)
    with Ranges(source) as ranges:
        index, _ = index_around(source, ranges, asked, tolerance_ns)
        begin, end = index.span_ns()
        times = list(asked)
        inside = [place for place, time in enumerate(asked) if begin <= time < end]
        frames = nearest_cheap_frames(index, [asked[place] for place in inside], tolerance_ns, ranges)
    assert index.pts_ns is not None
    for place, time in zip(inside, index.pts_ns[frames].tolist(), strict=True):
        times[place] = time
    return times
