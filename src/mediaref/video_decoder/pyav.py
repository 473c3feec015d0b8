"""The PyAV backend: executes decode plans, and gives the frames as arrays."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, suppress
from contextvars import copy_context
from functools import partial
from heapq import heapreplace
from itertools import takewhile
from threading import Event
from typing import Any, BinaryIO, get_args

import numpy as np
from numpy.typing import NDArray

from mediaref.arguments import picture_size
from mediaref.errors import InvalidReferenceError, MediaRefError
from mediaref.forks import of_one_process
from mediaref.storage import Source, StorageOptions
from mediaref.storage.ranges import Ranges
from mediaref.threads import resolve_threads
from mediaref.video_decoder.backends import OutputFormat, check_choice, check_options
from mediaref.video_decoder.base import Backend, Decoded
from mediaref.video_decoder.headers import decoding_runs, unread_runs
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.indexed import IndexedVideoDecoder
from mediaref.video_decoder.native import NativePixels
from mediaref.video_decoder.plan import DecodePlan, Span
from mediaref.video_decoder.span_decoder import SpanDecoder
from mediaref.video_decoder.warm_memory import keep_warm

#: Frames that spans decoded side by side may hold at once; beyond it a video is decoded span by span.
_HELD_BYTES = 256 << 20
#: With less of their time used, spans side by side take longer than one after the other with frame threads.
_BUSY = 0.7
#: A frame thread with fewer packets than this, or fewer pixels (of some 40 ms), is not worth its start: on two free
#: cores 15 and 27 megapixels took longer with two threads than with one, 48 and 59 less.
_PACKETS_A_THREAD = 2
_PIXELS_A_THREAD = 1 << 24
#: Codecs whose pixels FFmpeg's frame threads change: those of MPEG-4 do not tell each other how far fields are apart.
_NO_FRAME_THREADS = frozenset({"mpeg4"})
#: Packets of a remote file that are held at once, those between two keyframes aside.
_FETCHED_BYTES = 32 << 20
#: Of packets whose headers have not been read there are some to spare already: this share of gaps is read along.
_WASTE_OF_UNREAD = 1 / 50
#: How long an iterator that is closed half-way waits for its threads.
_PATIENCE_SECONDS = 1.0

Video = str | os.PathLike[str] | Source | VideoIndex


def backend(options: Mapping[str, Any]) -> Backend:
    """The backend for a call's `decoder_options`. Raises `InvalidReferenceError`."""
    check_options("pyav", options, ("output_format", "expected_pixel_format"))
    output_format, expected = options.get("output_format", "rgb"), options.get("expected_pixel_format")
    check_choice("output_format", output_format, get_args(OutputFormat))
    if output_format == "native":
        return partial(frames_or_errors, native=NativePixels(expected))
    if expected is not None:
        raise InvalidReferenceError("expected_pixel_format requires native output")
    return frames_or_errors


def decode_frames(
    video: Video,
    frames: Iterable[int],
    *,
    threads: int | None = None,
    size: tuple[int, int] | None = None,
    storage_options: StorageOptions | None = None,
) -> Generator[tuple[int, NDArray[np.uint8]], None, None]:
    """Decode some frames of a video: yields `(frame, pixels)` once for each different frame, in display order.

    `frames` are display indices. Pixels are uint8 `(height, width, 3)` RGB, turned as the container says, in arrays
    of their own; `size=(width, height)` scales them by area averaging in the same pass. They are those of a full
    decode, bit for bit. Memory stays bounded however many frames are asked for: a few frames with one thread, up to
    256 MiB of frames decoded ahead with more. `threads` None means the CPUs that this process may use. If the iterator
    is closed half-way they end at the frame that they are at, which is waited for for a second at most. It belongs to
    the process that asks for its first frame: a child forked later gets a `ForkedIteratorError` (a `RuntimeError`).
    Raises what `VideoIndex.open` raises, `FrameIndexError`, `InvalidReferenceError` for what is no frame number or
    size, and `CorruptMediaError` for a frame that gives no picture.
    """
    index = VideoIndex.open(video, storage_options=storage_options)
    return _raising(frames_or_errors(index, frames, threads=threads, size=size))


