"""What notebooks show: sound HTML that reads nothing, runs nothing, and is legible on white and on black."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from mediaref import DataURI, MediaRef
from mediaref.bitcost import read_bit_costs
from mediaref.heat_map import heat_map
from mediaref.native_costs import COSTED_CODECS
from mediaref.video_decoder import DecodePlan, VideoIndex

Clip = Callable[[str], Path]

HOSTILE = "s3://b/<script>alert('1')</script>\"onerror=x&.mp4"


def parsed(shown: Any) -> ElementTree.Element:
    """The HTML of `shown`, which is well-formed XML too."""
    root = ElementTree.fromstring(shown._repr_html_())
    assert {element.tag for element in root.iter()} <= {
        *{"div", "strong", "table", "tbody", "tr", "td", "img", "svg", "title", "path"}
    }
    assert not any(name.startswith("on") for element in root.iter() for name in element.attrib)
    return root


def words(root: ElementTree.Element) -> str:
    return " ".join(text.strip() for text in root.itertext() if text.strip())


def everything(clip: Clip) -> list[Any]:
    index = VideoIndex.open(clip("pyramid"))
    return [MediaRef(uri=HOSTILE, pts_ns=5), index, DecodePlan.of(index, [3, 30]), read_bit_costs(index, [3])[0]]


def test_all_of_it_is_sound_html_without_colours_of_its_own_for_text(clip: Clip) -> None:
    for shown in everything(clip):
        root = parsed(shown)
        styles = [element.attrib.get("style", "") for element in root.iter()]
        assert set(re.findall(r"(?<![-\w])color: ([^;]+)", ";".join(styles))) == {"inherit"}
        assert not re.search(r"background(-color)?: (?!transparent)", ";".join(styles))
        for path in root.iter("path"):
            assert path.attrib["fill"] in {"currentColor", "#e8590c"}


def test_what_comes_from_outside_is_escaped_and_nothing_is_read(clip: Clip) -> None:
    ref = MediaRef(uri=HOSTILE, pts_ns=1_500_000_000)
    assert words(parsed(ref)) == f"MediaRef uri {HOSTILE} pts_ns 1500000000 (1.500000 s)"
    assert "<script" not in ref._repr_html_()
    assert words(parsed(MediaRef(uri="no/such.png"))) == "MediaRef uri no/such.png"


def test_an_embedded_image_is_shown_and_anything_else_embedded_is_not() -> None:
    embedded = DataURI.from_image(np.full((4, 3, 3), 200, np.uint8))
    (image,) = parsed(MediaRef(uri=embedded)).iter("img")  # type: ignore[arg-type]
    assert image.attrib["src"] == embedded.uri
    for uri in ("data:image/svg+xml,%3Csvg%2F%3E", "data:text/html,hi", "data:image/png;base64,%", "data:image/png"):
        assert not list(parsed(MediaRef(uri=uri)).iter("img"))


def test_a_bit_cost_shows_where_the_bits_are(clip: Clip) -> None:
    cost = read_bit_costs(clip("pyramid"), [3])[0]
    root = parsed(cost)
    (image,) = root.iter("img")
    kind, _, data = image.attrib["src"].partition(",")
    assert kind == "data:image/png;base64"
    drawn = np.asarray(Image.open(BytesIO(base64.b64decode(data))))
    np.testing.assert_array_equal(drawn, heat_map(cost.cells))
    assert f"{cost.packet_bits:,} = {int(cost.bits.sum()):,} in blocks + {cost.overhead_bits:,} overhead" in words(root)


def test_an_index_shows_its_frames_and_keys(clip: Clip) -> None:
    index = VideoIndex.open(clip("pyramid"))
    plain, accented = (path.attrib["d"].count("M") for path in parsed(index).iter("path"))
    assert (plain, accented) == (len(index) - index.is_key.sum(), index.is_key.sum())
    assert f"{len(index)}, {index.is_key.sum()} of them key frames" in words(parsed(index))


def test_a_plan_shows_what_is_asked_fed_and_left_out(clip: Clip) -> None:
    plan = DecodePlan.of(VideoIndex.open(clip("pyramid")), [3, 30])
    plain, accented = (path.attrib["d"] for path in parsed(plan).iter("path"))
    assert accented.count("v-40.0") == 2
    assert plain.count("v-24.0") == len(plan.packets) - 2
    assert plain.count("v-4.8") == len(plan.index.packets) - len(plan.packets)


@pytest.mark.parametrize("name", ["raw", "one_frame", "long", "hevc_rotated", "vp9_hidden", "av1", "mpeg4"])
def test_streams_of_every_kind_show_themselves(clip: Clip, name: str) -> None:
    index = VideoIndex.open(clip(name))
    assert parsed(index) is not None
    assert parsed(DecodePlan.of(index, [])) is not None
    if index.codec in COSTED_CODECS:
        assert parsed(read_bit_costs(index, [len(index) - 1])[0]) is not None


def test_a_repr_is_one_short_line_that_says_what_it_is(clip: Clip) -> None:
    shown = [repr(each) for each in everything(clip)]
    assert all(len(text) < 600 and "\n" not in text and "array" not in text for text in shown)
    embedded = VideoIndex.open(DataURI.from_file(clip("one_frame")).uri)
    assert len(repr(embedded)) < 300
    assert "40 frames" in shown[1]
    assert "2 frames from 2 starts" in shown[2]


def test_showing_reads_no_file(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "gone.mp4"
    path.write_bytes(clip("pyramid").read_bytes())
    index = VideoIndex.open(path)
    plan = DecodePlan.of(index, [3])
    path.unlink()
    for shown in (index, plan, MediaRef(uri=str(path), pts_ns=0)):
        assert parsed(shown) is not None
