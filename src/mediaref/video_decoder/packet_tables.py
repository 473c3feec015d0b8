"""The packet tables that the tables of containers tell of, before any packet is read."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaref.containers.matroska import Segment
from mediaref.containers.mp4 import Movie, PlainTrack
from mediaref.containers.sample_table import SampleTable
from mediaref.storage.ranges import Ranges
from mediaref.video_decoder.packets import NO_TIME, PacketTable, check_count

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.index import IndexEntries
    from av.video.stream import VideoStream


#: FFmpeg rounds rates of larger numbers.
_MOST_OF_A_RATE = (1 << 31) - 1

_Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]


class ToldPackets(NamedTuple):
    """One row for each packet that FFmpeg would give; the columns of what only headers tell say the safe thing."""

    #: Number of the stream among all.
    stream: int
    average_rate: Fraction | None
    table: PacketTable
    #: The order in which frames are shown is told. Otherwise it must be that of decoding.
    is_order_told: bool


def packets_of_track(track: PlainTrack, time_base: Fraction, name: str) -> ToldPackets | None:
    """The packets of a track of an MP4 file whose boxes tell everything. Raises `LimitExceededError`."""
    samples = track.samples
    check_count(len(samples), name)
    assert samples.is_key is not None
    rate = len(samples) / (int(samples.duration.sum()) * time_base)
    if max(rate.numerator, rate.denominator) > _MOST_OF_A_RATE:
        return None
    table = _unread_table(
        pts=samples.presentation_times() + track.first_dts,
        dts=np.cumsum(samples.duration) - samples.duration + track.first_dts,
        duration=samples.duration,
        position=samples.position,
        size=samples.size,
        is_key=samples.is_key,
        is_discarded=np.zeros(len(samples), np.bool_),
    )
    return ToldPackets(track.number, rate, table, samples.composition_offset is not None)


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
    columns = _columns(entries, samples)
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
    return ToldPackets(stream.index, _rate(stream), table, samples.composition_offset is not None)


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
    return ToldPackets(stream.index, _rate(stream), table, bool((np.diff(pts) < 0).any()))


def _rate(stream: VideoStream) -> Fraction | None:
    return None if stream.average_rate is None else Fraction(stream.average_rate)


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
    def all_of(value: np.generic) -> NDArray[Any]:
        return np.broadcast_to(value, len(pts))  # takes no memory; what is known of headers is put into a copy

    return PacketTable(
        pts=pts,
        dts=dts,
        duration=duration,
        position=position,
        size=size,
        is_key=is_key,
        is_discarded=is_discarded,
        has_picture=all_of(np.True_),
        is_second_field=all_of(np.False_),
        is_referenced=all_of(np.True_),
        depends_on=all_of(np.int64(-1)),
        predicted_from=all_of(np.int64(-1)),
        has_stand_in=all_of(np.False_),
        missing=all_of(np.int32(-1)),
        is_idr=all_of(np.False_),
        is_recovery_point=all_of(np.False_),
        recovery_frames=all_of(np.int32(0)),
        picture_type=all_of(np.uint8(0)),
        parameter_sets=all_of(np.int32(0)),
        poc=all_of(np.int32(0)),
        sequence=all_of(np.int32(0)),
        scanned_from=all_of(np.int32(-1)),
    )


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
