"""Files that lie elsewhere: real servers and real file systems of fsspec, for images, videos and bit costs alike."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image
from web_server import WebServer

from mediaref import MediaRef, batch_bit_costs, batch_decode, cleanup_cache, limits
from mediaref.errors import (
    AccessDeniedError,
    LimitExceededError,
    MediaNotFoundError,
    MissingDependencyError,
    StorageError,
    StorageTimeoutError,
)
from mediaref.video_decoder import VideoIndex

Clip = Callable[[str], Path]

FRAMES = (3, 17, 20)


@pytest.fixture(scope="session")
def folder(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture and three videos that are read in different ways, on a disk."""
    folder = tmp_path_factory.mktemp("site")
    Image.effect_noise((40, 30), 50).convert("RGB").save(folder / "a b.png")
    for name in ("plain.mp4", "matroska.mkv", "transport.ts"):
        (folder / name).write_bytes(clip(name.partition(".")[0]).read_bytes())
    return folder


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[WebServer]:
    with WebServer(folder).running() as server:
        yield server


def assert_like_local(
    folder: Path, uri_of: Callable[[str], str], storage_options: dict[str, Any] | None = None
) -> None:
    """Pixels and bits through `uri_of(name)` are those of the same files on the disk."""
    cleanup_cache()
    options = {"storage_options": storage_options}
    image = MediaRef(uri=uri_of("a b.png"))
    assert image.validate_uri(**options)
    local = MediaRef(uri=str(folder / "a b.png"))
    np.testing.assert_array_equal(image.to_ndarray(**options), local.to_ndarray())
    for name in ("plain.mp4", "matroska.mkv", "transport.ts"):
        times = VideoIndex.open(folder / name).pts_ns
        assert times is not None
        local_refs = [MediaRef(uri=str(folder / name), pts_ns=int(times[frame])) for frame in FRAMES]
        refs = [MediaRef(uri=uri_of(name), pts_ns=ref.pts_ns) for ref in local_refs]
        pairs = zip(batch_decode(refs, **options), batch_decode(local_refs), strict=True)
        for ours, theirs in pairs:
            np.testing.assert_array_equal(ours, theirs)
        costs = zip(batch_bit_costs(refs, **options), batch_bit_costs(local_refs), strict=True)
        for cost, local_cost in costs:
            np.testing.assert_array_equal(cost.bits, local_cost.bits)


# --- every kind of storage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["files", "whole", "none", "unsized", "squeezed", "loop/3/files"])
def test_http_with_ranges_without_and_through_redirects(server: WebServer, folder: Path, kind: str) -> None:
    assert_like_local(folder, lambda name: server.url(f"{kind}/{name}".replace(" ", "%20")))


def test_http_with_ranges_reads_a_long_video_in_parts(server: WebServer, clip: Clip, folder: Path) -> None:
    content = clip("long").read_bytes()
    (folder / "padded.mp4").write_bytes(content + (24 << 20).to_bytes(4, "big") + b"free" + bytes((24 << 20) - 8))
    server.requests.clear()
    ref = MediaRef(uri=server.url("files/padded.mp4"), pts_ns=10**9)
    np.testing.assert_array_equal(ref.to_ndarray(), MediaRef(uri=str(clip("long")), pts_ns=10**9).to_ndarray())
    assert all(range for method, _, range in server.requests if method == "GET")


def test_the_scheme_is_read_in_any_case(server: WebServer) -> None:
    uri = server.url("files/a%20b.png").replace("http", "HTTP", 1)
    assert MediaRef(uri=uri).to_ndarray().shape == (30, 40, 3)


def test_an_address_in_brackets_is_no_chain(folder: Path) -> None:
    try:
        six = WebServer(folder, "::1")
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with six.running():
        assert MediaRef(uri=six.url("files/a%20b.png", "[::1]")).to_ndarray().shape == (30, 40, 3)


def test_memory(folder: Path) -> None:
    for path in folder.iterdir():
        with fsspec.open(f"memory://site/{path.name}", "wb") as file:
            file.write(path.read_bytes())
    assert_like_local(folder, lambda name: f"memory://site/{name}")


def test_archives_and_caches_in_a_chain(folder: Path, server: WebServer, tmp_path: Path) -> None:
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for name in ("a b.png", "plain.mp4", "matroska.mkv", "transport.ts"):
            archive.write(folder / name, name)
    assert_like_local(folder, lambda name: f"zip://{name}::{folder / 'all.zip'}")
    assert_like_local(folder, lambda name: f"zip://{name}::{server.url('files/all.zip')}")
    options = {"simplecache": {"cache_storage": str(tmp_path / "cache")}}
    assert_like_local(folder, lambda name: f"simplecache::zip://{name}::{folder / 'all.zip'}", options)
    assert any((tmp_path / "cache").iterdir())


