"""Files that make a reader open other files or connections: here they do not, and it is watched that they do not."""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image
from web_server import WebServer

from mediaref import DataURI, MediaRef
from mediaref.errors import MediaRefError
from mediaref.storage import AccessPolicy

Clip = Callable[[str], Path]

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="files are watched with inotify")

_IN_OPEN = 0x20


class Watch:
    """Tells which files of a folder were opened, by anybody, in whatever language."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._descriptor >= 0
        assert self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _IN_OPEN) >= 0

    def opened(self) -> set[str]:
        """Names opened since the last call."""
        names = set()
        while select.select([self._descriptor], [], [], 0)[0]:
            events = os.read(self._descriptor, 1 << 16)
            while events:
                *_, length = struct.unpack_from("iIII", events)
                names.add(events[16 : 16 + length].rstrip(b"\0").decode())
                events = events[16 + length :]
        return names - {""}

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.fixture
def others(tmp_path: Path, clip: Clip) -> Path:
    """A folder of files that a hostile one may point at."""
    folder = tmp_path / "others"
    folder.mkdir()
    shutil.copy(clip("transport"), folder / "a.ts")
    shutil.copy(clip("plain"), folder / "a.mp4")
    for number in range(3):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(folder / f"frame{number}.png")
        Image.new("RGB", (16, 16), (number, 0, 0)).save(folder / f"frame{number}.jpg")
    return folder


@pytest.fixture
def watch(others: Path) -> Iterator[Watch]:
    watch = Watch(others)
    yield watch
    watch.close()


@contextmanager
def listening() -> Iterator[tuple[int, Callable[[], bool]]]:
    """A port, and whether anybody has knocked at it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1], lambda: bool(select.select([server], [], [], 0)[0])


def playlist(target: str) -> str:
    return f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.3,\n{target}\n#EXT-X-ENDLIST\n"


def dash(target: str) -> str:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1" codecs="avc1.64001f" width="176" '
        f'height="144"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>'
    )


SDP = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
)

#: Name of the file, and what it says for a target (an absolute path, a path beside it or a url).
HOSTILE: dict[str, Callable[[str], str]] = {
    "list.m3u8": playlist,
    "list.mp4": playlist,
    "master.m3u8": lambda target: f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n",
    "keys.m3u8": lambda target: playlist("none.ts").replace(
        "#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF'
    ),
    "join.ffconcat": lambda target: f"ffconcat version 1.0\nfile '{target}'\n",
    "join.mp4": lambda target: f"ffconcat version 1.0\nfile '{target}'\n",
    "dash.mpd": dash,
    "list.txt": lambda target: f"file '{target}'\n",
    "redirect.asx": lambda target: f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
    "redirect.asf": lambda target: f"[Reference]\nRef1={target}\n",
    "redirect.ram": lambda target: target,
    "drawing.svg": lambda target: f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}"/></svg>',
    "print.eps": lambda target: f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({target}) run\nshowpage\n",
}


def read_in_every_way(path: Path, server: WebServer | None = None) -> None:
    """As an image, as a video, as bits: from the disk, through a server and out of a data URI."""
    uris: list[Any] = [str(path), path.as_uri(), DataURI.from_file(path, "png")]
    if server is not None:
        uris.append(server.url(f"files/{path.name}"))
    for uri in uris:
        for ref in (MediaRef(uri=uri), MediaRef(uri=uri, pts_ns=0)):
            for read in (ref.to_ndarray, ref.to_bit_cost):
                with pytest.raises(MediaRefError):
                    read()


def test_the_watch_sees_what_ffmpeg_opens(others: Path, watch: Watch, tmp_path: Path) -> None:
    """The measure is measured: a plain reader does open what these files name."""
    for name, text in (
        ("list.m3u8", playlist(str(others / "a.ts"))),
        ("join.ffconcat", HOSTILE["join.ffconcat"]("a.ts")),
    ):
        path = (tmp_path if "m3u8" in name else others) / name
        path.write_text(text)
        watch.opened()
        with av.open(str(path)) as container:
            assert container.streams.video
        assert "a.ts" in watch.opened()


