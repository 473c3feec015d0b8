"""The torchcodec backend: torchcodec decodes the frames that our index chooses."""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import (
    CorruptMediaError,
    InvalidReferenceError,
    MediaRefError,
    MissingDependencyError,
    TimestampError,
    UnsupportedBitstreamError,
)
from mediaref.forks import of_one_process
from mediaref.storage import StorageOptions
from mediaref.threads import resolve_threads
from mediaref.video_decoder.backends import check_choice, check_options
from mediaref.video_decoder.base import Backend, Decoded
from mediaref.video_decoder.dependencies import cut_off
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.indexed import IndexedVideoDecoder
from mediaref.video_decoder.orientation import Orientation
from mediaref.video_decoder.packets import NO_TIME
from mediaref.video_decoder.presentation import nanoseconds
from mediaref.video_decoder.starts import start_points

_log = logging.getLogger("mediaref")

#: Frames that are asked for at once may take so much memory.
_BATCH_BYTES = 64 << 20
#: Farther than any demuxer seeks past what it is asked for.
_REWIND_SECONDS = 10
#: The process that imported this module; one with another number was forked from it.
_FIRST_PROCESS = os.getpid()
_CPP_PLACE = re.compile(r"^\w+, \S+:\d+, ")
#: Options of `VideoDecoder` that are passed on; what else it has, the index decides.
PASSED_OPTIONS = ("device", "num_ffmpeg_threads", "output_dtype", "seek_mode", "stream_index", "transforms")


def backend(options: Mapping[str, Any]) -> Backend:
    """The backend for a call's `decoder_options`. Raises `InvalidReferenceError` and `MissingDependencyError`."""
    passed = dict(options)
    if passed.pop("output_format", "rgb") != "rgb":
        raise InvalidReferenceError("torchcodec has no native output; decoder='pyav' has")
    check_options("torchcodec", passed, PASSED_OPTIONS)
    check_choice("seek_mode", passed.pop("seek_mode", "exact"), ("exact", "approximate"))
    return LibraryBackend(_torchcodec(), "torchcodec", passed)


def _torchcodec() -> ModuleType:
    try:
        return importlib.import_module("torchcodec.decoders")
    except (ImportError, RuntimeError, OSError) as error:  # where FFmpeg is missing, older ones raise the others
        raise MissingDependencyError(
            "decoder='torchcodec' needs torchcodec and libraries of FFmpeg that it can load: install the extra "
            f"'torchcodec' (pip install 'mediaref[torchcodec]'); patch-torchcodec lends it those of PyAV ({error})"
        ) from error


