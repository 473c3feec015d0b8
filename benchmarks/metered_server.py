"""A server here that counts what it sends, and takes its time: files with ranges, or what another server answers."""

from __future__ import annotations

import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

_PASSED_ON = ("Content-Type", "Content-Range", "ETag", "Last-Modified", "Accept-Ranges")


@dataclass
class Meter:
    """What was asked of a server since somebody set it to 0, and how it is held up."""

    url: str = ""
    requests: int = 0
    bytes_sent: int = 0
    delay: float = 0.0
    #: Times that a request came while no other was being answered: with a delay, what is asked one after the other.
    round_trips: int = 0
    _busy: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Set all counts to 0."""
        self.requests = self.bytes_sent = self.round_trips = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """Counts one, and holds it up, from when it came until it is answered."""
        with self._lock:
            self.requests += 1
            self.round_trips += not self._busy
            self._busy += 1
        try:
            time.sleep(self.delay)
            yield
        finally:
            with self._lock:
                self._busy -= 1


@contextmanager
def serving(folder: Path | None = None, behind: str = "") -> Iterator[Meter]:
    """Serve the files of `folder`, or what the server `behind` answers."""
    meter = Meter()
    handler = type("Handler", (_Handler,), {"meter": meter, "folder": folder, "behind": behind})
    # Connections that come at once are not to wait for each other.
    kind = type("Server", (ThreadingHTTPServer,), {"request_queue_size": 128, "daemon_threads": True})
    server = kind(("127.0.0.1", 0), handler)
    meter.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield meter
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    meter: Meter
    folder: Path | None
    behind: str
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # the head of an answer and its body are sent one after the other

    def do_GET(self) -> None:
        with self.meter.request():
            self._answer()

    def _answer(self) -> None:
        status, headers, body, length = self._of_file() if self.folder else self._from_behind()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            for begin in range(0, len(body), 1 << 16):
                self.wfile.write(body[begin : begin + (1 << 16)])
                self.meter.bytes_sent += len(body[begin : begin + (1 << 16)])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass

    def _of_file(self) -> tuple[int, dict[str, str], bytes, int]:
        assert self.folder is not None
        path = self.folder / unquote(self.path).lstrip("/")
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        begin, end = (int(asked[1] or 0), min(int(asked[2] or size - 1), size - 1) + 1) if asked else (0, size)
        if asked and not asked[1]:  # so many at the end
            begin, end = max(0, size - int(asked[2])), size
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{path.stat().st_mtime_ns}"'}
        if asked:
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        with path.open("rb") as file:
            file.seek(begin)
            body = file.read(end - begin) if self.command == "GET" else b""
        return 206 if asked else 200, headers, body, end - begin

    def _from_behind(self) -> tuple[int, dict[str, str], bytes, int]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
        request = urllib.request.Request(self.behind + self.path, headers=headers, method=self.command)
        try:
            answer = urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            body = answer.read()
            length = int(answer.headers.get("Content-Length") or len(body))
            passed = {name: answer.headers[name] for name in _PASSED_ON if answer.headers[name]}
            return answer.status, passed, body, length
