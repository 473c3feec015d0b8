"""Opening a video with PyAV: the container, its video stream, and errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

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

#: Demuxers that present one still image as a video; a GIF or APNG is a real one.
_IMAGE_FORMATS = ("image2", "_pipe")


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
def opened(source: Source) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container of `source` and its video stream, closed at the end of the block.

    Raises `MediaNotFoundError`, `AccessDeniedError`, `CorruptMediaError` or `MissingDependencyError`. Whatever PyAV
    raises inside the block comes out as one of them too.
    """
    av = import_av()
    with translated_errors(source.name):
        # "file:" keeps FFmpeg from taking a colon in a path for a protocol; the whitelist keeps a playlist at home.
        file: Any = source.open() if source.path is None else f"file:{source.path}"
        if source.path is not None:
            source.open().close()  # for the plain errors: not there, a folder, not allowed
        try:
            container = av.open(file, "r", options={"protocol_whitelist": "file"}, metadata_errors="replace")
        except BaseException:
            if source.path is None:
                file.close()
            raise
        try:
            yield container, video_stream(container, source.name)
        finally:
            container.close()
            if source.path is None:
                file.close()


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The first video stream that is not cover art. Raises `CorruptMediaError` where there is none."""
    if any(mark in container.format.name for mark in _IMAGE_FORMATS):
        raise CorruptMediaError(f"{name}: is an image, not a video; leave pts_ns out to read it as one")
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