@pytest.mark.parametrize("name", HOSTILE)
def test_no_file_that_another_names_is_opened(name: str, others: Path, watch: Watch, tmp_path: Path) -> None:
    write = HOSTILE[name]
    for target in (
        str(others / "a.ts"),
        "others/a.ts",
        f"file:{others}/a.ts",
        f"subfile,,start,0,end,9,,:{others}/a.ts",
    ):
        path = tmp_path / name
        path.write_text(write(target))
        with WebServer(tmp_path).running() as server:
            read_in_every_way(path, server)
    path = others / name
    path.write_text(write("a.ts"))
    read_in_every_way(path)
    assert watch.opened() == {name}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_connection_that_a_file_names_is_made(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with listening() as (port, knocked):
        for scheme in ("http", "tcp", "rtsp"):
            path.write_text(HOSTILE[name](f"{scheme}://127.0.0.1:{port}/a.ts"))
            read_in_every_way(path)
        assert not knocked()
        socket.create_connection(("127.0.0.1", port)).close()
        assert knocked()


def test_a_session_description_opens_no_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1] & ~1
    path = tmp_path / "session.sdp"
    path.write_text(SDP.format(port=port))
    read_in_every_way(path)


@pytest.mark.parametrize("name", ["frame%d.png", "frame%d.jpg", "frame*.png", "a.mp4|a.ts", "concat:a.ts|a.mp4"])
def test_a_name_that_is_a_pattern_or_a_list_is_one_file(
    name: str, others: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(others)
    (others / name).write_bytes((others / "frame0.png").read_bytes())
    for uri in (name, str(others / name)):
        watch.opened()
        assert MediaRef(uri=uri).to_ndarray().shape == (16, 16, 3)
        with pytest.raises(MediaRefError):
            MediaRef(uri=uri, pts_ns=0).to_ndarray()
        assert watch.opened() == {name}


@pytest.mark.parametrize("form", ["url ", "alis"])
def test_data_of_a_track_in_another_file_is_not_read(form: str, others: Path, watch: Watch, clip: Clip) -> None:
    """A MOV whose track says that its samples lie in another file."""
    data = clip("plain").read_bytes()
    target = b"a.mp4"
    if form == "url ":
        entry = struct.pack(">I4sI", 12 + len(target) + 1, b"url ", 0) + target + b"\0"
    else:
        record = bytes(8) + bytes(138) + struct.pack(">HH", 2, len(target)) + target + b"\0\xff\xff\0\0"
        entry = struct.pack(">I4sI", 12 + len(record), b"alis", 0) + record
    path = others / "borrowed.mov"
    path.write_bytes(_with_data_reference(data, entry))
    watch.opened()
    for ref in (MediaRef(uri=str(path), pts_ns=0), MediaRef(uri=str(path), pts_ns=10**8)):
        for read in (ref.to_ndarray, ref.to_bit_cost):
            with suppress(MediaRefError):
                read()  # the samples of this very file, if any
    assert watch.opened() == {path.name}


def _with_data_reference(data: bytes, entry: bytes) -> bytes:
    """Put `entry` in place of the data reference of the only track, growing the boxes around it (moov comes last)."""
    at = data.index(b"url \0\0\0\1") - 4
    content = bytearray(data[:at] + entry + data[at + 12 :])
    grown = len(entry) - 12
    for name in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        start = content.rindex(name, 0, at + 4) - 4
        (size,) = struct.unpack_from(">I", content, start)
        struct.pack_into(">I", content, start, size + grown)
    assert content.index(b"mdat") < content.index(b"moov")
    return bytes(content)


def test_a_playlist_is_no_way_around_a_policy(others: Path, watch: Watch, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    for name, write in HOSTILE.items():
        (inside / name).write_text(write(str(others / "a.ts")))
        with AccessPolicy(roots=[inside]):
            read_in_every_way(inside / name)
    assert watch.opened() == set()
