"""What each frame costs by itself, and which of those within a tolerance is cheap."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mediaref.arguments import tolerance
from mediaref.storage.ranges import Ranges
from mediaref.video_decoder.dependencies import cut_off
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.plan import span_for
from mediaref.video_decoder.starts import start_points, starts_of


def packets_to_feed(index: VideoIndex, frames: Iterable[int], ranges: Ranges | None = None) -> NDArray[np.int64]:
    """What each of `frames` would cost by itself: the number of packets that its own plan feeds, int64[n].

    Five stand-ins (`Span.stand_ins`) count as one packet.
    `ranges` and what it raises are those of `DecodePlan.of`.
    """
    asked = index.check(frames)
    index = index.with_headers(asked, ranges)
    starts = starts_of(index)
    return np.array([span_for(index, starts.of(frame), [frame]).cost for frame in asked], np.int64)


def nearest_cheap_frames(
    index: VideoIndex, pts_ns: ArrayLike, tolerance_ns: int, ranges: Ranges | None = None
) -> NDArray[np.int64]:
    """For each time a frame that is cheap to reach and on screen at most `tolerance_ns` nanoseconds from it: int64[n].

    Of all frames within the tolerance it is one that the decoder must be fed the fewest packets for (a keyframe, or one
    soon behind it), and of equally cheap ones the nearest; none whose packets are known to depend on missing ones,
    unless there is no other. Each time is looked at by itself. `index.pts_ns[frames]` are the times that were chosen.
    A tolerance of 0 gives the frames of `VideoIndex.frames_at`. Of packets whose headers have not been read yet, those
    are keyframes that the container marks; headers are read only for times without a keyframe within the tolerance,
    from `ranges` what those have of the file.
    Raises `InvalidReferenceError` (a `ValueError`) for a negative tolerance, and `TimestampError`.
    """
    within = tolerance(tolerance_ns)
    exact = index.frames_at(pts_ns).tolist()
    begin, end = index.span_ns()
    times = [int(time) for time in np.asarray(pts_ns, dtype=object).reshape(-1)]
    first = index.frames_at([max(begin, time - within) for time in times])
    last = index.frames_at([min(end - 1, time + within) for time in times])
    alone = _decodable_alone(index)
    candidates: list[Sequence[int]] = []
    for low, at, high in zip(first.tolist(), exact, last.tolist(), strict=True):
        behind = bisect_right(alone, at)
        # None is cheaper than these, and any other of them is further off than the next on its side.
        nearest = [frame for frame in alone[max(behind - 1, 0) : behind + 1] if low <= frame <= high]
        candidates.append(nearest or range(low, high + 1))
    weighed = sorted(set().union(*(near for near in candidates if isinstance(near, range) and len(near) > 1)))
    cost = dict(zip(weighed, packets_to_feed(index, weighed, ranges).tolist(), strict=True))
    lost = cut_off(index.with_headers(()), weighed)
    chosen = [
        min(near, key=lambda frame, at=at: (frame in lost, cost.get(frame, 1), abs(frame - at)))  # type: ignore[misc]
        for near, at in zip(candidates, exact, strict=True)
    ]
    return np.array(chosen, np.int64)


def _decodable_alone(index: VideoIndex) -> list[int]:
    """The frames that take no packet but their own, ascending; of headers not read yet the container is believed."""
    index = index.with_headers(())  # what is known by now
    table, rows = index.packets, index.packet_of
    is_start = np.zeros(len(table), np.bool_)
    is_start[start_points(index)] = True
    is_alone = np.where(table.scanned_from < 0, table.is_key, is_start)
    alone: list[int] = np.flatnonzero(is_alone[rows] & (table.last_of_frame(rows) == rows)).tolist()
    return alone