def frames_or_errors(
    index: VideoIndex,
    frames: Iterable[int],
    *,
    threads: int | None = None,
    size: tuple[int, int] | None = None,
    native: NativePixels | None = None,
    ranges: Ranges | None = None,
    are_kept: bool = False,
) -> Generator[Decoded, None, None]:
    """As `decode_frames`, but a frame that gives no picture has its error in its place, and the rest goes on.

    With `native` frames are given in the samples that they are stored in, and `size` does not apply. What `ranges` has
    of a remote file is not fetched again. Of frames that `are_kept` by who asks any number may be decoded ahead.
    """
    order = sorted(set(index.check(frames)))
    workers = resolve_threads(threads)
    if size is not None:
        size = index.orientation.apply_size(*picture_size(size))
    decode = partial(_decoded, threads=workers, size=size, native=native, are_kept=are_kept)
    if index.source.is_remote and index.is_directly_readable:
        decoded = _from_afar(index, order, decode, ranges)
    else:
        decoded = decode(DecodePlan.of(index, order))
    return of_one_process(_in_order(decoded, order), index.source.name)


def _decoded(
    plan: DecodePlan,
    ranges: Ranges | None = None,
    *,
    threads: int,
    size: tuple[int, int] | None,
    native: NativePixels | None,
    are_kept: bool,
) -> Generator[Decoded, None, None]:
    width, height = size or (plan.index.width, plan.index.height)
    most = max((len(span.frames) for span in plan.spans), default=0)
    frame_bytes = width * height * 3
    keep_warm(sum(len(span.frames) for span in plan.spans) * frame_bytes)
    held = most * frame_bytes * (threads + 1)
    make = partial(SpanDecoder, plan, native=native, ranges=ranges)
    at_once = min(threads, len(plan.spans))
    if at_once > 1 and (are_kept or held <= _HELD_BYTES) and _are_busy(at_once, plan.spans):
        make = partial(make, threads=_frame_threads(plan, threads // at_once))
        return _side_by_side(plan, make, at_once, size)
    return _one_by_one(plan, make(threads=_frame_threads(plan, threads)), size)


def _are_busy(threads: int, spans: Iterable[Span]) -> bool:
    """Whether so many threads, each with a span, are at work most of the time: the longest may take long alone."""
    loads = [0] * threads
    for span in spans:
        heapreplace(loads, loads[0] + span.cost)
    return sum(loads) >= _BUSY * threads * max(loads)


def _frame_threads(plan: DecodePlan, most: int) -> int:
    """With how many threads a decoder is soonest done with the longest span."""
    if plan.index.codec in _NO_FRAME_THREADS:
        return 1
    packets = max((span.cost for span in plan.spans), default=0)
    pixels = packets * plan.index.width * plan.index.height
    return max(1, min(most, packets // _PACKETS_A_THREAD, pixels // _PIXELS_A_THREAD))


def _from_afar(
    index: VideoIndex,
    frames: Sequence[int] | NDArray[np.integer],
    decode: Callable[..., Generator[Decoded]],
    ranges: Ranges | None,
) -> Generator[Decoded, None, None]:
    """Fetch all packets that some frames of a remote file need at once, plan and decode; then those of the next."""
    table = index.packets
    with ExitStack() as own:
        if ranges is None:
            ranges = own.enter_context(Ranges(index.source, index.file_size, index.identity))
        for share in _shares(index, frames):
            ranges.forget(beyond=_FETCHED_BYTES)
            index = index.with_headers(())  # what is known of it by now
            unread = [np.arange(run.start, run.stop) for run in unread_runs(index, share)]
            if unread:
                rows = np.concatenate(unread)
                ranges.fetch(table.position[rows], table.size[rows], _WASTE_OF_UNREAD)
            plan = DecodePlan.of(index, share, ranges)
            ranges.fetch(table.position[plan.packets], table.size[plan.packets])
            yield from decode(plan, ranges)


def _shares(index: VideoIndex, frames: Sequence[int] | NDArray[np.integer]) -> Iterator[list[int]]:
    """`frames` in decoding order, cut between keyframes where their packets become too many to hold."""
    frame_of = {int(index.packet_of[frame]): int(frame) for frame in frames}
    before = np.append(0, np.cumsum(index.packets.size))
    share: list[int] = []
    start = end = held = 0
    for row, run in decoding_runs(index, frames):
        if share and held >= _FETCHED_BYTES and run.start > start:
            yield share
            share, end, held = [], 0, 0
        held += int(before[run.stop] - before[max(run.start, end)])
        start, end = run.start, run.stop
        share.append(frame_of[row])
    if share:
        yield share


def _raising(decoded: Generator[Decoded, None, None]) -> Generator[tuple[int, NDArray[np.uint8]], None, None]:
    with closing(decoded):
        for frame, pixels in decoded:
            if isinstance(pixels, MediaRefError):
                raise pixels
            yield frame, pixels


def _one_by_one(plan: DecodePlan, decoder: SpanDecoder, size: tuple[int, int] | None) -> Generator[Decoded, None, None]:
    with decoder:
        for span in plan.spans:
            yield from decoder.decode(span, size)


def _side_by_side(
    plan: DecodePlan, make: Callable[..., SpanDecoder], threads: int, size: tuple[int, int] | None
) -> Generator[Decoded, None, None]:
    """Spans on `threads` threads, each its decoder; at most one span more than threads is ready or under way."""
    idle: list[SpanDecoder] = []  # whoever takes one out has it for itself; there are as many as threads
    stopped = Event()

    def work(span: Span) -> list[Decoded]:
        try:
            decoder = idle.pop()
        except IndexError:  # they have been closed, and nobody waits for this span
            return []
        try:
            return list(takewhile(lambda _: not stopped.is_set(), decoder.decode(span, size)))
        finally:
            idle.append(decoder)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="mediaref-decode")
    ahead: deque[Future[list[Decoded]]] = deque()
    patience = None
    try:
        for _ in range(threads):
            idle.append(make().__enter__())
        for span in plan.spans:
            ahead.append(pool.submit(copy_context().run, work, span))  # what it reads counts for who asks now
            if len(ahead) > threads:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()
    except GeneratorExit:
        # It may be the garbage collector that closes us, in the middle of whatever it interrupted: a thread that needs
        # a lock which is held there never ends while we wait for it.
        patience = _PATIENCE_SECONDS
        raise
    finally:
        stopped.set()
        wait([future for future in ahead if not future.cancel()], timeout=patience)
        pool.shutdown(wait=patience is None)
        # Some may be in use yet, also by a thread that nobody knows of, as Ctrl-C came while it was started: these are
        # closed by the thread that lets go of them last.
        with ExitStack() as closed, suppress(IndexError):
            while True:
                closed.push(idle.pop())


def _in_order(decoded: Generator[Decoded, None, None], order: Iterable[int]) -> Generator[Decoded, None, None]:
    """Hold back what comes before its turn: in some streams spans overlap a little in display order."""
    early: dict[int, NDArray[Any] | MediaRefError] = {}
    with closing(decoded):
        for frame in order:
            while frame not in early:
                found, pixels = next(decoded)
                early[found] = pixels
            yield frame, early.pop(frame)
        deque(decoded, maxlen=0)  # nothing is left in it, but its threads: they are waited for only at its end


class PyAVVideoDecoder(IndexedVideoDecoder):
    """A video decoded by PyAV. Frames are chosen by the video's index; no file stays open between calls."""

    def __init__(
        self,
        source: str | os.PathLike[str] | BinaryIO,
        *,
        output_format: OutputFormat = "rgb",
        expected_pixel_format: str | None = None,
        threads: int | None = None,
        storage_options: StorageOptions | None = None,
    ) -> None:
        """Index `source`; an open binary file is read into memory. Raises what `VideoIndex.open` raises.

        With `output_format="native"` frames are given in the samples that they are stored in: gray (uint8 or uint16),
        rgb24 and rgba; `expected_pixel_format` then says which.
        """
        options = {"output_format": output_format, "expected_pixel_format": expected_pixel_format}
        super().__init__(source, backend(options), threads=threads, storage_options=storage_options)
        self._is_native = output_format == "native"

    @property
    def _pixel_format(self) -> str | None:
        return self._index.pixel_format if self._is_native else super()._pixel_format
