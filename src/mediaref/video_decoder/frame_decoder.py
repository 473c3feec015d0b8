"""`FrameDecoder`: one of FFmpeg's decoders, packets in and pictures out; at hand again for a later call."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mediaref import limits
from mediaref.errors import CorruptMediaError
from mediaref.storage import Source
from mediaref.video_decoder.cache import idle_decoders
from mediaref.video_decoder.container import import_av, opened, translated_errors
from mediaref.video_decoder.padded_packet import padded_packet

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

    from mediaref.video_decoder.index import VideoIndex
    from mediaref.video_decoder.packets import VideoPacket

_log = logging.getLogger("mediaref")

#: Pictures that a decoder has memory for, roughly.
_PICTURES_HELD = 8


class FrameDecoder:
    """One decoder of one video. Not to be shared by threads.

    Packets go in with their row of the packet table as timestamp, so that each picture that comes out is known
    for certain, whatever times the container tells.
    """

    def __init__(
        self, index: VideoIndex, codec: VideoCodecContext, *, threads: int = 1, name: str | None = None
    ) -> None:
        """`codec` is that of the opened stream; `name` that of a decoder which FFmpeg would not choose."""
        #: What messages call the video.
        self.name = index.source.name
        self._headers = index.headers
        self._header_rows = sorted(row for row, headers in index.headers.items() if headers)
        self._next = 0  # rows before this one have been fed, or their headers have
        self._ffmpeg_error = import_av().error.FFmpegError
        self._threads = threads
        self._reorder_depth = index.reorder_depth
        self._other = name
        self._codec = self._set_up(codec)
        #: No packet was refused and no frame missed: it is fit for another call.
        self.is_sound = True
        #: Rows of packets that the decoder may have refused.
        self.refused: set[int] = set()
        self._latest = -1  # row of the packet that was fed last

    def feed(self, row: int, packet: VideoPacket) -> list[VideoFrame]:
        """Decode a packet; gives the pictures that are ready: the `pts` of each is the row of its (first) packet."""
        if self._header_rows:
            packet = self._with_headers(row, packet)
        packet.pts = packet.dts = self._latest = row
        return self._pictures(packet)

    def finish(self) -> list[VideoFrame]:
        """The pictures that are still in the decoder."""
        return self._pictures(None)

    def reset(self) -> None:
        """Forget all pictures: what is fed next must be a start."""
        if self._other is not None:
            self._codec = self._set_up(self._codec)  # libvpx does not forget the alpha of before
        elif self._codec.is_open:
            self._codec.flush_buffers()
            self._codec.reorder_depth = max(self._codec.reorder_depth, self._reorder_depth)

    def _set_up(self, codec: VideoCodecContext) -> VideoCodecContext:
        """The decoder of the stream, or the other one that is asked for, before its first packet."""
        if self._other is not None:
            options = codec.options
            codec = import_av().CodecContext.create(self._other, "r")
            codec.options = options
        if not codec.is_open:
            codec.thread_count = self._threads
            codec.thread_type = "FRAME" if self._threads > 1 else "NONE"
        codec.reorder_depth = max(codec.reorder_depth, self._reorder_depth)
        return codec

    def _pictures(self, packet: VideoPacket | None) -> list[VideoFrame]:
        try:
            return self._codec.decode(packet)
        except self._ffmpeg_error as error:
            self.is_sound = False
            # Each frame thread has a packet, and the error is that of some.
            self.refused.update(range(self._latest - self._threads + 1, self._latest + 1))
            try:
                with translated_errors(self.name):
                    raise error
            except CorruptMediaError as ours:
                _log.warning("%s", ours)  # the frames that are missing because of it are reported by their numbers
                return []

    def _with_headers(self, row: int, packet: VideoPacket) -> VideoPacket:
        """The packet behind the parameter sets of those that were passed over: the ones in force may be among them."""
        begin = bisect_left(self._header_rows, self._next if self._next <= row else 0)
        passed = self._header_rows[begin : bisect_left(self._header_rows, row)]
        self._next = row + 1
        if not passed:
            return packet
        whole = padded_packet(b"".join(map(self._headers.__getitem__, passed)) + bytes(packet))
        whole.is_keyframe = packet.is_keyframe
        for side_data in packet.iter_sidedata():
            whole.set_sidedata(side_data)
        return whole


@contextmanager
def frame_decoder(index: VideoIndex, threads: int, name: str | None = None) -> Iterator[FrameDecoder]:
    """A decoder of a video for a `with` block: one at rest where there is one, as it was when it was made.

    To make one, and to touch its memory for the first time, takes as long as some frames do. Kept are those without
    threads, which neither a fork nor the end of a call harms, of streams that bring no parameter sets that a decoder
    would have to forget, as long as no damage has been met.
    """
    is_kept = threads == 1 and name is None and _is_steady(index)
    decoder = idle_decoders.take(_key(index)) if is_kept else None
    if decoder is None:
        source = index.source
        described = source if index.description is None else Source(source.uri, data=index.description)
        with opened(described) as (_, stream):
            decoder = FrameDecoder(index, stream.codec_context, threads=threads, name=name)
    decoder.name = index.source.name  # the file may have had another one
    yield decoder
    if is_kept and decoder.is_sound:
        _keep(index, decoder)


def keep_decoder(index: VideoIndex, codec: VideoCodecContext) -> None:
    """Have a decoder at hand for the first call: the open one, without threads, that indexing the video has made."""
    if _is_steady(index):
        _keep(index, FrameDecoder(index, codec))


def _keep(index: VideoIndex, decoder: FrameDecoder) -> None:
    decoder.reset()
    idle_decoders.give(_key(index), decoder, index.width * index.height * 3 // 2 * _PICTURES_HELD)


def _is_steady(index: VideoIndex) -> bool:
    """What a decoder was fed of the stream last makes no difference to what it is fed next."""
    return index.parser is not None and len(index.headers) <= 1 and not index.has_side_data


def _key(index: VideoIndex) -> Hashable:
    """What a decoder is made from: the very file, and what it is told."""
    return index.identity, index.reorder_depth, limits.MAX_FRAME_PIXELS
