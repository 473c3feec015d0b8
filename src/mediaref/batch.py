"""Many references at once: grouped by file, each file opened and decoded once, results in the order asked."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from contextvars import copy_context
from functools import partial
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mediaref.arguments import tolerance
from mediaref.decoding import Decoding, Options
from mediaref.errors import InvalidReferenceError, InvalidTypeError, MediaRefError
from mediaref.forks import of_one_process
from mediaref.normal_form import normal_form
from mediaref.one_file import Outcome, costs_of_video, frames_asked, frames_of_video, pixels_of_file, positions_by_frame
from mediaref.ref import MediaRef
from mediaref.storage import StorageOptions, locate, shorten
from mediaref.storage.access import held_to_policies
from mediaref.threads import resolve_threads

if TYPE_CHECKING:
    from mediaref.bitcost import BitCost
    from mediaref.video_decoder.backends import OutputFormat
    from mediaref.video_decoder.base import BatchDecodingStrategy

OnError = Literal["raise", "skip"]
_Result = TypeVar("_Result")

_log = logging.getLogger("mediaref")

_SECOND = 1_000_000_000
#: Requests that `iter_decode` looks at together where they jump between files or back in time.
_WINDOW = 32


def load(
    ref: MediaRef,
    decoding: Decoding,
    *,
    tolerance_ns: int,
    threads: int | None,
    storage_options: StorageOptions | None,
) -> NDArray[Any]:
    """The pixels of one reference; see `MediaRef.to_ndarray`."""
    if ref.pts_ns is None:
        with _saying(f"Failed to load image from {shorten(ref.uri)}"):
            return decoding.image(locate(ref.uri, storage_options).read())
    with _saying(f"Failed to load frame at {_seconds(ref)} from {shorten(ref.uri)}"):
        (pixels,) = frames_of_video(decoding, tolerance_ns, [(0, ref)], threads, storage_options).values()
        if isinstance(pixels, MediaRefError):
            raise pixels
        result: NDArray[Any] = pixels
        return result


def load_bit_cost(ref: MediaRef, *, storage_options: StorageOptions | None) -> BitCost:
    """The bit costs of one reference; see `MediaRef.to_bit_cost`."""
    with _saying(f"Failed to read the bit costs at {_seconds(ref)} from {shorten(ref.uri)}"):
        (cost,) = costs_of_video([(0, ref)], 1, storage_options).values()
        if isinstance(cost, MediaRefError):
            raise cost
        result: BitCost = cost
        return result


def batch_decode(
    refs: Iterable[MediaRef],
    *positional: BatchDecodingStrategy | str | None,
    decoder: str | None = None,
    strategy: BatchDecodingStrategy | str | None = None,
    format: str = "rgb",
    allow_images: bool = False,
    allow_multi_video: bool = False,
    gap_threshold: float = 2.0,
    allow_gap: bool = True,
    output_format: OutputFormat | None = None,
    decoder_options: Options | None = None,
    image_decoder: str | None = None,
    image_decoder_options: Options | None = None,
    tolerance_ns: int = 0,
    threads: int | None = None,
    on_error: OnError = "raise",
    storage_options: StorageOptions | None = None,
) -> list[NDArray[Any]]:
    """Decode many references: a list of uint8 arrays in the order asked, repeats allowed.

    The arrays are `(H, W, 3)` RGB, or as `format` says; see `MediaRef.to_ndarray`, also for the decoders and their
    options. `output_format="native"` is another way to say `format="native"`.

    Each video is read once, and only the packets that the asked frames depend on are decoded. `allow_images` and
    `allow_multi_video` say that references to images, or to more than one file, are meant; `allow_gap=False` refuses
    requests with more than `gap_threshold` seconds between neighbours. With a `tolerance_ns` each reference gives the
    frame that is cheapest to decode within it; `mediaref.nearby` tells which. `threads` None means the CPUs that this
    process may use. With `on_error="skip"` a reference that fails gives None in its place and a warning in the log.
    The decoder may be given as second argument too. A `strategy` of 0.3 there, or by name, changes no pixel, but the
    call is then taken as 0.3 took it: several videos are welcome, and images with a `UserWarning`.
    Raises a `MediaRefError` that is a `ValueError`; a missing file is a `FileNotFoundError` too.
    """
    asked = _checked(refs, on_error)
    decoder, is_asked_as_in_0_3 = _decoder_asked(positional, decoder, strategy)
    format = _format_asked(format, output_format)
    decoding = Decoding.of(format, decoder, decoder_options, image_decoder, image_decoder_options)
    decode_group = partial(pixels_of_file, decoding, tolerance(tolerance_ns))
    if is_asked_as_in_0_3:
        allow_multi_video = True
        if not allow_images and not all(ref.is_video for ref in asked):
            warnings.warn("refs contain images; each is loaded by itself", UserWarning, stacklevel=2)
            allow_images = True
    _check_kinds(asked, allow_images, allow_multi_video)
    if not allow_gap:
        _check_gaps(asked, gap_threshold)
    return _batched(asked, decode_group, threads, on_error, storage_options)


def iter_decode(
    refs: Iterable[MediaRef],
    *,
    format: str = "rgb",
    decoder: str | None = None,
    decoder_options: Options | None = None,
    image_decoder: str | None = None,
    image_decoder_options: Options | None = None,
    tolerance_ns: int = 0,
    threads: int | None = None,
    on_error: OnError = "raise",
    storage_options: StorageOptions | None = None,
) -> Iterator[NDArray[Any]]:
    """As `batch_decode` for images and any number of videos, one array after the other in the order asked.

    Memory stays bounded however many are asked for. References to one video in ascending time are streamed, with up to
    256 MiB of frames decoded ahead if there is more than one thread; others are taken 32 at a time, so requests that
    jump about are best sorted. A process that is forked before the end cannot carry the iterator on
    (`ForkedIteratorError`, a `RuntimeError`).
    """
    asked = _checked(refs, on_error)
    decoding = Decoding.of(format, decoder, decoder_options, image_decoder, image_decoder_options)
    items = held_to_policies(_iterate(asked, decoding, tolerance(tolerance_ns), threads, on_error, storage_options))
    return of_one_process(items, "iter_decode")


def batch_bit_costs(
    refs: Iterable[MediaRef],
    *,
    threads: int | None = None,
    on_error: OnError = "raise",
    storage_options: StorageOptions | None = None,
) -> list[BitCost]:
    """The bit costs of many video frames, in the order asked: each costs one packet read and no decoding.

    Arguments and errors as for `batch_decode`; also `UnsupportedBitstreamError` for codecs whose bits are not read.
    """
    return _batched(_checked(refs, on_error), costs_of_video, threads, on_error, storage_options)


# --- many files --------------------------------------------------------------------------------------------------


def _batched(
    refs: Sequence[MediaRef],
    group_results: Callable[[Sequence[tuple[int, MediaRef]], int, StorageOptions | None], Outcome],
    threads: int | None,
    on_error: OnError,
    storage_options: StorageOptions | None,
) -> list[Any]:
    """Results of all references in their order: files side by side where there are several."""
    groups: dict[str, list[tuple[int, MediaRef]]] = {}
    file_of = {uri: normal_form(uri) for uri in {ref.uri for ref in refs}}
    for position, ref in enumerate(refs):
        groups.setdefault(file_of[ref.uri], []).append((position, ref))
    workers = resolve_threads(threads)

    def outcome(group: Sequence[tuple[int, MediaRef]], share: int) -> Outcome:
        try:
            return group_results(group, share, storage_options)
        except MediaRefError as error:  # the file as a whole
            return dict.fromkeys((position for position, _ in group), error)

    results: list[Any] = [None] * len(refs)
    with ExitStack() as stack:
        run_all: Callable[..., Iterator[Outcome]] = map  # one file needs no thread, and heeds Ctrl-C at once
        if min(workers, len(groups)) > 1:
            run_all = stack.enter_context(ThreadPoolExecutor(workers, thread_name_prefix="mediaref-batch")).map
        share = max(1, workers // max(1, len(groups)))
        contexts = [copy_context() for _ in groups]  # an access policy that is in force here is so in the threads
        for outcomes in run_all(lambda context, group: context.run(outcome, group, share), contexts, groups.values()):
            for position, result in outcomes.items():
                results[position] = _settled(result, refs[position], on_error)
    return results


def _settled(result: _Result | MediaRefError, ref: MediaRef, on_error: OnError) -> _Result | None:
    if not isinstance(result, MediaRefError):
        return result
    if on_error == "raise":
        raise result.within(f"Failed to load batch from '{shorten(ref.uri)}'") from result
    _log.warning("skipped %r: %s", ref, result)
    return None


def _iterate(
    refs: Sequence[MediaRef],
    decoding: Decoding,
    tolerance_ns: int,
    threads: int | None,
    on_error: OnError,
    storage_options: StorageOptions | None,
) -> Generator[Any, None, None]:
    decode_group = partial(pixels_of_file, decoding, tolerance_ns)
    waiting: list[MediaRef] = []
    for run in _runs(refs):
        streamed = len(run) >= _WINDOW and run[0].is_video
        if not streamed:
            waiting += run
        while waiting and (streamed or len(waiting) >= _WINDOW):
            yield from _batched(waiting[:_WINDOW], decode_group, threads, on_error, storage_options)
            del waiting[:_WINDOW]
        if streamed:
            yield from _stream(run, decoding, tolerance_ns, threads, on_error, storage_options)
    if waiting:
        yield from _batched(waiting, decode_group, threads, on_error, storage_options)


def _runs(refs: Sequence[MediaRef]) -> Iterator[list[MediaRef]]:
    """Cut `refs` where the file changes or time goes back."""
    run: list[MediaRef] = []
    for ref in refs:
        goes_on = run and ref.uri == run[-1].uri and (run[-1].pts_ns or 0) <= (ref.pts_ns or 0)
        if run and not (goes_on and ref.is_video == run[-1].is_video):
            yield run
            run = []
        run.append(ref)
    if run:
        yield run


def _stream(
    run: Sequence[MediaRef],
    decoding: Decoding,
    tolerance_ns: int,
    threads: int | None,
    on_error: OnError,
    storage_options: StorageOptions | None,
) -> Iterator[Any]:
    """Frames of one video in ascending time, as they are decoded: `decode_frames` says how many are in memory."""
    from mediaref.video_decoder.index import VideoIndex

    found: Outcome = {}
    try:
        index = VideoIndex.open(run[0].uri, storage_options=storage_options)
        frame_of = frames_asked(index, list(enumerate(run)), found, tolerance_ns)
    except MediaRefError as error:
        yield from (_settled(error, ref, on_error) for ref in run)
        return
    shown_at = positions_by_frame(frame_of)
    with closing(decoding.frames(index, list(shown_at), threads=threads)) as decoded:
        latest, pixels = -1, None
        for position, ref in enumerate(run):
            if position in found:
                yield _settled(found[position], ref, on_error)
            elif frame_of[position] == latest:  # each place has an array of its own
                yield _settled(pixels.copy() if isinstance(pixels, np.ndarray) else pixels, ref, on_error)
            else:
                latest, pixels = next(decoded)
                yield _settled(pixels, ref, on_error)


def _seconds(ref: MediaRef) -> str:
    return "no time" if ref.pts_ns is None else f"{ref.pts_ns / _SECOND}s"


@contextmanager
def _saying(what: str) -> Iterator[None]:
    try:
        yield
    except MediaRefError as error:
        raise error.within(what) from error


# --- checks ------------------------------------------------------------------------------------------------------


def _checked(refs: Iterable[MediaRef], on_error: str) -> list[MediaRef]:
    _check_on_error(on_error)
    if isinstance(refs, (MediaRef, str)) or not isinstance(refs, Iterable):
        raise InvalidTypeError(f"refs must be a list of MediaRef, not {type(refs).__name__}")
    asked = list(refs)
    for position, ref in enumerate(asked):
        if not isinstance(ref, MediaRef):
            raise InvalidReferenceError(f"refs[{position}] is {type(ref).__name__}, not a MediaRef")
    return asked


def _decoder_asked(
    positional: Sequence[BatchDecodingStrategy | str | None],
    decoder: str | None,
    strategy: BatchDecodingStrategy | str | None,
) -> tuple[str | None, bool]:
    """The decoder asked for, `(decoder)` in 1.x and `(strategy, decoder)` in 0.3, and whether it was done as in 0.3."""
    from mediaref.video_decoder.base import BatchDecodingStrategy

    rest = list(positional)
    if rest and (rest[0] is None or isinstance(rest[0], BatchDecodingStrategy)):
        if strategy is not None:
            raise TypeError("batch_decode() got two values for strategy")
        strategy = rest.pop(0)
    if rest and decoder is None:
        decoder = rest.pop(0)
    if rest:
        raise TypeError(
            f"batch_decode() cannot place {rest[0]!r}: it takes a strategy, a decoder, or both in this order"
        )
    BatchDecodingStrategy.check(strategy)
    return decoder, strategy is not None


def _format_asked(format: str, output_format: str | None) -> str:
    if output_format not in {None, "rgb", "native"}:
        raise InvalidReferenceError(f"output_format must be 'rgb' or 'native', not {output_format!r}; see format")
    if output_format == "native":
        if format not in {"rgb", "native"}:
            raise InvalidReferenceError(f"Conflicting format {format!r} and output_format {output_format!r}")
        return "native"
    return format


def _check_on_error(on_error: str) -> None:
    if on_error not in {"raise", "skip"}:
        raise InvalidReferenceError(f"on_error is {on_error!r}; choose raise or skip")


def _check_kinds(refs: Sequence[MediaRef], allow_images: bool, allow_multi_video: bool) -> None:
    if not allow_images and any(not ref.is_video for ref in refs):
        raise InvalidReferenceError("refs contain images, which allow_images=False refuses; pass allow_images=True")
    videos = {normal_form(uri) for uri in {ref.uri for ref in refs if ref.is_video}}
    if len(videos) > 1 and not allow_multi_video:
        raise InvalidReferenceError(
            f"refs point into {len(videos)} videos, which allow_multi_video=False refuses; pass allow_multi_video=True"
        )


def _check_gaps(refs: Sequence[MediaRef], gap_threshold: float) -> None:
    for uri, group in groupby(sorted(refs, key=lambda ref: ref.uri), key=lambda ref: ref.uri):
        times = sorted(ref.pts_ns for ref in group if ref.pts_ns is not None)
        widest = max((later - earlier for earlier, later in pairwise(times)), default=0)
        if widest > gap_threshold * _SECOND:
            raise InvalidReferenceError(
                f"{shorten(uri)}: {widest / _SECOND:.3f} s between two refs is over gap_threshold={gap_threshold}, "
                "which allow_gap=False refuses"
            )
