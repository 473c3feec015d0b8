"""Opening a video with PyAV: the container, its video stream, and errors in our words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from mediaref import limits
from mediaref.containers.fragments import check_announcements
from mediaref.errors import (
    AccessDeniedError,
    CorruptMediaError,
    MediaNotFoundError,
    MediaRefError,
    MissingDependencyError,
    UnsupportedBitstreamError,
)
from mediaref.storage import Source
from mediaref.video_decoder.orientation import Orientation

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


def import_av() -> Any:
    """PyAV, or an error that says what to install."""
    try:
        import av
        import av.sidedata.sidedata
    except ImportError as error:
        raise MissingDependencyError(
            "reading video needs PyAV: install the 'video' extra (pip install 'mediaref[video]')"
        ) from error
    return av


@contextmanager
def opened(source: Source, *, is_checked: bool = False) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container of `source` and its video stream, closed at the end of the block.

    What FFmpeg would take on trust is looked at before, unless it `is_checked`. Raises `MediaNotFoundError`,
    `AccessDeniedError`, `CorruptMediaError`, `LimitExceededError` or `MissingDependencyError`. Whatever PyAV raises
    inside the block comes out as one of them too.
    """
    with translated_errors(source.name), ExitStack() as stack:
        file = stack.enter_context(source.open())  # of a local file for the plain errors: a folder, not allowed
        if not is_checked:
            _check(file, source.name)
        container = stack.enter_context(_container(file if source.path is None else source.path, source.name))
        stream = video_stream(container, source.name)
        # For pictures that grow in mid-stream; FFmpeg counts their padding too. The first is looked at in the index.
        stream.codec_context.options = {"max_pixels": str(2 * limits.MAX_FRAME_PIXELS)}
        yield container, stream


def _check(file: BinaryIO, name: str) -> None:
    """Raise `CorruptMediaError` or `LimitExceededError` for what FFmpeg should not be given."""

    def read(position: int, count: int) -> bytes:
        file.seek(position)
        return file.read(count)

    check_announcements(read, file.seek(0, os.SEEK_END), name)
    file.seek(0)


def _container(file: BinaryIO | str, name: str) -> InputContainer:
    """Open a path or a file object and nothing else, whatever its name or its content make FFmpeg wish for."""
    av = import_av()
    is_path = isinstance(file, str)
    options = {
        "protocol_whitelist": "file" if is_path else "none",
        "format_whitelist": ",".join(sorted(limits.VIDEO_CONTAINERS)),
    }
    # Tags that are not UTF-8 must not make a video unreadable. From version 19 on PyAV sees to that by itself.
    lenient = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
    try:
        # "file:" keeps FFmpeg from taking a colon in a path for a protocol.
        opened: InputContainer = av.open(f"file:{file}" if is_path else file, "r", options=options, **lenient)
    except av.error.ArgumentError:
        raise CorruptMediaError(
            f"{name}: is an image, or in a container that is not among mediaref.limits.VIDEO_CONTAINERS; "
            "leave pts_ns out to read an image"
        ) from None
    return opened


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The first video stream that is not cover art. Raises `CorruptMediaError` where there is none."""
    attached = import_av().stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & attached]
    if not streams:
        raise CorruptMediaError(f"{name}: has no video stream")
    if streams[0].codec_context is None:
        raise UnsupportedBitstreamError(f"{name}: this build of FFmpeg has no decoder for its video codec")
    return streams[0]


@contextmanager
def translated_errors(name: str) -> Iterator[None]:
    """Turn what PyAV raises while reading `name` into errors of ours."""
    av = import_av()
    try:
        yield
    except MediaRefError:
        raise
    except av.error.FileNotFoundError as error:
        raise MediaNotFoundError(f"{name}: no such file") from error
    except av.error.PermissionError as error:
        if error.errno == errno.EPERM:  # -1, which decoders give for damage of all kinds
            raise CorruptMediaError(f"{name}: cannot be decoded") from error
        raise AccessDeniedError(f"{name}: permission denied") from error
    except (av.error.DecoderNotFoundError, av.error.PatchWelcomeError) as error:
        raise UnsupportedBitstreamError(f"{name}: {error.strerror or error}") from error
    except av.error.EOFError as error:
        raise CorruptMediaError(f"{name}: ends before its first frame") from error
    except av.error.FFmpegError as error:
        raise CorruptMediaError(f"{name}: not a video that can be read: {error.strerror or error}") from error


def frame_orientation(frame: VideoFrame) -> Orientation:
    """How `frame` is turned for display."""
    matrix = frame.side_data.get(import_av().sidedata.sidedata.Type.DISPLAYMATRIX)
    return Orientation.from_display_matrix(bytes(cast(Any, matrix))) if matrix is not None else Orientation()
