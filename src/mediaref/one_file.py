"""What the references to one file come to: pixels or bit costs, or errors, by their positions in the request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from mediaref.decoding import Decoding
from mediaref.errors import FileChangedError, InvalidReferenceError, MediaRefError
from mediaref.ref import MediaRef
from mediaref.storage import StorageOptions, locate, shorten
from mediaref.storage.ranges import Ranges

if TYPE_CHECKING:
    from mediaref.video_decoder.index import VideoIndex

#: A result or an error for each position.
Outcome = dict[int, Any]


def pixels_of_file(
    decoding: Decoding,
    tolerance_ns: int,
    refs: Sequence[tuple[int, MediaRef]],
    threads: int,
    storage_options: StorageOptions | None,
) -> Outcome:
    """Pixels of references to one file: the frames of a video, the image where there is no time."""
    found: Outcome = {}
    for position, ref in refs:
        if ref.pts_ns is None:
            found[position] = _image_or_error(ref, decoding, storage_options)
    videos = [(position, ref) for position, ref in refs if ref.pts_ns is not None]
    if videos:
        found |= frames_of_video(decoding, tolerance_ns, videos, threads, storage_options)
    return found


def frames_of_video(
    decoding: Decoding,
    tolerance_ns: int,
    refs: Sequence[tuple[int, MediaRef]],
    threads: int | None,
    storage_options: StorageOptions | None,
) -> Outcome:
    """Pixels of frames of one video; each position has an array of its own."""

    def decode(index: VideoIndex, ranges: Ranges) -> Outcome:
        found: Outcome = {}
        shown_at = positions_by_frame(frames_asked(index, refs, found, tolerance_ns, ranges))
        pictures = decoding.frames(index, list(shown_at), threads=threads, ranges=ranges, are_kept=True)
        with closing(pictures) as decoded:
            for frame, pixels in decoded:
                first, *repeats = shown_at[frame]
                found[first] = pixels
                for position in repeats:
                    found[position] = pixels if isinstance(pixels, MediaRefError) else pixels.copy()
        return found

    return _with_index(
        refs,
        storage_options,
        decode,
        tolerance_ns=tolerance_ns,
        may_recall=decoding.is_by_packets,
        may_be_partial=decoding.is_by_packets,
    )


def costs_of_video(
    refs: Sequence[tuple[int, MediaRef]], threads: int, storage_options: StorageOptions | None
) -> Outcome:
    """Bit costs of frames of one video."""
    from mediaref.bitcost import bit_costs_or_errors

    for _, ref in refs:
        if ref.pts_ns is None:
            raise InvalidReferenceError(f"{shorten(ref.uri)}: has no pts_ns; bit costs are those of a video's frame")

    def read(index: VideoIndex, _: Ranges) -> Outcome:
        found: Outcome = {}
        shown_at = positions_by_frame(frames_asked(index, refs, found))
        frames = list(shown_at)
        for frame, cost in zip(frames, bit_costs_or_errors(index, frames, threads=threads), strict=True):
            found.update(dict.fromkeys(shown_at[frame], cost))
        return found

    return _with_index(refs, storage_options, read, may_recall=True, may_be_partial=False)


def _with_index(
    refs: Sequence[tuple[int, MediaRef]],
    storage_options: StorageOptions | None,
    use: Callable[[VideoIndex, Ranges], Outcome],
    *,
    tolerance_ns: int = 0,
    may_recall: bool,
    may_be_partial: bool,
) -> Outcome:
    """What `use` makes of the index of the file that `refs` are in, and of what was fetched of that already.

    Where that `may_recall` it, the index of a remote file is that of the last call, and a request less is waited for:
    `use` finds out if the file has changed since. Where frames' numbers do not matter it `may_be_partial`.
    """
    from mediaref.video_decoder.index import index_of, recalled
    from mediaref.video_decoder.parts import index_around

    source = locate(refs[0][1].uri, storage_options)
    index = recalled(source) if may_recall else None
    if index is not None and all(index.has_frame_at(ref.pts_ns or 0) for _, ref in refs):
        with Ranges(source, index.file_size, index.identity) as ranges:
            found = use(index, ranges)
        if not any(isinstance(each, FileChangedError) for each in found.values()):
            return found
    if may_be_partial:
        with Ranges(source) as ranges:
            index, is_whole = index_around(source, ranges, [ref.pts_ns or 0 for _, ref in refs], tolerance_ns)
            found = use(index, ranges)
        if is_whole or not any(isinstance(each, MediaRefError) for each in found.values()):
            return found  # errors tell the numbers of frames
    index = index_of(source)
    with Ranges(source, index.file_size, index.identity) as ranges:
        return use(index, ranges)


def frames_asked(
    index: VideoIndex,
    refs: Sequence[tuple[int, MediaRef]],
    found: Outcome,
    tolerance_ns: int = 0,
    ranges: Ranges | None = None,
) -> dict[int, int]:
    """Each position's frame, in the order of `refs`; times that no frame has are put into `found` as errors."""
    frame_of: dict[int, int] = {}
    try:
        frames = index.frames_at([ref.pts_ns or 0 for _, ref in refs]).tolist()
        frame_of = dict(zip((position for position, _ in refs), frames, strict=True))
    except MediaRefError:  # there is something about some of them: which?
        for position, ref in refs:
            try:
                frame_of[position] = index.frame_at(ref.pts_ns or 0)
            except MediaRefError as error:
                found[position] = error
    if tolerance_ns and frame_of:
        from mediaref.video_decoder.cheap_frames import nearest_cheap_frames

        times = [ref.pts_ns or 0 for position, ref in refs if position in frame_of]
        return dict(zip(frame_of, nearest_cheap_frames(index, times, tolerance_ns, ranges).tolist(), strict=True))
    return frame_of


def _image_or_error(
    ref: MediaRef, decoding: Decoding, storage_options: StorageOptions | None
) -> NDArray[Any] | MediaRefError:
    try:
        return decoding.image(locate(ref.uri, storage_options).read())
    except MediaRefError as error:
        return error


def positions_by_frame(frame_of: dict[int, int]) -> dict[int, list[int]]:
    """The positions that ask for each frame, in the order of frames."""
    positions: dict[int, list[int]] = {}
    for position, frame in sorted(frame_of.items(), key=lambda item: item[1]):
        positions.setdefault(frame, []).append(position)
    return positions
