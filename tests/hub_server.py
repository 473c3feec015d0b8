"""A server for the tests that answers as the Hugging Face Hub does, as far as its file system asks: one data set."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from web_server import serving


class HubServer:
    """Serves the files of a folder as the data set `repository`; with `token`, only to those who have it."""

    def __init__(self, folder: Path, repository: str, token: str | None = None) -> None:
        self.folder, self.repository, self.token = folder, repository, token
        #: Path and range of each request for a file's content.
        self.reads: list[tuple[str, str | None]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[HubServer]:
        with serving(self._server):
            yield self


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        name = re.escape(self.hub.repository)
        if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._refuse("RepoNotFound", 401)
        elif re.fullmatch(f"/api/datasets/{name}(/revision/main)?", url.path):
            self._tell({"id": self.hub.repository, "sha": "0" * 40, "siblings": [], "private": False, "tags": []})
        elif found := re.fullmatch(f"/api/datasets/{name}/tree/main/?(.*)", url.path):
            self._list(self.hub.folder / unquote(found[1]), parse_qs(url.query).get("recursive") == ["true"])
        elif found := re.fullmatch(f"/datasets/{name}/resolve/main/(.+)", url.path):
            self._send_file(unquote(found[1]))
        else:
            self._refuse("RepoNotFound")

    def _list(self, folder: Path, recursive: bool) -> None:
        if not folder.is_dir():
            self._refuse("EntryNotFound")
            return
        found = folder.rglob("*") if recursive else folder.iterdir()
        self._tell([self._entry(path) for path in sorted(found)])

    def _entry(self, path: Path) -> dict[str, Any]:
        name = path.relative_to(self.hub.folder).as_posix()
        if path.is_dir():
            return {"type": "directory", "path": name, "oid": hashlib.sha1(name.encode()).hexdigest(), "size": 0}
        content = path.read_bytes()
        return {"type": "file", "path": name, "oid": hashlib.sha1(content).hexdigest(), "size": len(content)}

    def _send_file(self, name: str) -> None:
        self.hub.reads.append((name, self.headers.get("Range")))
        path = self.hub.folder / name
        if not path.is_file():
            self._refuse("EntryNotFound")
            return
        content = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked is None:
            self._send(200, content)
        else:
            begin, end = int(asked[1]), min(int(asked[2]) + 1, len(content))
            self._send(206, content[begin:end], **{"Content-Range": f"bytes {begin}-{end - 1}/{len(content)}"})

    def _tell(self, what: Any) -> None:
        self._send(200, json.dumps(what).encode(), **{"Content-Type": "application/json"})

    def _refuse(self, why: str, status: int = 404) -> None:
        self._send(status, b"", **{"X-Error-Code": why})

    def _send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
