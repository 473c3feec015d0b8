"""Which packets of a video a decoder needs for others, and which frames need some that are missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import CorruptMediaError
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.packets import NO_TIME, PacketTable
from mediaref.video_decoder.starts import exact_from, starts_of


def packets_for(index: VideoIndex, start: int, targets: set[int]) -> Sequence[int]:
    """Rows of the packets that a decoder must be fed from row `start` on to give the pictures of the rows `targets`."""
    rows = range(start, max(targets) + 1)
    if index.parser is None:
        return _without_leading(index.packets, rows, targets)
    # What comes as side data reaches a decoder with its packet alone.
    return rows if index.has_side_data else needed(index.packets, rows, targets, index.packets.depends_on)


def _without_leading(table: PacketTable, rows: range, targets: set[int]) -> Sequence[int]:
    """`rows` without those right behind the first that are shown before it: they depend on what was before it.

    FFmpeg does not show them, but its decoder of MPEG-4 learns from their times how far fields are apart, falsely, and
    then leaves out others.
    """
    if rows.start == 0:
        return rows
    at = rows.start + 1
    while at < rows.stop and at not in targets and NO_TIME < table.pts[at] < table.pts[rows.start]:
        at += 1
    return [rows.start, *range(at, rows.stop)]


def needed(table: PacketTable, rows: range, targets: set[int], links: NDArray[np.int64]) -> list[int]:
    """Those of `rows` that the targets need by `links`, at any remove; always the first one."""
    window = slice(rows.start, rows.stop)
    linked = links[window].tolist()
    is_second = table.is_second_field[window].tolist()
    is_fed = table.picture_type[window] == 0  # whatever such a packet is there for
    is_fed[[0, *(row - rows.start for row in targets)]] = True
    if table.recovery_frames[rows.start]:
        # Decoders show nothing before the picture that completes a gradual refresh, which they find by counting.
        complete = int(exact_from(table, np.array([rows.start]))[0])
        is_fed[: complete + 1 - rows.start] |= table.is_referenced[rows.start : min(complete + 1, rows.stop)]
    is_referenced = table.is_referenced[window].copy()
    second = np.flatnonzero(is_second[1:]) + 1
    is_referenced[second] |= is_referenced[second - 1]
    is_referenced[second - 1] = is_referenced[second]

    found = []
    waited_for = 0  # bit k: something fed depends on the packet k rows before; the sign: on all further back
    for at in range(len(rows) - 1, -1, -1):
        # A frame is fed with both its fields or not at all.
        own = 3 if is_second[at] else 1
        feed = is_fed[at] or (waited_for & own and is_referenced[at])
        if feed:
            found.append(rows[at])
            waited_for |= own
        waited_for >>= 1
        if feed:
            waited_for |= linked[at]
    return found[::-1]


def cut_off(index: VideoIndex, frames: Sequence[int] | NDArray[np.int64]) -> dict[int, CorruptMediaError]:
    """Those of `frames` that cannot be had whatever is decoded, and why: packets that they depend on are missing.

    Asked of the headers read so far; of H.264 they tell, by the numbers of the reference frames. What is missing before
    the packet where decoding of the frame starts does it no harm.
    """
    table = index.packets
    asked = np.asarray(frames, np.int64)
    first = index.packet_of[asked]
    last = table.last_of_frame(first)
    lost: dict[int, CorruptMediaError] = {}
    for frame in asked[np.maximum(table.missing[first], table.missing[last]) >= 0].tolist():
        for row in index.packets_of(frame):
            gap = row - int(table.missing[row])  # row + 1 where there is none
            if gap <= row and starts_of(index).of(frame) < gap:
                lost[frame] = CorruptMediaError(
                    f"{index.source.name}: frame {frame} (packet {row}, byte {int(table.position[row])}) depends on "
                    f"pictures that are missing from the file: some are lost right before packet {gap}; frames before "
                    "them, and those from the next keyframe on, can be read"
                )
                break
    return lost
