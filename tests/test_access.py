"""What an `AccessPolicy` refuses: every way to name a file or a host, through every road that reads."""

from __future__ import annotations

import os
import pickle
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from web_server import WebServer

from codec_video_prep import run_preinfer
from codec_video_prep.batch.run import run_batch
from codec_video_prep.integrations.ray import PrepareVideos
from mediaref import DataURI, MediaRef, batch_bit_costs, batch_decode, iter_decode
from mediaref.bit_tables import iter_bit_cost_batches
from mediaref.bitcost import read_bit_costs
from mediaref.errors import AccessDeniedError, InvalidReferenceError, MediaNotFoundError, MediaRefError, StorageError
from mediaref.ray import DecodeRefs, ReadBitCosts
from mediaref.storage import AccessPolicy, locate
from mediaref.video_decoder import PyAVVideoDecoder, VideoIndex

Clip = Callable[[str], Path]


@pytest.fixture
def data(tmp_path: Path, clip: Clip) -> Path:
    """A folder that references may point into, and beside it one that they may not."""
    for name in ("data", "secret"):
        folder = tmp_path / name
        folder.mkdir()
        Image.new("RGB", (8, 6), (1, 2, 3)).save(folder / "a.png")
        (folder / "a.mp4").write_bytes(clip("plain").read_bytes())
        with zipfile.ZipFile(folder / "a.zip", "w") as archive:
            archive.write(folder / "a.png", "a.png")
    (tmp_path / "data" / "link.png").symlink_to(tmp_path / "secret" / "a.png")
    (tmp_path / "data" / "way").symlink_to(tmp_path / "secret", target_is_directory=True)
    (tmp_path / "data" / "inner.png").symlink_to(tmp_path / "data" / "a.png")
    return tmp_path / "data"


@pytest.fixture
def server(data: Path) -> Iterator[WebServer]:
    with WebServer(data).running() as server:
        yield server