@dataclass(frozen=True, eq=False)
class LibraryBackend:
    """Decodes by the class `VideoDecoder` of torchcodec, or of a library with the same interface."""

    decoders: ModuleType
    name: str
    #: Passed to it. A `seek_mode` is not: our mappings say where to seek.
    options: Mapping[str, Any]

    def __reduce__(self) -> tuple[Callable[..., LibraryBackend], tuple[str, str, Mapping[str, Any]]]:
        return _of_module, (self.decoders.__name__, self.name, self.options)  # a module cannot be pickled

    def __call__(
        self, index: VideoIndex, frames: Sequence[int] | NDArray[np.integer], *, threads: int | None = None
    ) -> Generator[Decoded, None, None]:
        """See `Backend`. One frame that cannot be had does not take the others with it."""
        order = sorted(set(index.check(frames)))
        if not order:
            return _nothing()
        return of_one_process(self._decoded(index, order, resolve_threads(threads)), index.source.name)

    def _decoded(self, index: VideoIndex, order: list[int], threads: int) -> Generator[Decoded, None, None]:
        index = index.with_headers()
        lost = cut_off(index, order)
        with ExitStack() as files:
            decoder = self.open(index, threads, files)
            for batch in _batches(index, order):
                asked = [frame for frame in batch if frame not in lost]
                found = lost | (_ask(decoder, index, asked) if asked else {})
                missing = [frame for frame in asked if isinstance(found[frame], MediaRefError)]
                found |= self._retried(index, missing, threads)
                yield from ((frame, found[frame]) for frame in batch)

    def _retried(self, index: VideoIndex, frames: list[int], threads: int) -> dict[int, NDArray[Any] | MediaRefError]:
        """What went before may be what went wrong, or the seeking: each frame by a decoder of its own, then those
        that still are not there by one that reads from the start.
        """
        found: dict[int, NDArray[Any] | MediaRefError] = {}
        for frame in frames:
            with ExitStack() as files:
                found |= _ask(self.open(index, threads, files), index, [frame])
        astray = [frame for frame in frames if isinstance(found[frame], MediaRefError)]
        if astray:
            _log.debug("%s: %s does not seek to frames %s", index.source.name, self.name, astray)
            with ExitStack() as files:
                decoder = self.open(index, threads, files, rewinding=True)
                for frame in astray:
                    found |= _ask(decoder, index, [frame], before=1)
        return found

    def open(self, index: VideoIndex, threads: int, files: ExitStack, *, rewinding: bool = False) -> Any:
        """A decoder of the library's own that counts frames as `index` does, or from 1 if it shall read from the
        start, `rewinding`; `files` closes what it reads from.
        """
        options = {"num_ffmpeg_threads": threads, **self.options}
        if options.setdefault("stream_index", index.stream) != index.stream:
            raise InvalidReferenceError(
                f"{index.source.name}: stream_index is {options['stream_index']}, but references point into stream "
                f"{index.stream}"
            )
        source, mappings = index.source, frame_mappings(index, rewinding=rewinding)
        file = files.enter_context(source.open())  # of a local file for the plain errors: not there, not allowed
        # "file:" keeps FFmpeg from taking a colon in a path for a protocol.
        video = source.data or (file if source.path is None else f"file:{source.path}")
        try:
            decoder = self.decoders.VideoDecoder(
                video, dimension_order="NHWC", custom_frame_mappings=mappings, **options
            )
        except (RuntimeError, ValueError, TypeError, OSError) as error:
            message = f"{source.name}: {self.name} cannot open it with {options}: {_essence(error)}"
            raise UnsupportedBitstreamError(message) from error
        if _orientation(decoder.metadata.rotation) != index.orientation:
            raise UnsupportedBitstreamError(
                f"{source.name}: it is to be shown as {index.orientation}, which {self.name} does not apply; "
                "use decoder='pyav'"
            )
        return decoder


def _of_module(module: str, name: str, options: Mapping[str, Any]) -> LibraryBackend:
    return LibraryBackend(importlib.import_module(module), name, options)


