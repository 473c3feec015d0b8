"""Files that become others while they are read: nothing of the new content is given for the old."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import digest, plain_decode
from web_server import WebServer

from mediaref.bitcost import iter_bit_costs
from mediaref.errors import FileChangedError
from mediaref.video_decoder import VideoIndex, decode_frames, pyav, reader

Clip = Callable[[str], Path]


@pytest.fixture(params=["a file", "a server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Puts a file to where it is read from, and tells its uri."""
    server = WebServer(tmp_path)

    def put(path: Path) -> str:
        shutil.copy(path, tmp_path / path.name)
        return str(tmp_path / path.name) if request.param == "a file" else server.url(f"files/{path.name}")

    with server.running():
        yield put


def _overwrite(path: Path, index: VideoIndex, row: int, other: int) -> None:
    """Put what one packet holds in the place of a larger one, as a sound picture."""
    content = bytearray(path.read_bytes())
    begin, size = int(index.packets.position[row]), int(index.packets.size[row])
    there = int(index.packets.position[other])
    smaller = content[there : there + int(index.packets.size[other])]
    room = size - len(smaller)
    assert room > 6
    filler = (room - 4).to_bytes(4, "big") + b"\x0c" + b"\xff" * (room - 6) + b"\x80"
    content[begin : begin + size] = smaller + filler
    path.write_bytes(content)


def test_a_frame_that_is_overwritten_between_two_reads_is_not_given(
    place: Callable[[Path], str], clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyav, "_FETCHED_BYTES", 1)
    uri = place(clip("long"))
    index = VideoIndex.open(uri).with_headers()
    keys = np.flatnonzero(index.packets.is_idr)
    largest, smallest = (
        int(keys[1:][index.packets.size[keys[1:]].argmax()]),
        int(keys[index.packets.size[keys].argmin()]),
    )
    target = int(np.flatnonzero(index.packet_of == largest)[0])
    decoded = decode_frames(index, [0, target], threads=1)
    next(decoded)
    _overwrite(tmp_path / "long.mp4", index, largest, smallest)
    with pytest.raises(FileChangedError, match=r"long\.mp4: has changed"):
        next(decoded)


@pytest.mark.parametrize(
    ("name", "work"), [("long", decode_frames), ("long", iter_bit_costs), ("transport", decode_frames)]
)
def test_a_local_file_is_looked_at_whenever_it_is_read(
    clip: Clip, tmp_path: Path, name: str, work: Callable[..., Iterator[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_READ_BYTES", 1)
    path = tmp_path / clip(name).name
    shutil.copy(clip(name), path)
    index = VideoIndex.open(path).with_headers()
    found = work(index, range(len(index)), threads=1)
    next(found)
    with path.open("r+b") as file:
        file.write(b"\0" * 8)
    with pytest.raises(FileChangedError, match="has changed"):
        list(found)


def test_what_is_put_in_the_place_of_a_file_that_is_read_does_not_disturb(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    shutil.copy(clip("long"), path)
    index = VideoIndex.open(path)
    plain = plain_decode(clip("long"), index).pixels
    decoded = decode_frames(index, [0, 100, 200], threads=1)
    found = [next(decoded)]
    shutil.copy(clip("plain"), tmp_path / "other.mp4").replace(path)
    assert [(frame, digest(pixels)) for frame, pixels in [*found, *decoded]] == [(n, plain[n]) for n in (0, 100, 200)]
    with pytest.raises(FileChangedError):
        list(decode_frames(index, [100], threads=1))
