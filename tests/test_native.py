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


def costs_of(
    extradata: bytes, packets: list[bytes], threads: int = 1, codec: str = "h264"
) -> list[FrameCosts | ParseError]:
    """Costs of packets that each hold one frame."""
    parser = StreamParser(codec, extradata)
    handles = parser.scan(packets).parameter_sets
    return parser.start_bit_costs([(int(h), [p]) for h, p in zip(handles, packets, strict=True)], threads).results()


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


def flipped(data: bytes, bit: int) -> bytes:
    """Bits count from the first byte's highest one."""
    changed = bytearray(data)
    changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


def pps_flags(extradata: bytes) -> dict[str, int]:
    """Where the flags of an HEVC picture parameter set stand in an hvcC, in bits."""
    begin = extradata.index(b"\x44\x01") + 2
    bits = "".join(f"{byte:08b}" for byte in extradata[begin:])
    at = 0

    def skip(codes: int) -> None:
        nonlocal at
        for _ in range(codes):  # of Exp-Golomb: as many bits again as it begins with zeros
            at += 2 * bits.index("1", at) + 1 - 2 * at

    skip(2)  # pps_pic_parameter_set_id, pps_seq_parameter_set_id
    sign_data_hiding = at + 5
    at += 7
    skip(3)  # num_ref_idx_l0_default_active_minus1, num_ref_idx_l1_default_active_minus1, init_qp_minus26
    starts = {"sign_data_hiding": sign_data_hiding, "transform_skip": at + 1}
    return {name: begin * 8 + start for name, start in starts.items()}


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("hevc_ctb32", "sign_data_hiding"),
        ("hevc_no_sao", "sign_data_hiding"),
        ("hevc_transform_skip", "transform_skip"),
        ("hevc_ctb16", "transform_skip"),
    ],
)
def test_a_broken_rule_of_hevc_is_caught(clip: Callable[[str], Path], name: str, flag: str) -> None:
    """A picture's bits are read by the rules that its parameter set names: with one turned around, none comes out."""
    extradata, packets = packets_of(clip(name))
    assert all(isinstance(cost, FrameCosts) for cost in costs_of(extradata, packets, codec="hevc"))
    broken = costs_of(flipped(extradata, pps_flags(extradata)[flag]), packets, codec="hevc")
    assert {cost.kind if isinstance(cost, ParseError) else "parsed" for cost in broken} == {"corrupt"}


#: Bits of a key frame's header in profile 0.
REFRESH_FRAME_CONTEXT, FRAME_PARALLEL = 69, 70


@pytest.mark.parametrize("bit", [REFRESH_FRAME_CONTEXT, FRAME_PARALLEL])
def test_a_broken_rule_of_vp9_is_caught(clip: Callable[[str], Path], bit: int) -> None:
    """The key frame itself stays as it was; those after it need the probabilities that it leaves behind."""
    _, packets = packets_of(clip("vp9_odd_size"))
    group = packets[:12]
    wanted = [True] * len(group)
    assert all(isinstance(costs, list) for costs in StreamParser("vp9").chain().parse(group, wanted))
    key, *others = StreamParser("vp9").chain().parse([flipped(group[0], bit), *group[1:]], wanted)
    assert isinstance(key, list)
    assert {costs.kind if isinstance(costs, ParseError) else "parsed" for costs in others} == {"corrupt"}


def test_a_checkpoint_goes_on_where_it_was_taken(clip: Callable[[str], Path]) -> None:
    _, packets = packets_of(clip("vp9_segments"))
    parser = StreamParser("vp9").chain()
    parser.parse(packets[:4], [False] * 4)
    checkpoint = parser.copy()
    whole = parser.parse(packets[4:], [True] * len(packets[4:]))
    looked, further = checkpoint.parse_last(packets[4:6], [False, True])
    again = checkpoint.parse(packets[4:], [True] * len(packets[4:]))
    ((count, behind),) = further
    assert count == 2
    rest = behind.parse(packets[6:], [True] * len(packets[6:]))
    for ours, theirs in ((looked[1], whole[1]), *zip(again, whole, strict=True), *zip(rest, whole[2:], strict=True)):
        assert isinstance(ours, list)
        assert isinstance(theirs, list)
        assert [cost.bits.tolist() for cost in ours] == [cost.bits.tolist() for cost in theirs]
    assert looked[0] == []


def test_what_was_passed_over_is_an_error_behind_a_checkpoint_and_never_a_wrong_map(
    clip: Callable[[str], Path],
) -> None:
    errors = 0
    for name in ("vp9_frame_parallel", "vp9_hidden", "vp9_cyclic_refresh", "vp9_segments", "vp9_error_resilient"):
        _, packets = packets_of(clip(name))
        whole = StreamParser("vp9").chain().parse(packets, [True] * len(packets))
        for count in range(1, len(packets)):
            wanted = [False] * (count - 1) + [True]
            _, [*_, (_, behind)] = StreamParser("vp9").chain().parse_last(packets[:count], wanted)
            for ours, theirs in zip(
                behind.parse(packets[count:], [True] * (len(packets) - count)), whole[count:], strict=True
            ):
                if isinstance(ours, ParseError):
                    errors += 1
                    continue
                assert isinstance(theirs, list)
                assert [cost.bits.tolist() for cost in ours] == [cost.bits.tolist() for cost in theirs]
    assert errors


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
        StreamParser("h264").start_bit_costs([(7, [b""])])