#: Every public road from a reference to what it names.
READERS: dict[str, Callable[[str], Any]] = {
    "image": lambda uri: MediaRef(uri=uri).to_ndarray(),
    "Pillow image": lambda uri: MediaRef(uri=uri).to_pil_image(),
    "frame": lambda uri: MediaRef(uri=uri, pts_ns=0).to_ndarray(),
    "bit cost": lambda uri: MediaRef(uri=uri, pts_ns=0).to_bit_cost(),
    "existence": lambda uri: MediaRef(uri=uri).validate_uri(),
    "batch": lambda uri: batch_decode([MediaRef(uri=uri, pts_ns=0)]),
    "batch of images": lambda uri: batch_decode([MediaRef(uri=uri)], allow_images=True),
    "stream": lambda uri: list(iter_decode([MediaRef(uri=uri, pts_ns=0)])),
    "batch of bit costs": lambda uri: batch_bit_costs([MediaRef(uri=uri, pts_ns=0)]),
    "index": VideoIndex.open,
    "bit costs": read_bit_costs,
    "decoder": PyAVVideoDecoder,
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_is_held_to_it(data: Path, server: WebServer, reader: str) -> None:
    read = READERS[reader]
    name = "a.png" if "mage" in reader or reader == "existence" else "a.mp4"
    with AccessPolicy(roots=[data]):
        read(str(data / name))
        for uri in (str(data.parent / "secret" / name), server.url(f"files/{name}"), f"memory://{name}"):
            with pytest.raises(AccessDeniedError, match="refused by the access policy") as caught:
                read(uri)
            assert isinstance(caught.value, PermissionError)
    assert server.requests == []
    read(str(data.parent / "secret" / name))
    read(server.url(f"files/{name}"))


def test_files_that_go_into_data_uris_are_held_to_it(data: Path) -> None:
    with AccessPolicy(roots=[data]):
        DataURI.from_file(data / "a.png")
        with pytest.raises(AccessDeniedError):
            DataURI.from_file(data / "link.png")


def test_the_preparation_of_a_video_is_held_to_it(data: Path, tmp_path: Path) -> None:
    with AccessPolicy(roots=[data]):
        run_preinfer(str(data / "a.mp4"), str(tmp_path / "made"), num_sampled_frames=16)
        with pytest.raises(AccessDeniedError):
            run_preinfer(str(data / "way" / "a.mp4"), str(tmp_path / "refused"), num_sampled_frames=16)
    assert (tmp_path / "made").is_dir()
    assert not (tmp_path / "refused").exists()


def test_a_batch_in_processes_of_its_own_is_held_to_it(data: Path, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    videos, output = [str(data / "a.mp4"), str(data / "way" / "a.mp4")], tmp_path / "prepared"
    with AccessPolicy(roots=[data]):
        done = run_batch(videos, str(output), options={"num_sampled_frames": 16}, workers=1)
    assert (done.tally.done, done.tally.failed) == (1, 1)
    assert pq.read_table(output / done.errors_file)["error"].to_pylist() == ["AccessDeniedError"]


def test_the_callables_for_ray_take_it(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    policy = AccessPolicy(roots=[data])
    uris = np.array([str(data / "a.mp4"), str(data / "way" / "a.mp4")])
    refs = np.array([[MediaRef(uri=uri, pts_ns=0).model_dump() for uri in uris]])
    decoded = DecodeRefs(access=policy, on_error="skip")({"refs": refs})
    assert decoded["frames_decoded"].tolist() == [[True, False]]
    list(ReadBitCosts(access=policy)({"uri": uris[:1]}))
    with pytest.raises(AccessDeniedError):
        list(ReadBitCosts(access=policy)({"uri": uris}))
    prepare = PrepareVideos(str(tmp_path / "out"), {"num_sampled_frames": 16}, access=policy)
    assert prepare({"uri": uris})["error"].tolist() == ["", "AccessDeniedError"]


def test_tables_that_are_made_piece_by_piece_are_held_to_it(data: Path) -> None:
    pytest.importorskip("pyarrow")
    with AccessPolicy(roots=[data]), pytest.raises(AccessDeniedError):
        iter_bit_cost_batches(data / "way" / "a.mp4")


def test_what_a_dataset_embeds_is_held_to_it(data: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("datasets")
    from mediaref.hf import MediaRefFeature

    rows = pa.array(
        [{"uri": str(data / name), "pts_ns": None} for name in ("a.png", "link.png")], MediaRefFeature.pa_type
    )
    with AccessPolicy(roots=[data]):
        embedded = MediaRefFeature().embed_storage(rows[:1]).to_pylist()
        assert embedded[0]["uri"].startswith("data:image/png")
        with pytest.raises(AccessDeniedError):
            MediaRefFeature().embed_storage(rows)


@pytest.mark.parametrize(
    ("uri", "is_inside"),
    [
        ("{data}/a.png", True),
        ("file://{data}/a.png", True),
        ("FILE://localhost{data}/./a.png", True),
        ("{data}/inner.png", True),
        ("{data}/none.png", True),
        ("{data}/../data/a.png", True),
        ("{data}/../secret/a.png", False),
        ("{data}/way/a.png", False),
        ("{data}/way/../data/a.png", True),
        ("{data}/link.png", False),
        ("file://{data}/%2e%2e/secret/a.png", False),
        ("{data}-too/a.png", False),
        ("{data}/../secret/none.png", False),
        ("zip://a.png::{data}/a.zip", True),
        ("zip://a.png::file://{data}/a.zip", True),
        ("ZIP://a.png::{data}/way/a.zip", False),
        ("simplecache::{data}/way/a.png", False),
        ("simplecache::zip://a.png::file://{data}/way/a.zip", False),
    ],
)
def test_paths_are_followed_before_they_are_compared(data: Path, uri: str, is_inside: bool) -> None:
    uri = uri.format(data=data)
    with AccessPolicy(schemes=["file", "zip", "simplecache"], roots=[data]):
        if is_inside and "none" in uri:
            with pytest.raises(MediaNotFoundError):
                MediaRef(uri=uri).to_ndarray()
        elif is_inside:
            assert MediaRef(uri=uri).to_ndarray().shape == (6, 8, 3)
        else:
            with pytest.raises(AccessDeniedError, match="under none of the roots"):
                MediaRef(uri=uri).to_ndarray()


@pytest.mark.parametrize(
    "uri",
    [
        "zip://a.png::~/a.zip",
        "zip://a.png::file:~/a.zip",
        "zip://a.png::file://{data}/e%2fscaped/../../secret/a.zip",
        "zip://a.png::brack]/../../secret/a.zip::file://{data}/a.zip",
        "zip://x/a.png::brack]/../../secret/a.zip",
    ],
)
def test_a_chain_is_opened_as_it_was_checked(data: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsspec takes `~` for a home, undoes no escapes, and splits at every `::`."""
    for name in ("e%2fscaped", "brack]"):
        (data / name).mkdir()
    monkeypatch.chdir(data)
    monkeypatch.setenv("HOME", str(data.parent / "secret"))
    with AccessPolicy(schemes=["file", "zip"], roots=[data]):
        with pytest.raises((AccessDeniedError, MediaNotFoundError)):
            MediaRef(uri=uri.format(data=data)).to_ndarray()
        assert MediaRef(uri="zip://a.png::file:%61.zip").to_ndarray().shape == (6, 8, 3)


@pytest.mark.parametrize(
    "uri", ["a\0b", "file:///%00", "file://[a]", "\udfff", "zip://a.png::a\0b", "zip://a.png::{data}/a::b.zip"]
)
def test_what_is_no_path_is_an_error_of_ours(data: Path, uri: str) -> None:
    (data / "a::b.zip").write_bytes((data / "a.zip").read_bytes())
    with AccessPolicy(schemes=["file", "zip"], roots=[data]), pytest.raises(MediaRefError):
        MediaRef(uri=uri.format(data=data)).to_ndarray()


def test_relative_paths_and_relative_roots(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)
    with AccessPolicy(roots=["."]):
        MediaRef(uri="a.png").to_ndarray()
        with pytest.raises(AccessDeniedError):
            MediaRef(uri="../secret/a.png").to_ndarray()
        escaped = MediaRef(uri="way/a.png").resolve_relative_path(data)
        with pytest.raises(AccessDeniedError):
            escaped.to_ndarray()


def test_without_roots_no_file_is_opened_and_data_needs_none(data: Path) -> None:
    embedded = MediaRef(uri=DataURI.from_file(data / "a.png"))  # type: ignore[arg-type]
    with AccessPolicy():
        embedded.to_ndarray()
        with pytest.raises(AccessDeniedError, match="there are none"):
            MediaRef(uri=str(data / "a.png")).to_ndarray()
    with AccessPolicy(schemes=["file"]), pytest.raises(AccessDeniedError, match="the scheme 'data' is none of file"):
        embedded.to_ndarray()


# --- chains -------------------------------------------------------------------------------------------------------


def test_only_archives_and_caches_stand_before_the_last_link(data: Path, server: WebServer) -> None:
    url = server.url("files/a.png")
    policy = AccessPolicy(schemes=["file", "http", "zip"], roots=[data], allow_private_addresses=True)
    for uri, rule in [
        (f"{url}::{data / 'a.png'}", "'http' before '::'"),
        (f"file://{data.parent}/secret/a.png::{data / 'a.png'}", "under none of the roots"),
        (f"simplecache::{data / 'a.png'}", "the scheme 'simplecache'"),
        (f"zip://a.png::simplecache::{data / 'a.zip'}", "the scheme 'simplecache'"),
        ("zip://a.png::ftp://127.0.0.1/a.zip", "the scheme 'ftp'"),
    ]:
        with policy, pytest.raises(AccessDeniedError, match=rule):
            MediaRef(uri=uri).to_ndarray()
    assert server.requests == []
    with policy:
        assert MediaRef(uri=f"zip://a.png::{server.url('files/a.zip')}").to_ndarray().shape == (6, 8, 3)


@pytest.mark.parametrize("scheme", ["local", "reference", "dir", "git", "LOCAL"])
def test_schemes_that_lead_past_the_rules_cannot_be_allowed(scheme: str) -> None:
    with pytest.raises(InvalidReferenceError, match="cannot be held to a policy") as caught:
        AccessPolicy(schemes=[scheme])
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("wrong", [{"schemes": "http"}, {"roots": "/data"}, {"roots": Path("/")}, {"hosts": "a.b"}])
def test_one_string_is_no_list(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidReferenceError, match="give a list"):
        AccessPolicy(**wrong)


# --- hosts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "127.1", "0.0.0.0", "LOCALHOST.", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_this_machine_is_not_reached_under_any_of_its_names(server: WebServer, host: str) -> None:
    for uri in (server.url("files/a.png", host), server.url("redirect/files/a.png", host)):
        with AccessPolicy(), pytest.raises((AccessDeniedError, StorageError)) as caught:
            MediaRef(uri=uri).to_ndarray()
        if host in {"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"}:
            assert "is a private address" in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("host", ["127.1", "0", "2130706433", "0177.0.0.1", "017700000001", "0x7f000001", "127.0.0.1."])
def test_short_and_octal_addresses_are_seen_through(host: str) -> None:
    """No name server is asked for them, and aiohttp connects to them, up to its version 3.14.0 at least."""
    with pytest.raises(AccessDeniedError, match="is a private address"):
        AccessPolicy().check(f"http://{host}/a.png")
    AccessPolicy().check("http://1.257/a.png")


@pytest.mark.parametrize(
    "address",
    [
        *("10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255"),
        *("[fe80::1]", "[fc00::1]", "[ff02::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::]"),
        *("[::127.0.0.1]", "[fec0::1]", "[64:ff9b:1::7f00:1]", "[::ffff:0:127.0.0.1]"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https", "ftp"])
def test_private_addresses_are_refused_before_a_packet_is_sent(scheme: str, address: str) -> None:
    # To fsspec what has '::' is a chain, but for http, which we open ourselves.
    rule = "before '::'" if "::" in address and not scheme.startswith("http") else "is a private address"
    with AccessPolicy(schemes=[scheme]), pytest.raises(AccessDeniedError, match=rule):
        MediaRef(uri=f"{scheme}://{address}/latest/meta-data").to_ndarray()


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"])
def test_public_addresses_are_not(address: str) -> None:
    AccessPolicy().check_address(address, "http://one.example")


def test_a_name_is_judged_by_the_address_that_is_connected_to(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is asked for once, on connecting: a name server that answers otherwise later gains nothing."""
    asked: list[str] = []

    def answer(host: str, port: int, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    uri = server.url("files/a.png", "rebind.test")
    AccessPolicy().check(uri)
    assert asked == []
    with AccessPolicy(), pytest.raises(AccessDeniedError, match="is a private address"):
        MediaRef(uri=uri).to_ndarray()
    assert set(asked) == {"rebind.test"}
    assert server.requests == []


def test_hosts_are_names_or_all_below_one(data: Path, server: WebServer) -> None:
    policy = AccessPolicy(hosts=["*.example.org", "BUCKET"], schemes=["https", "s3", "http"])
    policy.check("https://a.b.EXAMPLE.org./x")
    policy.check("s3://bucket/x")
    for uri in ("https://example.org/x", "https://badexample.org/x", "https://example.org.evil/x", "s3://other/x"):
        with pytest.raises(AccessDeniedError, match=r"the host .* is none of"):
            policy.check(uri)
    with pytest.raises(AccessDeniedError, match="the host 'evil'"):
        policy.check("https://a.example.org@evil/x")
    with AccessPolicy(hosts=["localhost"], allow_private_addresses=True):
        assert MediaRef(uri=server.url("files/a.png", "localhost")).to_ndarray().shape == (6, 8, 3)
        with pytest.raises(AccessDeniedError, match="the host '127"):
            MediaRef(uri=server.url("files/a.png")).to_ndarray()


@pytest.mark.parametrize("reader", ["image", "frame", "bit cost", "existence"])
def test_redirects_are_held_to_it_again(server: WebServer, data: Path, reader: str) -> None:
    name = "a.png" if reader in {"image", "existence"} else "a.mp4"
    other = server.url(f"files/{name}", "127.0.0.1")
    with AccessPolicy(hosts=["localhost"], allow_private_addresses=True):
        READERS[reader](server.url(f"redirect/files/{name}", "localhost"))
        for target, rule in ((other, "the host '127"), (f"https://127.0.0.1/{name}", "the host '127")):
            server.requests.clear()
            with pytest.raises(AccessDeniedError, match=rule):
                READERS[reader](server.url(f"redirect/{target}", "localhost"))
            assert all(path.startswith("/redirect") for _, path, _ in server.requests)
    with AccessPolicy(schemes=["http"], allow_private_addresses=True):
        for target in ("https://1.1.1.1/a", f"file://{data}/{name}", "ftp://127.0.0.1/a"):
            with pytest.raises((AccessDeniedError, StorageError)) as caught:
                READERS[reader](server.url(f"redirect/{target}"))
            assert isinstance(caught.value, AccessDeniedError) == target.startswith("https")


@pytest.mark.parametrize("wrapper", ["simplecache::{}", "filecache::{}", "zip://a.png::{}"])
def test_redirects_inside_a_chain_are_held_to_it_too(server: WebServer, tmp_path: Path, wrapper: str) -> None:
    name = "a.zip" if "zip" in wrapper else "a.png"
    kept = {cache: {"cache_storage": str(tmp_path / cache)} for cache in ("simplecache", "filecache")}
    schemes = ["http", "simplecache", "filecache", "zip"]
    with AccessPolicy(schemes=schemes, hosts=["localhost"], allow_private_addresses=True):
        straight = MediaRef(uri=wrapper.format(server.url(f"redirect/files/{name}", "localhost")))
        assert straight.to_ndarray(storage_options=kept).shape == (6, 8, 3)
        server.requests.clear()
        astray = MediaRef(uri=wrapper.format(server.url(f"redirect/{server.url(f'files/{name}')}", "localhost")))
        with pytest.raises((AccessDeniedError, MediaNotFoundError)):  # fsspec's caches call it a file that is not there
            astray.to_ndarray(storage_options=kept)
        assert server.requests
        assert all(path.startswith("/redirect") for _, path, _ in server.requests)


def test_a_client_of_the_callers_own_cannot_be_held_and_is_refused(server: WebServer) -> None:
    async def client(**_: object) -> None:
        raise AssertionError("never called")

    for options in ({"get_client": client}, {"client_kwargs": {"connector": None}}):
        with AccessPolicy(allow_private_addresses=True), pytest.raises(InvalidReferenceError, match="of its own"):
            MediaRef(uri=server.url("files/a.png")).to_ndarray(storage_options=options)


# --- where and how long it holds ----------------------------------------------------------------------------------


def test_it_holds_in_the_threads_of_a_batch(data: Path) -> None:
    refs = [MediaRef(uri=str(data.parent / where / "a.png")) for where in ("data", "secret", "data")]
    with AccessPolicy(roots=[data]):
        found = batch_decode(refs, allow_images=True, on_error="skip", threads=2)
    assert [pixels is None for pixels in found] == [False, True, False]


def test_what_was_made_in_the_block_is_held_to_it_after_the_block(data: Path, server: WebServer) -> None:
    refs = [MediaRef(uri=str(data / "a.mp4"), pts_ns=0), MediaRef(uri=str(data.parent / "secret/a.mp4"), pts_ns=0)]
    with AccessPolicy(roots=[data]):
        stream = iter_decode(refs, on_error="skip")
    assert [pixels is None for pixels in stream] == [False, True]
    with AccessPolicy(hosts=["localhost"], allow_private_addresses=True):
        source = locate(server.url(f"redirect/{server.url('files/a.png')}", "localhost"))
    with pytest.raises(AccessDeniedError):
        source.read()


def test_what_was_made_before_the_block_is_not(data: Path) -> None:
    stream = iter_decode([MediaRef(uri=str(data / "a.mp4"), pts_ns=0)] * 2)
    with AccessPolicy():
        assert len(list(stream)) == 2


def test_what_was_read_before_is_no_way_in(data: Path, server: WebServer) -> None:
    ref = MediaRef(uri=server.url(f"redirect/{server.url('files/a.mp4')}", "localhost"), pts_ns=0)
    ref.to_ndarray()  # its index is kept
    with AccessPolicy(hosts=["localhost"], allow_private_addresses=True), pytest.raises(AccessDeniedError):
        ref.to_ndarray()


def test_it_ends_with_the_block_and_each_of_several_must_allow(data: Path) -> None:
    path, secret = str(data / "a.png"), str(data.parent / "secret" / "a.png")
    wide, narrow = AccessPolicy(roots=[data.parent]), AccessPolicy(roots=[data])
    for outer, inner in ((wide, narrow), (narrow, wide)):
        with outer:
            with inner:
                MediaRef(uri=path).to_ndarray()
                with pytest.raises(AccessDeniedError):
                    MediaRef(uri=secret).to_ndarray()
            with outer, outer:
                MediaRef(uri=path).to_ndarray()
    MediaRef(uri=secret).to_ndarray()


def test_it_holds_in_its_own_thread_and_may_be_used_by_many(data: Path) -> None:
    policy, found = AccessPolicy(roots=[data]), []
    inside, over = threading.Barrier(2), threading.Event()

    def restricted() -> None:
        with policy:
            inside.wait(20)
            over.wait(20)
            with pytest.raises(AccessDeniedError):
                locate(data.parent / "secret" / "a.png")
            found.append("held")

    thread = threading.Thread(target=restricted)
    thread.start()
    inside.wait(20)
    locate(data.parent / "secret" / "a.png")
    with policy:
        pass
    over.set()
    thread.join()
    assert found == ["held"]


def test_a_policy_can_be_sent_to_another_process_and_be_a_key(data: Path) -> None:
    policy = AccessPolicy(roots=[data], hosts=["a.example"])
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert len({policy, AccessPolicy(roots=[str(data)], hosts=["A.EXAMPLE"])}) == 1


def test_the_file_that_was_checked_is_the_one_that_is_opened(data: Path) -> None:
    """A link that is turned elsewhere after the check: what was allowed is the file that it led to."""
    link = data / "turning.png"
    link.symlink_to(data / "a.png")
    with AccessPolicy(roots=[data]):
        source = locate(link)
    link.unlink()
    link.symlink_to(data.parent / "secret" / "a.png")
    assert source.path == os.path.realpath(data / "a.png")
    np.testing.assert_array_equal(MediaRef(uri=str(data / "a.png")).to_ndarray(), [[[1, 2, 3]] * 8] * 6)
