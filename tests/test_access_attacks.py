"""Uris and redirects that an attacker would try under an `AccessPolicy`, made up by Hypothesis.

Whatever they say: what lies outside is not opened, no address that is not allowed is connected to, and what comes back
is the picture inside or an error of ours. Python's own audit events and the kernel's (inotify) tell what was opened, so
it does not matter by which library. `MEDIAREF_ATTACKS=20000` in the environment tries as many.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_hostile_files import Watch
from web_server import WebServer

from mediaref import MediaRef
from mediaref.errors import MediaRefError
from mediaref.storage import AccessPolicy

ATTACKS = int(os.environ.get("MEDIAREF_ATTACKS", "150"))

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="files are watched with inotify")

Clip = Callable[[str], Path]
Asked = tuple[str, Any]

INSIDE, OUTSIDE = (10, 200, 30), (200, 20, 20)
#: Names that only the tests' name server knows: this one is allowed, any other is not.
FRIEND, FRIENDS_ADDRESS = "friend.example", "127.0.0.2"


class Audit:
    """What Python code of whatever library asks of the system: files to open, addresses to connect to, programs."""

    def __init__(self) -> None:
        self._asked: list[Asked] | None = None
        sys.addaudithook(self._note)  # there is no way to take it away again

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._asked is None:
            return
        if event in {"open", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"}:
            self._asked.append((event, arguments[0]))
        elif event == "socket.connect" and isinstance(arguments[1], tuple):
            self._asked.append((event, arguments[1][0]))
            if arguments[1][0] != FRIENDS_ADDRESS:
                raise ConnectionRefusedError("the tests connect to nobody")

    @contextmanager
    def running(self) -> Iterator[list[Asked]]:
        self._asked = []
        try:
            yield self._asked
        finally:
            self._asked = None


class Place(NamedTuple):
    """A folder that is allowed, one that is not, and two servers of the latter: the friend's, and this machine's."""

    data: Path
    secret: Path
    watch: Watch
    friend: WebServer
    private: WebServer
    audit: Audit


@pytest.fixture(scope="module")
def audit() -> Audit:
    return Audit()


@pytest.fixture
def place(tmp_path: Path, clip: Clip, audit: Audit, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    data, secret = tmp_path / "data", tmp_path / "secret"
    for folder, colour in ((data, INSIDE), (secret, OUTSIDE)):
        folder.mkdir()
        Image.new("RGB", (16, 16), colour).save(folder / "a.png")
        shutil.copy(clip("plain"), folder / "a.mp4")
        with zipfile.ZipFile(folder / "a.zip", "w") as archive:
            archive.write(folder / "a.png", "a.png")
        with tarfile.open(folder / "a.tar", "w") as archive:
            archive.add(folder / "a.png", "a.png")
    for name in ("deep/er", "~", "e%2fscaped", "brack]", "http:", "file:", "x::y"):
        (data / name).mkdir(parents=True)
    (data / "way").symlink_to(secret, target_is_directory=True)
    (data / "link.png").symlink_to(secret / "a.png")
    (data / "down").symlink_to(data / "deep" / "er", target_is_directory=True)
    monkeypatch.chdir(data)
    monkeypatch.setenv("HOME", str(secret))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))  # fsspec's caches
    monkeypatch.setattr(socket, "getaddrinfo", _name_server)
    watch = Watch(secret)
    with WebServer(data, FRIENDS_ADDRESS).running() as friend, WebServer(secret).running() as private:
        yield Place(data, secret, watch, friend, private, audit)
    watch.close()


def _name_server(host: str, port: int, *_: object, **__: object) -> list[Any]:
    """The friend is at home, a literal address is itself, and all other names lead to this machine."""
    try:
        address = str(ip_address(host))
    except ValueError:
        address = FRIENDS_ADDRESS if host.lower().rstrip(".") == FRIEND else "127.0.0.1"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return [(family, socket.SOCK_STREAM, 6, "", (address, port or 0))]


# --- what is tried ----------------------------------------------------------------------------------------------------

# fmt: off
_SEGMENTS = (
    "a.png", "a.mp4", "a.zip", "a.tar", "..", "..", "..", ".", "", "data", "secret", "way", "link.png", "down",
    "deep", "~",
    "e%2fscaped", "brack]", "http:", "file:", "x::y", "%2e%2e", "..%2f", "%2F..", "%00", "\\..\\", "a.png ", "*",
    "%61.png",
    "a.png?x=1", "a.png#x", "%5c..%5c", "\uff0e\uff0e", "frame%03d.png",
)
_STARTS = (
    "", "/", "{data}/", "{secret}/", "{data}/../secret/", "~/", "~root/", "./", "//", "file:", "file:/", "file://",
    "file:///", "FILE://localhost", "file://localhost{data}/", "file://{secret}/", "file://127.0.0.1/", "file:~/",
    "local://{secret}/", "local:{secret}/", "pipe:", "concat:{secret}/", "subfile,,start,0,end,0,,:{secret}/",
    "async:{secret}/", "cache:{secret}/", "crypto:{secret}/", "data:image/png,", "unix://{secret}/", "\\\\localhost\\",
)
_HOSTS = (
    "127.0.0.1", "localhost", "LOCALHOST.", "127.1", "0", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "::1", "",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[0:0:0:0:0:0:0:1]", "[::1%25lo]",
    "[", "]",
    "[64:ff9b::7f00:1]", "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460", "127\u30020\u30020\u30021", "evil.example",
    "10.0.0.1",
    "friend.example.evil", "127.0.0.1%00", "169.254.169.254", "[fe80::1]", "xn--", "a..b", "127.0.0.1 ", "\t127.0.0.1",
    "\u0661\u0662\u0667.0.0.1", "evilfriend.example",
)
_BEFORE_HOSTS = (
    "", "", "", "a@", "friend.example@", "friend.example:80@", "a:b@", "friend.example\\@", "friend.example#@",
)
_AFTER_HOSTS = (
    ":{port}", ":{port}", ":{port}", "", ":", ":0", ":99999", "\\.friend.example", "#.friend.example", "%2e",
)
_WRAPPERS = (
    "zip://a.png", "zip://a.png", "tar://a.png", "simplecache", "filecache", "blockcache", "ZIP://a.png", "zip://x",
    "a",
    "zip://a.png::brack]", "dir://{secret}", "reference://", "local", "cached", "", "https://friend.example/a.png",
    "zip:a",
    "http://[::1", "zip://[", "git://", "memory://", "libarchive://a.png", "file://{secret}/a.png", "data:,",
)
_PUT_IN = ("/", "\\", ":", "::", "@", "%", "\0", "\n", " ", "[", "]", "?", "#", "\u00e9")
# fmt: on

_paths = st.builds(
    lambda start, segments: start + "/".join(segments),
    st.sampled_from(_STARTS),
    st.lists(st.sampled_from(_SEGMENTS), min_size=1, max_size=6),
)
_hosts = st.sampled_from(_HOSTS)


def _urls(hosts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda scheme, before, host, after, path: f"{scheme}://{before}{host}{after}{path}",
        st.sampled_from(("http", "http", "HTTP", "https", "ftp", "http+unix", "hTTp")),
        st.sampled_from(_BEFORE_HOSTS),
        hosts,
        st.sampled_from(_AFTER_HOSTS),
        st.sampled_from(("/files/a.png", "/files/a.mp4", "/files/a.zip", "", "/../files/a.png", "//files/a.png", "?x")),
    )


_targets = _paths | _urls(_hosts)
_chains = st.builds(
    lambda wrappers, target: "::".join([*wrappers, target]),
    st.lists(st.sampled_from(_WRAPPERS), min_size=1, max_size=3),
    _targets,
)


@st.composite
def _misspelt(draw: st.DrawFn) -> str:
    """One of the others with some characters put in, or taken away."""
    uri = draw(_targets | _chains)
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(uri)))
        uri = uri[:begin] + draw(st.sampled_from(_PUT_IN)) + uri[begin + draw(st.integers(0, 2)) :]
    return uri


_attacks = _targets | _chains | _misspelt()
_WIDE = frozenset(
    {"data", "file", "http", "https", "ftp", "zip", "tar", "simplecache", "filecache", "blockcache", "memory"}
)

READERS: dict[str, Callable[[str], Any]] = {
    "image": lambda uri: MediaRef(uri=uri).to_ndarray(),
    "frame": lambda uri: MediaRef(uri=uri, pts_ns=0).to_ndarray(),
    "bit cost": lambda uri: MediaRef(uri=uri, pts_ns=0).to_bit_cost(),
    "existence": lambda uri: MediaRef(uri=uri).validate_uri(),
}
_readers = st.sampled_from(sorted(READERS))
_tries = settings(max_examples=ATTACKS, suppress_health_check=[HealthCheck.function_scoped_fixture])


def attempt(place: Place, uri: str, reader: str) -> list[Asked]:
    """Read `uri`: the picture inside or an error of ours. Gives what was asked of the system, in which no secret is."""
    found = None
    with place.audit.running() as asked, suppress(MediaRefError):
        found = READERS[reader](uri)
    if found is not None and reader == "image":
        assert found[0, 0].tolist() == list(INSIDE)
    secret = str(place.secret)
    assert [path for event, path in asked if event == "open" and str(path).startswith(secret)] == []
    assert [program for event, program in asked if event not in {"open", "socket.connect"}] == []
    assert place.watch.opened() == set()
    assert place.private.requests == []
    return asked


# --- the tests --------------------------------------------------------------------------------------------------------


def test_the_watch_sees_what_is_opened_and_asked(place: Place) -> None:
    """Otherwise the tests below would prove nothing."""
    with place.audit.running() as asked:
        assert MediaRef(uri=str(place.secret / "a.png")).to_ndarray()[0, 0].tolist() == list(OUTSIDE)
        with pytest.raises(MediaRefError):
            MediaRef(uri=place.private.url("files/a.png")).to_ndarray()
        assert MediaRef(uri=place.friend.url("files/a.png", FRIEND)).to_ndarray()[0, 0].tolist() == list(INSIDE)
    assert ("open", str(place.secret / "a.png")) in [(event, str(path)) for event, path in asked]
    assert place.watch.opened() == {"a.png"}
    assert {address for event, address in asked if event == "socket.connect"} == {"127.0.0.1", FRIENDS_ADDRESS}


@_tries
@given(uri=_attacks, reader=_readers, wide=st.booleans())
@example(uri="zip://a.png::~/a.zip", reader="image", wide=True)
@example(uri="{data}/down/../../../secret/a.png", reader="image", wide=False)
def test_no_uri_leads_out_of_the_roots_or_to_this_machine(place: Place, uri: str, reader: str, wide: bool) -> None:
    uri = _filled(uri, place)
    with AccessPolicy(schemes=_WIDE, roots=[place.data]) if wide else AccessPolicy(roots=["."]):
        asked = attempt(place, uri, reader)
    assert [address for event, address in asked if event == "socket.connect" and _is_private(address)] == []


@_tries
@given(
    target=_targets | _misspelt(), reader=_readers, wrapper=st.sampled_from(("", "", "simplecache::", "zip://a.png::"))
)
@example(target="http://127.0.0.1:{port}/files/a.png", reader="image", wrapper="")
def test_no_redirect_leads_to_another_host(place: Place, target: str, reader: str, wrapper: str) -> None:
    target = quote(_filled(target, place), safe="/:@[]%?#", errors="surrogatepass")
    uri = wrapper + place.friend.url(f"redirect/{target}", FRIEND)
    with AccessPolicy(schemes=_WIDE, roots=[place.data], hosts=[FRIEND], allow_private_addresses=True):
        asked = attempt(place, uri, reader)
    assert {address for event, address in asked if event == "socket.connect"} <= {FRIENDS_ADDRESS}


def _filled(uri: str, place: Place) -> str:
    for name, value in (("data", place.data), ("secret", place.secret), ("port", place.private.port)):
        uri = uri.replace(f"{{{name}}}", str(value))
    return uri


def _is_private(address: str) -> bool:
    try:
        return not ip_address(address).is_global
    except ValueError:
        return True  # some name or short form, which the system would resolve by itself