@pytest.fixture(scope="module")
def s3(folder: Path) -> Iterator[dict[str, Any]]:
    """The options that reach a bucket `clips`, on a server of moto's, with the files of the folder in it."""
    moto_server = pytest.importorskip("moto.server", reason="the S3 server is moto's")
    pytest.importorskip("s3fs")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"key": "who", "secret": "sesame", "endpoint_url": f"http://{host}:{port}"}
    try:
        bucket = fsspec.filesystem("s3", **options)
        bucket.mkdir("clips")
        for path in folder.iterdir():
            bucket.put_file(str(path), f"clips/{path.name}")
        yield options
    finally:
        server.stop()


def test_s3_with_credentials(s3: dict[str, Any], folder: Path) -> None:
    assert_like_local(folder, lambda name: f"s3://clips/{name}", s3)
    with pytest.raises(MediaNotFoundError, match=r"s3://clips/none\.png"):
        MediaRef(uri="s3://clips/none.png").to_ndarray(storage_options=s3)
    assert not MediaRef(uri="s3://clips/none.png").validate_uri(storage_options=s3)


def test_s3_that_is_slow_or_not_there_is_named(s3: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections and never answers
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        patience = {"connect_timeout": 0.3, "read_timeout": 0.3, "retries": {"max_attempts": 0}}
        slow = {**s3, "endpoint_url": endpoint, "config_kwargs": patience}
        with pytest.raises(StorageTimeoutError, match="s3://clips/a"):
            MediaRef(uri="s3://clips/a.png").to_ndarray(storage_options=slow)
    gone = {**slow, "config_kwargs": {**patience, "read_timeout": 0.4}}
    with pytest.raises(StorageError, match="s3://clips/a"):
        MediaRef(uri="s3://clips/a.png").to_ndarray(storage_options=gone)


def test_credentials_for_http(server: WebServer) -> None:
    ref = MediaRef(uri=server.url("auth/a%20b.png"))
    with pytest.raises(AccessDeniedError, match="HTTP 403") as caught:
        ref.to_ndarray()
    assert isinstance(caught.value, PermissionError)
    with_word = {"headers": {"Authorization": "Bearer sesame"}}
    assert ref.to_ndarray(storage_options=with_word).shape == (30, 40, 3)
    with_client = {"client_kwargs": {"headers": {"Authorization": "Bearer sesame"}}}
    assert ref.to_ndarray(storage_options=with_client).shape == (30, 40, 3)


# --- what goes wrong ----------------------------------------------------------------------------------------------


def load(uri: str, what: str, **options: Any) -> None:
    ref = MediaRef(uri=uri, pts_ns=None if what == "image" else 0)
    if what == "bits":
        ref.to_bit_cost(**options)
    else:
        ref.to_ndarray(**options)


@pytest.mark.parametrize("what", ["image", "video", "bits"])
@pytest.mark.parametrize(
    ("path", "ours", "builtin", "words"),
    [
        ("files/none", MediaNotFoundError, FileNotFoundError, "no such file"),
        ("status/410", MediaNotFoundError, FileNotFoundError, "HTTP 410"),
        ("status/401", AccessDeniedError, PermissionError, "HTTP 401"),
        ("status/503", StorageError, ConnectionError, "HTTP 503"),
        ("silent/plain.mp4", StorageTimeoutError, TimeoutError, "did not answer in time"),
        ("stalls/plain.mp4", StorageTimeoutError, TimeoutError, "did not answer in time"),
        ("drips/plain.mp4", StorageTimeoutError, TimeoutError, "did not answer in time"),
        ("cut/plain.mp4", StorageError, ConnectionError, "cannot be read"),
        ("loop/11/files/plain.mp4", LimitExceededError, ValueError, "MAX_REDIRECTS"),
    ],
)
def test_servers_that_fail_are_named(
    server: WebServer,
    path: str,
    what: str,
    ours: type[Exception],
    builtin: type[Exception],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if builtin is TimeoutError:
        monkeypatch.setattr(limits, "MAX_SILENCE_SECONDS", 0.2)
        monkeypatch.setattr(limits, "MAX_REQUEST_SECONDS", 0.5)
    with pytest.raises(ours, match=words) as caught:
        load(server.url(path), what)
    assert isinstance(caught.value, builtin)
    assert isinstance(caught.value, ValueError)
    assert server.url(path) in str(caught.value)


def test_ten_redirects_are_followed_and_the_limit_can_be_raised(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MediaRef(uri=server.url("loop/10/files/a%20b.png")).to_ndarray().shape == (30, 40, 3)
    monkeypatch.setattr(limits, "MAX_REDIRECTS", 11)
    assert MediaRef(uri=server.url("loop/11/files/a%20b.png")).to_ndarray().shape == (30, 40, 3)


@pytest.mark.parametrize(("limit", "short"), [("MAX_SILENCE_SECONDS", 0.2), ("MAX_REQUEST_SECONDS", 0.5)])
def test_a_server_may_be_as_slow_as_the_limits_and_no_slower(
    server: WebServer, limit: str, short: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing for a second, and then gives the file."""
    uri = server.url("late/a%20b.png")
    assert MediaRef(uri=uri).to_ndarray().shape == (30, 40, 3)
    monkeypatch.setattr(limits, limit, short)
    with pytest.raises(StorageTimeoutError):
        MediaRef(uri=uri).to_ndarray()


@pytest.mark.parametrize("timeout", [0.3, "as aiohttp has it"])
def test_the_callers_own_timeout_is_honoured(server: WebServer, timeout: Any) -> None:
    import aiohttp

    timeout = timeout if isinstance(timeout, float) else aiohttp.ClientTimeout(total=0.3)
    options = {"client_kwargs": {"timeout": timeout}}
    with pytest.raises(StorageTimeoutError):
        MediaRef(uri=server.url("silent/plain.mp4")).to_ndarray(storage_options=options)
    with pytest.raises(StorageTimeoutError):
        MediaRef(uri=server.url("silent/plain.mp4")).validate_uri(storage_options=options)


def test_nobody_at_the_other_end(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/a.png", "http://host.invalid/a.png"):
        with pytest.raises(StorageError, match="cannot be read"):
            MediaRef(uri=url).to_ndarray()


def test_what_is_read_into_memory_is_bounded(server: WebServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (folder / "a b.png").stat().st_size
    uris = [
        str(folder / "a b.png"),
        *(server.url(f"{kind}/a%20b.png") for kind in ("files", "whole", "none", "unsized")),
    ]
    for uri in uris:
        monkeypatch.setattr(limits, "MAX_READ_BYTES", size)
        assert MediaRef(uri=uri).to_ndarray().shape == (30, 40, 3)
        monkeypatch.setattr(limits, "MAX_READ_BYTES", size - 1)
        with pytest.raises(LimitExceededError, match="MAX_READ_BYTES"):
            MediaRef(uri=uri).to_ndarray()
    with pytest.raises(LimitExceededError, match="MAX_READ_BYTES"):
        MediaRef(uri=server.url("endless/x")).to_ndarray()
    monkeypatch.setattr(limits, "MAX_READ_BYTES", 1000)
    with pytest.raises(LimitExceededError, match="MAX_READ_BYTES"):  # the server gives no parts, and the whole is long
        MediaRef(uri=server.url("none/plain.mp4"), pts_ns=0).to_ndarray()


def test_a_missing_backend_names_the_package_to_install() -> None:
    for uri, package in (
        ("gs://b/a.png", "gcsfs"),
        ("abfs://b/a.png", "adlfs"),
        ("simplecache::gcs://b/a.png", "gcsfs"),
    ):
        with pytest.raises(MissingDependencyError, match=f"pip install {package}") as caught:
            MediaRef(uri=uri).to_ndarray()
        assert isinstance(caught.value, ImportError)
    code = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from mediaref import MediaRef\n"
        "try: MediaRef(uri='s3://b/a.png').validate_uri()\n"
        "except ImportError as error: print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install s3fs" in shown.stdout


def test_the_files_own_errors_reach_ffmpeg_and_back(server: WebServer, clip: Clip, folder: Path) -> None:
    """A server that fails in the middle of a video, after its head was read."""
    content = clip("long").read_bytes()
    (folder / "late.mp4").write_bytes(content)
    uri = server.url("files/late.mp4")
    VideoIndex.open(uri)
    (folder / "late.mp4").unlink()
    with pytest.raises(MediaNotFoundError, match=r"late\.mp4"):
        MediaRef(uri=uri, pts_ns=0).to_ndarray()


def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for uri in (str(tmp_path / "pipe"), "/dev/zero"):
        for pts_ns in (None, 0):
            with pytest.raises(ValueError, match="no regular file"):
                MediaRef(uri=uri, pts_ns=pts_ns).to_ndarray()
