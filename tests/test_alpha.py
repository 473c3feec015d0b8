"""Videos with transparency: `rgba` and `bgra` give it, whichever way the file keeps it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mediaref import MediaRef, batch_decode
from mediaref.video_decoder import PyAVVideoDecoder, VideoIndex

Clip = Callable[[str], Path]

FRAMES = 48


def coloured(count: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """RGBA frames of coarse blocks, alpha included, uint8 [count, height, width, 4]: some blocks change."""
    rng = np.random.default_rng(1)
    blocks = np.repeat(rng.integers(0, 256, (1, size[1] // 8, size[0] // 8, 4), np.uint8), count, axis=0)
    for number in range(1, count):
        blocks[number] = blocks[number - 1]
        changed = rng.integers(0, blocks.shape[1:3], (3, 2))
        blocks[number, changed[:, 0], changed[:, 1]] = rng.integers(0, 256, (3, 4), np.uint8)
    return np.repeat(np.repeat(blocks, 8, axis=1), 8, axis=2)


def encode(path: Path, codec: str, pix_fmt: str, count: int, **options: str) -> NDArray[np.uint8]:
    """A video of `coloured` frames at 25 a second; gives them."""
    frames = coloured(count, (80, 64))
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 80, 64, pix_fmt
        for number, rgba in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format=pix_fmt)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return frames


def refs_to(path: Path, count: int) -> list[MediaRef]:
    return [MediaRef(uri=str(path), pts_ns=number * 40_000_000 + 1) for number in range(count)]


@pytest.mark.parametrize(("name", "codec"), [("a.mov", "png"), ("b.mov", "qtrle"), ("c.avi", "ffv1")])
def test_alpha_is_that_of_the_video(name: str, codec: str, tmp_path: Path) -> None:
    pix_fmt = {"png": "rgba", "qtrle": "argb", "ffv1": "bgra"}[codec]
    frames = encode(tmp_path / name, codec, pix_fmt, 6)
    refs = refs_to(tmp_path / name, 6)
    for order, channels in (("rgba", [0, 1, 2, 3]), ("bgra", [2, 1, 0, 3]), ("rgb", [0, 1, 2]), ("bgr", [2, 1, 0])):
        for ref, pixels, expected in zip(refs, batch_decode(refs, format=order), frames, strict=True):
            np.testing.assert_array_equal(pixels, expected[..., channels])
            np.testing.assert_array_equal(ref.to_ndarray(order), pixels)


def test_a_video_without_alpha_is_opaque(clip: Clip) -> None:
    pixels = MediaRef(uri=str(clip("plain")), pts_ns=0).to_ndarray("rgba")
    assert (pixels[..., 3] == 255).all()


# --- alpha beside the packets: VP8 and VP9 in WebM ------------------------------------------------------------------


def plain_decode(path: Path, decoder: str) -> list[NDArray[np.uint8]]:
    """All frames, RGBA, by a decoder of libvpx that is fed all packets."""
    with av.open(str(path)) as container:
        codec: Any = av.CodecContext.create(decoder, "r")
        packets = [packet for packet in container.demux(video=0) if packet.size]
        decoded = [frame for packet in [*packets, None] for frame in codec.decode(packet)]
    assert {frame.format.name for frame in decoded} == {"yuva420p"}
    return [frame.to_ndarray(format="rgba") for frame in decoded]


@pytest.mark.parametrize(
    ("codec", "name", "options"),
    [
        ("libvpx-vp9", "a.webm", {"auto-alt-ref": "0"}),
        ("libvpx-vp9", "hidden.webm", {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "20"}),
        ("libvpx-vp9", "a.mkv", {"deadline": "realtime", "cpu-used": "5", "auto-alt-ref": "0", "g": "10"}),
        ("libvpx", "vp8.webm", {"auto-alt-ref": "0", "g": "15"}),
    ],
)
def test_alpha_beside_the_packets_is_that_of_the_video(
    codec: str, name: str, options: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / name
    source = encode(path, codec, "yuva420p", FRAMES, b="1M", **options)
    expected = plain_decode(path, codec)
    assert np.abs(expected[-1][..., 3] - source[-1][..., 3].astype(float)).mean() < 8, "the clip itself has its alpha"
    refs = refs_to(path, FRAMES)
    for threads in (1, 2):
        for ours, plain in zip(batch_decode(refs, format="rgba", threads=threads), expected, strict=True):
            np.testing.assert_array_equal(ours, plain)
    for frame in (FRAMES - 1, 0, 33, 12):
        np.testing.assert_array_equal(refs[frame].to_ndarray("rgba"), expected[frame])
        np.testing.assert_array_equal(refs[frame].to_ndarray("bgra"), expected[frame][..., [2, 1, 0, 3]])
        np.testing.assert_array_equal(refs[frame].to_ndarray(), expected[frame][..., :3])
    assert refs[0].to_pil_image("rgba").mode == "RGBA"
    assert PyAVVideoDecoder(path).metadata.pixel_format == "yuva420p"


def with_alpha_of(path: Path, codec: str, colours: Path, alpha: Path) -> Path:
    """The colours of one video and the alpha of another."""
    kind: Any = "matroska_block_additional"
    with av.open(str(colours)) as first, av.open(str(alpha)) as second, av.open(str(path), "w") as output:
        # Of a stream that might be encoded, for the container to say that it has alpha; the encoder is not used.
        stream: Any = output.add_stream(codec, rate=25, options={"auto-alt-ref": "0"})
        stream.width, stream.height, stream.pix_fmt = 80, 64, "yuva420p"
        for one, other in zip(first.demux(video=0), second.demux(video=0), strict=True):
            if one.size:
                one.set_sidedata(other.get_sidedata(kind))
                one.stream = stream
                output.mux(one)
    return path


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
def test_decoding_starts_where_colours_and_alpha_do(codec: str, tmp_path: Path) -> None:
    steady = {"auto-alt-ref": "0", "b": "1M"}
    encode(tmp_path / "often.webm", codec, "yuva420p", FRAMES, **steady, g="10")
    encode(tmp_path / "once.webm", codec, "yuva420p", FRAMES, **steady, g="1000")
    path = with_alpha_of(tmp_path / "mixed.webm", codec, tmp_path / "often.webm", tmp_path / "once.webm")
    index = VideoIndex.open(path)
    assert index.pixel_format == "yuva420p"
    assert index.is_key.sum() > 3
    expected = plain_decode(path, codec)
    refs = refs_to(path, FRAMES)
    order = [45, 3, 22, 31, 44]
    for frame in order:
        np.testing.assert_array_equal(refs[frame].to_ndarray("rgba"), expected[frame])
    for frame, ours in zip(order, batch_decode([refs[frame] for frame in order], format="rgba"), strict=True):
        np.testing.assert_array_equal(ours, expected[frame])
