"""The packet table of an MP4 or MOV file from the file's own tables: nothing of the media data is read for it."""

from __future__ import annotations

import logging
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import CorruptMediaError, UnsupportedBitstreamError
from mediaref.storage import Source
from mediaref.storage.ranges import Ranges
from mediaref.video_decoder.container import import_av, opened
from mediaref.video_decoder.contents import Contents, Picture, check_limits
from mediaref.video_decoder.headers import FirstHeaders
from mediaref.video_decoder.mp4 import Movie
from mediaref.video_decoder.packets import PARSED_CODECS, PacketTable, check_count
from mediaref.video_decoder.parameter_sets import decoder_headers
from mediaref.video_decoder.sample_table import SampleTable

if TYPE_CHECKING:
    from av.index import IndexEntries
    from av.video.stream import VideoStream

_log = logging.getLogger("mediaref")

#: Codecs of which every sample of an MP4 file is one packet that FFmpeg hands on as it is, and presents as one frame.
TABLE_CODECS = frozenset({"h264", "hevc", "vp9", "av1"})
#: Sample entries that promise that no parameter set comes with the samples (ISO/IEC 14496-15).
CONSTANT_SETS = frozenset({"avc1", "hvc1", "dva1", "dvh1"})
#: How many of a file's samples are compared with what FFmpeg says: at each end, all over it, and of the keyframes.
_LOOKED_AT = 64

_Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]


def packet_table(stream: VideoStream, samples: SampleTable, *, are_headers_read: bool) -> PacketTable | None:
    """One row for each packet that FFmpeg would give of `stream`; None where its index and `samples` do not agree.

    FFmpeg's index has the edit lists applied and tells the decoding times, keyframes and what is not shown; `samples`
    tells how much later each is presented. The columns of what only headers tell say the safe thing: with
    `are_headers_read` that of a codec whose headers are not read at all.
    """
    entries = stream.index_entries
    if len(entries) == 0:
        return None
    columns = _plain_columns(entries, samples) or _columns(entries, samples)
    if columns is None:
        return None
    sample, dts, is_key, is_discarded = columns
    pts = dts if samples.composition_offset is None else dts + samples.decode_shift + samples.composition_offset[sample]
    count = len(sample)
    return PacketTable(
        pts=pts.copy(),
        dts=dts.copy(),
        duration=samples.duration[sample],
        position=samples.position[sample],
        size=samples.size[sample],
        is_key=is_key,
        is_discarded=is_discarded,
        has_picture=np.ones(count, np.bool_),
        is_second_field=np.zeros(count, np.bool_),
        is_referenced=np.ones(count, np.bool_),
        depends_on=np.full(count, -1, np.int64),
        is_idr=is_key.copy() if are_headers_read else np.zeros(count, np.bool_),
        is_recovery_point=is_key.copy() if are_headers_read else np.zeros(count, np.bool_),
        recovery_frames=np.zeros(count, np.int32),
        picture_type=np.zeros(count, np.uint8),
        parameter_sets=np.zeros(count, np.int32),
        poc=np.zeros(count, np.int32),
        sequence=np.zeros(count, np.int32),
        scanned_from=np.zeros(count, np.int32) if are_headers_read else np.full(count, -1, np.int32),
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
    spread = np.linspace(0, count - 1, _LOOKED_AT).astype(np.int64)
    keys = np.flatnonzero(samples.is_key)[:: max(1, int(samples.is_key.sum()) // _LOOKED_AT)]
    for at in {*range(count)[:_LOOKED_AT], *range(count)[-_LOOKED_AT:], *spread.tolist(), *keys.tolist()}:
        entry = entries[at]
        told = (entry.pos, entry.size, entry.timestamp, entry.is_keyframe, entry.is_discard)
        if told != (samples.position[at], samples.size[at], dts[at], samples.is_key[at], False):
            return None
    return np.arange(count), dts, samples.is_key.copy(), np.zeros(count, np.bool_)


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


def read_container_table(source: Source) -> Contents | None:
    """The contents of `source` from its own tables and its first packet; None where they do not tell everything.

    Raises what reading the file raises, and `LimitExceededError`.
    """
    size = source.size() if source.is_remote else None
    if source.is_remote and size is None:
        return None  # a server that does not tell the size has no ranges either
    with Ranges(source, size) as ranges:
        movie = Movie.read(ranges)
        if movie is None:
            return None
        try:
            with opened(Source(source.uri, data=movie.content), is_checked=True) as (_, stream):
                return _contents(source, movie, stream, ranges)
        except (CorruptMediaError, UnsupportedBitstreamError) as error:
            _log.debug("%s; reading the packets instead", error)
            return None


def _contents(source: Source, movie: Movie, stream: VideoStream, ranges: Ranges) -> Contents | None:
    codec = stream.codec_context.codec.canonical_name
    check_count(len(stream.index_entries), source.name)
    samples = movie.samples(stream.id) if codec in TABLE_CODECS else None
    if samples is None:
        return None
    is_parsed = codec in PARSED_CODECS
    table = packet_table(stream, samples, are_headers_read=not is_parsed)
    if table is None or not _is_ordinary(table):
        return None
    if int((table.position + table.size).max()) > ranges.size:
        return None  # the file is cut off: a pass over its packets finds out what is left
    check_limits(table, None, source.name)
    first = ranges.read(int(table.position[0]), int(table.size[0]))
    extradata = stream.codec_context.extradata or b""
    parser, headers = None, {}
    if is_parsed:
        known = FirstHeaders.read(codec, extradata, first)
        parser, table = known.parser, known.put_into(table)
        is_order_known = samples.composition_offset is not None or parser.is_shown_as_decoded or len(table) == 1
        if parser.may_code_fields or not is_order_known:
            return None
        if known.steady_sets:
            headers[0] = decoder_headers(codec, first, extradata)
    packet = import_av().Packet(first)
    packet.is_keyframe = True
    picture = Picture.of_first(stream, [packet]) if table.is_idr[0] else None
    if picture is None:
        return None
    check_limits(table, picture, source.name)
    return Contents(
        codec=codec,
        stream=stream.index,
        time_base=Fraction(stream.time_base or 1),
        average_rate=None if stream.average_rate is None else Fraction(stream.average_rate),
        picture=picture,
        packets=table,
        parser=parser,
        extradata=extradata,
        headers=headers,
        has_side_data=False,
        has_constant_sets=stream.codec_context.codec_tag in CONSTANT_SETS,
        is_directly_readable=True,
        file_size=ranges.size,
        description=Source(source.uri, data=movie.description(stream.id)),
        decoder=stream.codec_context,
    )


def _is_ordinary(table: PacketTable) -> bool:
    """Begins with a keyframe that is shown before the others, and no two frames are shown at once."""
    shown = np.sort(table.pts[~table.is_discarded])
    return bool(table.is_key[0] and table.pts[0] == table.pts.min() and len(shown) and (np.diff(shown) > 0).all())
