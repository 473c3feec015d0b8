"""The packet tables that the tables of containers tell of, before any packet is read."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaref.containers.matroska import Segment
from mediaref.containers.mp4 import Movie
from mediaref.containers.sample_table import SampleTable
from mediaref.storage.ranges import Ranges
from mediaref.video_decoder.packets import NO_TIME, PacketTable, check_count

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.index import IndexEntries
    from av.video.stream import VideoStream


#: How many of a file's samples are compared with what FFmpeg says of them: at each end, and of all its keyframes.
_LOOKED_AT = 32

_Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]


class ToldPackets(NamedTuple):
    """One row for each packet that FFmpeg would give; the columns of what only headers tell say the safe thing."""

    table: PacketTable
    #: The order in which frames are shown is told. Otherwise it must be that of decoding.
    is_order_told: bool


def packets_of_movie(stream: VideoStream, movie: Movie, name: str) -> ToldPackets | None:
    """The packets of a stream of an MP4 file; None where its boxes and FFmpeg's index do not agree.

    FFmpeg's index has the edit lists applied and tells the decoding times, keyframes and what is not shown; the samples
    tell how much later each is presented. Raises `LimitExceededError`.
    """
    entries = stream.index_entries
    check_count(len(entries), name)
    samples = movie.samples(stream.id)
    if len(entries) == 0 or samples is None:
        return None
    columns = _plain_columns(entries, samples) or _columns(entries, samples)
    if columns is None:
        return None
    sample, dts, is_key, is_discarded = columns
    pts = dts if samples.composition_offset is None else dts + samples.decode_shift + samples.composition_offset[sample]
    table = _unread_table(
        pts=pts.copy(),
        dts=dts.copy(),
        duration=samples.duration[sample],
        position=samples.position[sample],
        size=samples.size[sample],
        is_key=is_key,
        is_discarded=is_discarded,
    )
    return ToldPackets(table, samples.composition_offset is not None)


def packets_of_segment(
    container: InputContainer, stream: VideoStream, segment: Segment, ranges: Ranges
) -> ToldPackets | None:
    """The packets of a stream of a Matroska file, whose blocks are read for it; None where that is left to FFmpeg.

    Blocks tell no decoding times. Where they do not tell durations either, those are what FFmpeg makes out.
    Raises what reading raises, and `LimitExceededError`.
    """
    if stream.time_base != Fraction(segment.tick, 1_000_000_000):
        return None
    frames = segment.frames(ranges, stream.index)
    if frames is None:
        return None
    position, size, pts, duration, key = np.array(frames, np.int64).T
    if not segment.tells_durations():
        duration = np.where(duration > 0, duration, _guessed_durations(container, stream, len(frames)))
    table = _unread_table(
        pts=pts.copy(),
        dts=np.full(len(pts), NO_TIME, np.int64),
        duration=duration.copy(),
        position=position.copy(),
        size=size.copy(),
        is_key=key.astype(np.bool_),
        is_discarded=np.zeros(len(pts), np.bool_),
    )
    return ToldPackets(table, bool((np.diff(pts) < 0).any()))


def _guessed_durations(container: InputContainer, stream: VideoStream, count: int) -> NDArray[np.int64]:
    """What FFmpeg gives `count` packets for durations: 0 at first, and what it takes for the rate from then on."""
    durations = np.zeros(count, np.int64)
    packets = (packet for packet in container.demux(stream) if packet.size)
    for row, packet in enumerate(packets):
        if packet.duration:
            durations[row:] = packet.duration
            break
    return durations


def _unread_table(
    *,
    pts: NDArray[np.int64],
    dts: NDArray[np.int64],
    duration: NDArray[np.int64],
    position: NDArray[np.int64],
    size: NDArray[np.int64],
    is_key: NDArray[np.bool_],
    is_discarded: NDArray[np.bool_],
) -> PacketTable:
    count = len(pts)
    return PacketTable(
        pts=pts,
        dts=dts,
        duration=duration,
        position=position,
        size=size,
        is_key=is_key,
        is_discarded=is_discarded,
        has_picture=np.ones(count, np.bool_),
        is_second_field=np.zeros(count, np.bool_),
        is_referenced=np.ones(count, np.bool_),
        depends_on=np.full(count, -1, np.int64),
        is_idr=np.zeros(count, np.bool_),
        is_recovery_point=np.zeros(count, np.bool_),
        recovery_frames=np.zeros(count, np.int32),
        picture_type=np.zeros(count, np.uint8),
        parameter_sets=np.zeros(count, np.int32),
        poc=np.zeros(count, np.int32),
        sequence=np.zeros(count, np.int32),
        scanned_from=np.full(count, -1, np.int32),
    )


def _plain_columns(entries: IndexEntries, samples: SampleTable) -> _Columns | None:
    """As `_columns` where FFmpeg's entries are the samples one by one, of which a few are looked at: each takes time.

    What an edit list does to a single stretch shows at its ends.
    """
    count = len(entries)
    if samples.is_key is None or samples.in_fragments or count != len(samples):
        return None
    if (np.diff(samples.position) <= 0).any():
        return None
    dts = np.cumsum(samples.duration) - samples.duration + entries[0].timestamp
    rows, keys = np.arange(count), np.flatnonzero(samples.is_key)
    some = np.unique(np.concatenate([rows[:_LOOKED_AT], rows[-_LOOKED_AT:], keys[:: -(-len(keys) // _LOOKED_AT)]]))
    told = [(e.pos, e.size, e.timestamp, e.is_keyframe, e.is_discard) for e in map(entries.__getitem__, some.tolist())]
    ours = [samples.position, samples.size, dts, samples.is_key, np.zeros(count, np.bool_)]
    if told != list(zip(*(column[some].tolist() for column in ours), strict=True)):
        return None
    return rows, dts, samples.is_key.copy(), np.zeros(count, np.bool_)


def _columns(entries: IndexEntries, samples: SampleTable) -> _Columns | None:
    """Of all of FFmpeg's entries: the row of its sample, the decoding time, the marks of keyframes and of what is not
    shown. None where an entry is no such sample.
    """
    columns = [(e.pos, e.size, e.timestamp, e.is_keyframe, e.is_discard) for e in entries]
    position, size, dts, key, discard = np.array(columns, np.int64).T
    sample = _samples_of(position, samples)
    if sample is None or (samples.size[sample] != size).any():
        return None
    return sample, dts, key.astype(np.bool_), discard.astype(np.bool_)


def _samples_of(position: NDArray[np.int64], samples: SampleTable) -> NDArray[np.int64] | None:
    """Rows of `samples` that FFmpeg's entries at these positions stand for; None where they are no such samples.

    Edit lists may leave out and repeat what the `moov` box tells of, but nothing that fragments do.
    """
    count = len(samples) - samples.in_fragments
    order = np.argsort(samples.position[:count], kind="stable")
    places = samples.position[order]
    described = position[: max(len(position) - samples.in_fragments, 0)]
    if (np.diff(places) <= 0).any() or (len(described) and not count):
        return None
    found = order[np.minimum(np.searchsorted(places, described), count - 1)]
    sample = np.append(found, np.arange(count, len(samples)))
    if len(sample) != len(position) or ((samples.position - samples.displacement)[sample] != position).any():
        return None
    return sample
