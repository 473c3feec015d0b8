"""The native module as Python sees it: its typed face, its own proof of correctness, and its manners with bad input."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediaref import _native
from mediaref._native import FrameCosts, ParseError, StreamParser

STUB = Path(_native.__file__).with_name("_native.pyi")


def packets_of(path: Path) -> tuple[bytes, list[bytes]]:
    """The codec's extradata and the packets of the first video stream."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.codec_context.extradata or b"", [bytes(p) for p in container.demux(stream) if p.size]


def costs_of(extradata: bytes, packets: list[bytes], threads: int = 1) -> list[FrameCosts | ParseError]:
    """Costs of packets that each hold one frame."""
    parser = StreamParser("h264", extradata)
    handles = parser.scan(packets).parameter_sets
    return parser.bit_costs([(int(h), [p]) for h, p in zip(handles, packets, strict=True)], threads)


def test_stub_and_module_have_the_same_names() -> None:
    tree = ast.parse(STUB.read_text())
    stub = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    module = {name: value for name, value in vars(_native).items() if not name.startswith("_")}
    assert set(stub) == set(module)
    for name, node in stub.items():
        declared = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
        present = {m for m in vars(module[name]) if not m.startswith("_")}
        assert {m for m in declared if not m.startswith("_")} == present, name
        assert all(hasattr(module[name], m) for m in declared), name


def test_stub_and_module_have_the_same_parameters() -> None:
    tree = ast.parse(STUB.read_text())
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        for item in node.body:
            if not isinstance(item, ast.FunctionDef) or item.decorator_list or item.name.startswith("__"):
                continue
            signature = inspect.signature(getattr(getattr(_native, node.name), item.name))
            assert [arg.arg for arg in item.args.args] == list(signature.parameters), (node.name, item.name)


def test_a_broken_context_rule_is_caught(clip: Callable[[str], Path]) -> None:
    """The identity can fail: told that the encoder is an old x264, the parser takes that one's rule for the context of
    `coded_block_flag` in 8x8 blocks of 4:4:4, which is not the one this stream was made with."""
    extradata, packets = packets_of(clip("yuv444"))
    assert all(isinstance(cost, FrameCosts) for cost in costs_of(extradata, packets))
    mark = b"x264 - core "
    holders = [data for data in (extradata, *packets) if mark in data]
    assert holders, "the clip no longer names its encoder"

    def older(data: bytes) -> bytes:
        at = data.find(mark) + len(mark)
        return data[:at] + b"100" + data[at + 3 :] if mark in data else data

    broken = costs_of(older(extradata), [older(packet) for packet in packets])
    errors = [cost for cost in broken if isinstance(cost, ParseError)]
    assert errors
    assert {error.kind for error in errors} == {"corrupt"}


def test_threads_do_not_change_the_answer(clip: Callable[[str], Path]) -> None:
    extradata, packets = packets_of(clip("plain"))
    for one, four in zip(costs_of(extradata, packets), costs_of(extradata, packets, 4), strict=True):
        assert isinstance(one, FrameCosts)
        assert isinstance(four, FrameCosts)
        np.testing.assert_array_equal(one.bits, four.bits)
        np.testing.assert_array_equal(one.cells, four.cells)
        np.testing.assert_array_equal(one.information, four.information)


def test_unknown_codec_and_unknown_handle_are_value_errors() -> None:
    with pytest.raises(ValueError, match="theora"):
        StreamParser("theora")
    with pytest.raises(ValueError, match="handle 7"):
        StreamParser("h264").bit_costs([(7, [b""])])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_packets_give_costs_or_an_error_that_says_where(
    clip: Callable[[str], Path], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["plain", "cavlc", "mbaff", "yuv444", "lossless"]))
    extradata, packets = packets_of(clip(name))
    packet = bytearray(data.draw(st.sampled_from(packets)))
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(packet))))
    parser = StreamParser("h264", extradata)
    parser.scan(packets[:1])
    handle = int(parser.scan([bytes(packet)[:cut]]).parameter_sets[0])
    (cost,) = parser.bit_costs([(handle, [bytes(packet)[:cut]])])
    if isinstance(cost, FrameCosts):
        assert int(cost.bits.sum()) + cost.overhead_bits == cost.packet_bits
    else:
        assert cost.kind in {"corrupt", "unsupported", "limit"}
        assert 0 <= cost.byte_position <= len(packet)


@settings(max_examples=200, deadline=None)
@given(extradata=st.binary(max_size=80), packet=st.binary(max_size=300))
def test_noise_never_panics(extradata: bytes, packet: bytes) -> None:
    parser = StreamParser("h264", extradata)
    headers = parser.scan([packet])
    assert len(headers) == 1
    parser.bit_costs([(int(headers.parameter_sets[0]), [packet])])
