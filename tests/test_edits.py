"""Edit lists of MP4 files: where a track is shown from end to end, FFmpeg gives the same packets and times."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from two_roads import assert_same, indexed_by_packets

from mediaref import cleanup_cache
from mediaref.containers.mp4 import Movie
from mediaref.errors import MediaRefError
from mediaref.storage import Source
from mediaref.storage.ranges import Ranges
from mediaref.video_decoder import VideoIndex

Clip = Callable[[str], Path]
#: Duration in the movie's time scale, begin in the track's, rate.
Edit = tuple[int, int, int]
_PLAIN_RATE = 1 << 16


def with_edits(content: bytes, edits: Sequence[Edit]) -> bytes:
    """An MP4 file, whose `moov` box is at its end, with another edit list in its first track."""
    entries = b"".join(struct.pack(">IiI", *edit) for edit in edits)
    listed = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(edits)) + entries
    begin = content.index(b"edts") - 4
    end = begin + int.from_bytes(content[begin : begin + 4], "big")
    changed = bytearray(content[:begin] + struct.pack(">I4s", 8 + len(listed), b"edts") + listed + content[end:])
    for kind in (b"moov", b"trak"):
        at = content.index(kind) - 4
        (size,) = struct.unpack_from(">I", content, at)
        struct.pack_into(">I", changed, at, size + len(changed) - len(content))
    return bytes(changed)


def edit_of(content: bytes) -> Edit:
    """The only edit that the muxer wrote."""
    found: Edit = struct.unpack_from(">IiI", content, content.index(b"elst") + 12)
    return found


def is_plain(path: Path) -> bool:
    with Ranges(Source(str(path), path=str(path))) as ranges:
        movie = Movie.read(ranges)
    return movie is not None and movie.plain_track() is not None


@pytest.mark.parametrize("name", ["plain", "no_b", "open_gop", "lossless", "variable_rate", "hevc", "vp9_gops", "long"])
def test_edits_that_show_everything_tell_what_ffmpeg_gives(clip: Clip, tmp_path: Path, name: str) -> None:
    content = clip(name).read_bytes()
    duration, begin, _ = edit_of(content)
    rng = random.Random(name)
    near = [0, 1, 2, 17, 33, 34, 66, 67, 100]
    plain = 0
    for trial in range(40):
        edit = (max(0, duration + rng.choice([-1, 1]) * rng.choice(near)), begin + rng.choice([0, 0, 0, 1, -1, 512]))
        edits: list[Edit] = [(*edit, rng.choice([_PLAIN_RATE] * 9 + [0]))]
        if rng.random() < 0.4:
            edits.insert(0, (rng.choice([1, 7, 500, 3333]), -1, _PLAIN_RATE))
        if rng.random() < 0.1:
            edits.append(edits[-1])
        path = tmp_path / f"{trial}.mp4"
        path.write_bytes(with_edits(content, edits))
        if not is_plain(path):
            continue
        plain += 1
        cleanup_cache()
        try:
            assert_same(VideoIndex.open(path), indexed_by_packets(path))
        except MediaRefError as error:
            pytest.fail(f"{edits}: {error}")
        except AssertionError as error:
            raise AssertionError(f"{edits} of {edit_of(content)}") from error
    assert plain >= 8


def test_edits_that_leave_out_or_repeat_samples_are_left_to_ffmpeg(clip: Clip, tmp_path: Path) -> None:
    content = clip("no_b").read_bytes()
    duration, begin, rate = whole = edit_of(content)
    assert is_plain(clip("no_b"))
    for edits in (
        [],
        [(duration, begin + 512, rate)],
        [(duration - 40, begin, rate)],
        [(duration, begin, 0)],
        [whole, whole],
        [(100, -1, rate), (100, -1, rate), whole],
    ):
        path = tmp_path / "edited.mp4"
        path.write_bytes(with_edits(content, edits))
        assert not is_plain(path), edits
