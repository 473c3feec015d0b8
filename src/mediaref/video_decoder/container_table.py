"""What a video holds as its container's own tables tell it: nothing of the media data but the first packet is read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mediaref.containers.matroska import Segment
from mediaref.containers.mp4 import Movie, PlainTrack
from mediaref.errors import CorruptMediaError, UnsupportedBitstreamError
from mediaref.storage import Source
from mediaref.storage.ranges import Ranges
from mediaref.video_decoder.container import opened
from mediaref.video_decoder.contents import Contents, check_limits
from mediaref.video_decoder.headers import FirstHeaders
from mediaref.video_decoder.packet_tables import ToldPackets, packets_of_movie, packets_of_segment, packets_of_track
from mediaref.video_decoder.packets import PARSED_CODECS, PacketTable
from mediaref.video_decoder.padded_packet import padded_packet
from mediaref.video_decoder.parameter_sets import decoder_headers
from mediaref.video_decoder.picture import Picture
from mediaref.video_decoder.warm_memory import keep_warm

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_log = logging.getLogger("mediaref")

#: Sample entries that promise that no parameter set comes with the samples (ISO/IEC 14496-15).
CONSTANT_SETS = frozenset({"avc1", "hvc1", "dva1", "dvh1"})

#: Bytes of the arrays that are made of a byte of a file's table.
_ARRAYS_A_TABLE = 16


def read_container_table(source: Source, ranges: Ranges, around: Sequence[int] = (), reach: int = 0) -> Contents | None:
    """The contents of `source` from its own tables and its first packet; None where they do not tell everything.

    Of a remote file that has no table of all its packets it may be those `around` some times, and as far as `reach`
    behind them or the next keyframe, in nanoseconds.
    `ranges` are those of the file. Raises what reading it raises, and `LimitExceededError`.
    """
    if not ranges.is_sized():
        return None  # a server that does not tell the size has no ranges either
    tables = Movie.read(ranges) or Segment.read(ranges)
    if tables is None:
        return None
    keep_warm(len(tables.content) * _ARRAYS_A_TABLE)
    if around and isinstance(tables, Segment):
        tables = tables.around(ranges, around, reach)
    track = tables.plain_track() if isinstance(tables, Movie) else None
    try:
        with _opened(source, tables, track) as (container, stream):
            # Of these every sample of an MP4 file, and every block of a Matroska file, is one packet that FFmpeg hands
            # on as it is, and presents as one frame.
            if stream.codec_context.codec.canonical_name not in PARSED_CODECS:
                return None
            if track is not None:
                told = packets_of_track(track, Fraction(stream.time_base or 1), source.name)
            elif isinstance(tables, Movie):
                told = packets_of_movie(stream, tables, source.name)
            else:
                told = packets_of_segment(container, stream, tables, ranges)
            track_id = stream.id if track is None else track.id
            return None if told is None else _contents(source, tables, track_id, told, stream, ranges)
    except (CorruptMediaError, UnsupportedBitstreamError) as error:
        _log.debug("%s; reading the packets instead", error)
        return None


def _opened(
    source: Source, tables: Movie | Segment, track: PlainTrack | None
) -> AbstractContextManager[tuple[InputContainer, VideoStream]]:
    if track is not None:
        return opened(Source(source.uri, data=tables.description(track.id)), is_checked=True)
    if isinstance(tables, Segment) and not tables.tells_durations():
        return opened(source)  # FFmpeg makes out a rate from the first frames
    return opened(Source(source.uri, data=tables.content), is_checked=True)


def _contents(
    source: Source, tables: Movie | Segment, track_id: int, told: ToldPackets, stream: VideoStream, ranges: Ranges
) -> Contents | None:
    if not _is_ordinary(told.table):
        return None
    codec = stream.codec_context.codec.canonical_name
    table = told.table
    check_limits(table, None, source.name)
    first = ranges.read(int(table.position[0]), int(table.size[0]))
    if len(first) < table.size[0]:
        return None
    extradata = stream.codec_context.extradata or b""
    known = FirstHeaders.read(codec, extradata, first)
    parser, table = known.parser, known.put_into(table)
    is_order_known = told.is_order_told or parser.is_shown_as_decoded or len(table) == 1
    if parser.may_code_fields or not is_order_known:
        return None
    headers = {0: decoder_headers(codec, first, extradata)} if known.steady_sets else {}
    if not table.is_idr[0]:
        return None
    picture = Picture.told(stream, known.format, tables.display_matrix(track_id))
    if picture is None:
        packet = padded_packet(first)
        packet.is_keyframe = True
        picture = Picture.of_first(stream, [packet])
    if picture is None:
        return None
    check_limits(table, picture, source.name)
    _noted_missing(table, ranges)
    return Contents(
        codec=codec,
        stream=told.stream,
        time_base=Fraction(stream.time_base or 1),
        average_rate=told.average_rate,
        picture=picture,
        packets=table,
        parser=parser,
        extradata=extradata,
        headers=headers,
        has_side_data=False,
        has_constant_sets=stream.codec_context.codec_tag in CONSTANT_SETS,
        is_directly_readable=True,
        file_size=ranges.size,
        description=tables.description(track_id),
        decoder=stream.codec_context,
        parts=tables.parts if isinstance(tables, Segment) else None,
    )


def with_missing_packets(scanned: PacketTable, stream: VideoStream, source: Source, ranges: Ranges) -> PacketTable:
    """`scanned`, from a pass over the packets, and those behind the end of the file that an MP4 file's tables tell of.

    Without them the frames beside theirs would be taken for them.
    """
    if not ranges.is_sized() or (
        len(scanned) >= stream.frames and int((scanned.position + scanned.size).max()) < ranges.size
    ):
        return scanned
    movie = Movie.read(ranges)
    told = None if movie is None else packets_of_movie(stream, movie, source.name)
    if told is None:
        return scanned
    table = told.table
    missing = _noted_missing(table, ranges)
    left = int(missing.argmax())
    is_same = all(np.array_equal(getattr(scanned, of)[:left], getattr(table, of)[:left]) for of in ("position", "pts"))
    if not missing.any() or not is_same:
        return scanned
    # There are no headers to read; their order is that of their times.
    rest = replace(
        table, scanned_from=np.zeros_like(table.scanned_from), sequence=table.sequence + scanned.sequence.max() + 1
    )
    names = [column.name for column in fields(PacketTable)]
    return PacketTable(**{name: np.append(getattr(scanned, name)[:left], getattr(rest, name)[left:]) for name in names})


def _noted_missing(table: PacketTable, ranges: Ranges) -> NDArray[np.bool_]:
    """Which packets are not, or not wholly, in the file; a warning in the log counts them."""
    missing = table.position + table.size > ranges.size
    if missing.any():
        count = int(missing.sum())
        _log.warning("%s: the file is cut off: %d of its %d packets are not in it", ranges.name, count, len(table))
    return missing


def _is_ordinary(table: PacketTable) -> bool:
    """Begins with a keyframe that is shown before the others, and no two frames are shown at once."""
    shown = np.sort(table.pts[~table.is_discarded], kind="stable")  # made for what is nearly in order
    return bool(table.is_key[0] and table.pts[0] == table.pts.min() and len(shown) and (np.diff(shown) > 0).all())