def damaged(packet: bytes, data: st.DataObject) -> bytes:
    """The packet with some bytes changed, and perhaps cut short."""
    changed = bytearray(packet)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    return bytes(changed[: data.draw(st.one_of(st.none(), st.integers(0, len(changed))))])


def assert_sound(cost: FrameCosts | ParseError, packet: bytes) -> None:
    """Either every bit is accounted for, or it says what is wrong and where."""
    if isinstance(cost, FrameCosts):
        assert int(cost.bits.sum()) + cost.overhead_bits == cost.packet_bits
        assert cost.mode.sum() + cost.motion.sum() + cost.luma.sum() + cost.chroma.sum() == cost.bits.sum()
    else:
        assert cost.kind in {"corrupt", "unsupported", "limit"}
        assert cost.message
        assert 0 <= cost.byte_position <= len(packet)


PACKET_CLIPS = {
    "h264": ["plain", "cavlc", "mbaff", "yuv444", "lossless"],
    "hevc": ["hevc_wpp", "hevc_slices", "hevc_444", "hevc_transform_skip", "hevc_weighted", "hevc_cu_lossless"],
}
CHAIN_CLIPS = {
    "vp9": ["vp9_gops", "vp9_hidden", "vp9_segments", "vp9_444", "vp9_error_resilient", "vp9_odd_size"],
    "av1": ["av1_gops", "av1_layers", "av1_segments", "av1_screen", "av1_super_resolution", "av1_10_bit"],
}


@pytest.mark.parametrize("codec", PACKET_CLIPS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_packets_give_costs_or_an_error_that_says_where(
    clip: Callable[[str], Path], codec: str, data: st.DataObject
) -> None:
    extradata, packets = packets_of(clip(data.draw(st.sampled_from(PACKET_CLIPS[codec]))))
    packet = damaged(data.draw(st.sampled_from(packets)), data)
    parser = StreamParser(codec, extradata)
    parser.scan(packets[:1])
    handle = int(parser.scan([packet]).parameter_sets[0])
    (cost,) = parser.start_bit_costs([(handle, [packet])]).results()
    assert_sound(cost, packet)


@pytest.mark.parametrize("codec", PACKET_CLIPS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_parameter_sets_give_costs_or_an_error_that_says_where(
    clip: Callable[[str], Path], codec: str, data: st.DataObject
) -> None:
    extradata, packets = packets_of(clip(data.draw(st.sampled_from(PACKET_CLIPS[codec]))))
    for cost, packet in zip(costs_of(damaged(extradata, data), packets[:3], codec=codec), packets, strict=False):
        assert_sound(cost, packet)


@pytest.mark.parametrize("codec", CHAIN_CLIPS)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_chains_give_costs_or_errors_that_say_where(
    clip: Callable[[str], Path], codec: str, data: st.DataObject
) -> None:
    _, packets = packets_of(clip(data.draw(st.sampled_from(CHAIN_CLIPS[codec]))))
    begin = data.draw(st.integers(0, len(packets) - 4))
    chain = packets[begin : begin + 6]
    hit = data.draw(st.integers(0, len(chain) - 1))
    chain[hit] = damaged(chain[hit], data)
    assert len(StreamParser(codec).scan(chain)) == len(chain)
    results = StreamParser(codec).chain().parse(chain, [True] * len(chain))
    for result, packet in zip(results, chain, strict=True):
        if isinstance(result, list) and result:  # a packet of AV1 may hold no frame
            assert sum(cost.packet_bits for cost in result) >= 8 * len(packet)  # an existing frame counts its own too
        for cost in result if isinstance(result, list) else [result]:
            assert_sound(cost, packet)


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
@settings(max_examples=200, deadline=None)
@given(extradata=st.binary(max_size=80), packet=st.binary(max_size=300))
def test_noise_never_panics(codec: str, extradata: bytes, packet: bytes) -> None:
    parser = StreamParser(codec, extradata)
    headers = parser.scan([packet])
    assert len(headers) == 1
    if parser.has_packet_access:
        parser.start_bit_costs([(int(headers.parameter_sets[0]), [packet])]).results()
    else:
        parser.chain().parse([packet, packet], [False, True])


def test_an_error_lies_within_its_packet_wherever_that_is_cut_off(clip: Callable[[str], Path]) -> None:
    extradata, packets = packets_of(clip("raw"))
    for packet in packets[1:6]:
        for length in range(1, min(len(packet), 400)):
            *_, result = costs_of(extradata, [packets[0], packet[:length]])
            assert not isinstance(result, ParseError) or result.byte_position <= length