def _batches(index: VideoIndex, frames: Sequence[int]) -> Iterator[list[int]]:
    most = max(1, _BATCH_BYTES // (index.width * index.height * 3))
    for begin in range(0, len(frames), most):
        yield list(frames[begin : begin + most])


def _ask(
    decoder: Any, index: VideoIndex, frames: list[int], *, before: int = 0
) -> dict[int, NDArray[Any] | MediaRefError]:
    """The pixels of `frames`, each provably that frame, or why it has none. The decoder counts `before` more first."""
    name = index.source.name
    numbers = [before + frame for frame in frames]
    try:
        with _one_torch_thread_after_a_fork():
            # A batch has one array, made for the size that the header tells; a single frame has the size that it has.
            batch = [decoder.get_frame_at(numbers[0])] if len(frames) == 1 else decoder.get_frames_at(numbers)
    except (RuntimeError, IndexError, ValueError) as error:
        message = f"{name}: frame {frames[0]} does not decode: {_essence(error)}"
        return dict.fromkeys(frames, CorruptMediaError(message))
    times = frame_times(index)
    found: dict[int, NDArray[Any] | MediaRefError] = {}
    for frame, single in zip(frames, batch, strict=True):
        given = round(float(single.pts_seconds) / float(index.time_base))
        alike = np.count_nonzero(times == times[frame])
        if given == times[frame] and alike == 1:
            pixels = _as_numpy(single.data)
            found[frame] = (pixels[..., 0] if pixels.shape[-1] == 1 else pixels).copy()  # that does not keep the batch
        else:
            found[frame] = UnsupportedBitstreamError(
                f"{name}: frame {frame} begins at {times[frame]} x {index.time_base} s, and what the decoder finds for "
                f"it at {given}{' as other frames do' if alike > 1 else ''}: it is not known to be that frame; use "
                "decoder='pyav'"
            )
    return found


@contextmanager
def _one_torch_thread_after_a_fork() -> Iterator[None]:
    """torch's threads do not survive a fork, and a child whose torch waits for them waits for ever."""
    torch = sys.modules.get("torch")
    if torch is None or os.getpid() == _FIRST_PROCESS:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _nothing() -> Generator[Decoded, None, None]:
    yield from ()


def _as_numpy(array: Any) -> NDArray[Any]:
    """A torch tensor of any device, or what is an array already."""
    return np.asarray(array.cpu().numpy() if hasattr(array, "cpu") else array)


def _essence(error: Exception) -> str:
    """The first line of a message, without the place in a C++ file that torchcodec puts in front of it."""
    return _CPP_PLACE.sub("", str(error).strip().partition("\n")[0])


def _orientation(rotation: float | None) -> Orientation:
    """What a counter-clockwise rotation by degrees does."""
    turns = round((rotation or 0) / 90) % 4
    return Orientation(transpose=turns % 2 == 1, flip_rows=turns in {1, 2}, flip_columns=turns in {2, 3})


# --- the frame table as torchcodec takes it --------------------------------------------------------------------------


def frame_times(index: VideoIndex) -> NDArray[np.int64]:
    """int64[n]: when each frame begins, in units of the time base, if the frames' packets say so themselves.

    Raises `TimestampError` and `UnsupportedBitstreamError`.
    """
    name = index.source.name
    if index.pts_ns is None:
        raise TimestampError(f"{name}: the stream has no timestamps, by which torchcodec finds frames; use PyAV")
    times = index.packets.pts[index.packet_of]
    if (times == NO_TIME).any() or not np.array_equal(nanoseconds(times, index.time_base, name), index.pts_ns):
        raise UnsupportedBitstreamError(
            f"{name}: its container stores no presentation times, by which torchcodec finds frames; use decoder='pyav'"
        )
    return times


def frame_mappings(index: VideoIndex, *, rewinding: bool = False) -> str:
    """See `VideoIndex.to_torchcodec_mappings`.

    `rewinding` puts a frame that is not there long before the first and makes it the one to seek to: every seek then
    leads to the start.
    """
    index = index.with_headers()
    times = frame_times(index)
    starts = _seek_points(index, times)
    if rewinding:
        times = np.append(times[0] - int(_REWIND_SECONDS / index.time_base), times)
        starts = np.arange(len(times)) == 0
    lengths = np.append(np.diff(times), max(1, int(index.packets.duration[index.packet_of[-1]])))
    rows = zip(times.tolist(), lengths.tolist(), starts.tolist(), strict=True)
    frames = [{"pts": time, "duration": length, "key_frame": int(start)} for time, length, start in rows]
    return json.dumps({"frames": frames}, separators=(",", ":"))


def _seek_points(index: VideoIndex, times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool[n]: a demuxer that seeks to the frame's time comes to a packet from which all later frames decode."""
    table, rows = index.packets, index.packet_of
    # Every frame shown from here on is decoded from here on.
    starts = np.isin(rows, start_points(index)) & (np.minimum.accumulate(rows[::-1])[::-1] >= rows)
    # Some demuxers look for the decoding time: no later keyframe may be decoded before this one is shown.
    keys = np.flatnonzero(table.is_key)
    decoded = np.where(table.dts[keys] == NO_TIME, table.pts[keys], table.dts[keys])
    soonest = np.append(np.minimum.accumulate(decoded[::-1])[::-1], np.iinfo(np.int64).max)
    sooner: NDArray[np.bool_] = soonest[np.searchsorted(keys, rows, side="right")] > times
    return starts & sooner


class TorchCodecVideoDecoder(IndexedVideoDecoder):
    """A video decoded by torchcodec. Frames are chosen by the video's index; nothing stays open between calls.

    For what else torchcodec's `VideoDecoder` offers, give one `VideoIndex.to_torchcodec_mappings()`.
    """

    _range_begins_on_screen = True

    def __init__(
        self,
        source: str | os.PathLike[str] | BinaryIO,
        *,
        threads: int | None = None,
        storage_options: StorageOptions | None = None,
        **options: Any,
    ) -> None:
        """Index `source`. `options` are those of torchcodec: `device`, `num_ffmpeg_threads`, `transforms`, ...

        Raises what `VideoIndex.open` raises, `InvalidReferenceError` and `MissingDependencyError`.
        """
        super().__init__(source, backend(options), threads=threads, storage_options=storage_options)
