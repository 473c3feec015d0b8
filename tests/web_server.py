"""A web server for the tests, on a port of its own: honest, forgetful, slow and hostile, by the begin of the path."""

from __future__ import annotations

import gzip
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """Let a server answer on a thread of its own during a `with` block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="web-server")
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class WebServer:
    """Serves the files of a folder. What it was asked is in `requests`: method, path and range, in order."""

    #: Of bodies.
    bytes_sent = 0
    #: Times that a request came while no other was being answered.
    round_trips = 0

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.requests: list[tuple[str, str, str | None]] = []
        self.busy, self.counting = 0, threading.Lock()
        self.holes: set[int] = set()
        self.is_gone = False  # then it hangs up on whoever asks
        self.hang_ups = 0  # times more that it does so to whoever asks for no range
        self.paired: set[str] = set()
        self.pair = threading.Barrier(2, timeout=20)
        self.released = threading.Event()  # set at the end, so that no slow answer outlives its test
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = type("Server", (ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})
        self._server = server((host, 0), type("Handler", (_Handler,), {"site": self}))
        self.port = self._server.server_address[1]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    @contextmanager
    def running(self) -> Iterator[WebServer]:
        with serving(self._server):
            try:
                yield self
            finally:
                self.released.set()


class _Handler(BaseHTTPRequestHandler):
    """`/files/x` with ranges; other first parts of the path misbehave as their methods below say."""

    site: WebServer
    _is_cut = False
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.site.requests.append((self.command, self.path, self.headers.get("Range")))
        if self.site.is_gone or (self.headers.get("Range") is None and self.site.hang_ups > 0):
            self.site.hang_ups -= 1
            self.close_connection = True
            return
        kind, _, rest = unquote(self.path).lstrip("/").partition("/")
        with self.site.counting:
            self.site.round_trips += not self.site.busy
            self.site.busy += 1
        try:
            getattr(self, f"_{kind}")(rest)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with self.site.counting:
                self.site.busy -= 1

    def _files(self, name: str) -> None:
        self._send_file(name, with_ranges=True)

    def _whole(self, name: str) -> None:
        """Says nothing of ranges and ignores them."""
        self._send_file(name, with_ranges=False)

    def _none(self, name: str) -> None:
        """Says that it has no ranges."""
        self._send_file(name, with_ranges=False, **{"Accept-Ranges": "none"})

    def _unsized(self, name: str) -> None:
        """Sends the file without its length."""
        self._head(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self._body((self.site.folder / name).read_bytes())

    def _squeezed(self, name: str) -> None:
        """Compresses what it sends, and gives the length of that."""
        content = gzip.compress((self.site.folder / name).read_bytes())
        self._head(200, **{"Content-Encoding": "gzip", "Content-Length": str(len(content))})
        self.end_headers()
        self._body(content)

    def _redirect(self, target: str) -> None:
        """To the url or path that follows."""
        self._head(302, Location=target if "://" in target else f"/{target}", **{"Content-Length": "0"})
        self.end_headers()

    def _loop(self, count: str) -> None:
        """`/loop/3/files/x` redirects 3 times before it gives the file."""
        left, _, rest = count.partition("/")
        self._redirect(f"loop/{int(left) - 1}/{rest}" if int(left) > 1 else rest)

    def _status(self, code: str) -> None:
        self._head(int(code), **{"Content-Length": "0"})
        self.end_headers()

    def _auth(self, name: str) -> None:
        """Only for those who know the word."""
        if self.headers.get("Authorization") == "Bearer sesame":
            self._files(name)
        else:
            self._status("403")

    def _silent(self, name: str) -> None:
        """Takes the request and never answers."""
        self.site.released.wait(30)
        self.close_connection = True

    def _late(self, name: str) -> None:
        """Thinks for a second about every request."""
        self.site.released.wait(1)
        self._files(name)

    def _far(self, name: str) -> None:
        """Some way off: what is asked in the meantime is asked at once."""
        self.site.released.wait(0.3)
        self._files(name)

    def _pairs(self, name: str) -> None:
        """Lets nobody have a file before another file is asked for, too."""
        with self.site.counting:
            is_first = name not in self.site.paired
            self.site.paired.add(name)
        if is_first:
            self.site.pair.wait()
        self._files(name)

    def _stalls(self, name: str) -> None:
        """Answers, and stops half-way through every body."""
        content = (self.site.folder / name).read_bytes()
        self._head(200, **{"Content-Length": str(len(content))})
        self.end_headers()
        self._body(content[: len(content) // 2])
        self.wfile.flush()
        if self.command == "GET":
            self.site.released.wait(30)
        self.close_connection = True

    def _cut(self, name: str) -> None:
        """Breaks the connection off half-way through every body."""
        content = (self.site.folder / name).read_bytes()
        self._head(200, **{"Content-Length": str(len(content))})
        self.end_headers()
        self._body(content[: len(content) // 2])
        self.close_connection = True

    def _flaky(self, name: str) -> None:
        """Ranges; every range that is asked for breaks off half-way the first time."""
        once = (self.command, self.path, self.headers.get("Range"))
        self._is_cut = self.command == "GET" and self.site.requests.count(once) == 1
        self._files(name)

    def _holed(self, name: str) -> None:
        """Ranges; each that has one of the site's `holes` in it breaks off half-way, every time."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        self._is_cut = asked is not None and any(int(asked[1]) <= hole <= int(asked[2]) for hole in self.site.holes)
        self._files(name)

    def _drips(self, name: str) -> None:
        """A byte now and then, for ever."""
        self._head(200, **{"Content-Length": "1000000"})
        self.end_headers()
        while self.command == "GET" and not self.site.released.is_set():
            self._body(b"x")
            self.wfile.flush()
            time.sleep(0.05)

    def _endless(self, name: str) -> None:
        """Claims to be small and never ends."""
        self._head(206, **{"Connection": "close", "Content-Range": "bytes 0-99/100"})
        if self.command == "HEAD":
            self.send_header("Content-Length", "100")
        self.end_headers()
        self.close_connection = True
        while self.command == "GET" and not self.site.released.is_set():
            self._body(bytes(1 << 16))

    def _send_file(self, name: str, *, with_ranges: bool, **headers: str) -> None:
        path = self.site.folder / name
        if not path.is_file():
            self._status("404")
            return
        content, status = path.read_bytes(), 200
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if with_ranges:
            headers["Accept-Ranges"] = "bytes"
            headers["ETag"] = f'"{path.stat().st_mtime_ns}"'
        if with_ranges and asked:
            begin, end = int(asked[1] or 0), min(int(asked[2] or len(content)), len(content) - 1)
            if not asked[1]:  # so many at the end
                begin, end = max(0, len(content) - int(asked[2])), len(content) - 1
            headers["Content-Range"] = f"bytes {begin}-{end}/{len(content)}"
            content, status = content[begin : end + 1], 206
        self._head(status, **headers, **{"Content-Length": str(len(content))})
        self.end_headers()
        self._body(content)

    def _head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)

    def _body(self, content: bytes) -> None:
        if self.command != "HEAD":
            sent = content[: len(content) // 2] if self._is_cut else content
            self.wfile.write(sent)
            self.site.bytes_sent += len(sent)
        self.close_connection |= self._is_cut
