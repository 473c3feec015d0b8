"""Clips that the tests encode for themselves: small, varied, and natural enough for an encoder to use all its tools."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

#: Of textures as large as this at most some are kept: many clips show the same, and to draw it takes half their time.
_KEPT_BYTES = 50_000_000


def moving_texture(
    frames: int, size: tuple[int, int], seed: int = 0, fades: bool = False, is_screen: bool = False
) -> Iterable[NDArray[np.uint8]]:
    """RGB frames `(height, width, 3)`, as `_drawn` draws them."""
    is_kept = frames * size[0] * size[1] * 3 <= _KEPT_BYTES
    return (_kept if is_kept else _drawn)(frames, size, seed, fades, is_screen)


@lru_cache(maxsize=6)
def _kept(*texture: Any) -> tuple[NDArray[np.uint8], ...]:
    return tuple(_drawn(*texture))


def _drawn(frames: int, size: tuple[int, int], seed: int, fades: bool, is_screen: bool) -> Iterator[NDArray[np.uint8]]:
    """RGB frames `(height, width, 3)`: a textured background that pans, a bright disc that crosses it, and film grain.

    A scene cut after two thirds gives the encoder a reason for an intra frame of its own. One that `fades` to black
    gives it a reason to weight its predictions. A screen has a few plain colours and repeats itself.
    """
    width, height = size
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    detail = rng.normal(0.0, 1.0, (height + 64, width + 64)).astype(np.float32)
    detail = (detail + np.roll(detail, 1, 0) + np.roll(detail, 1, 1) + np.roll(detail, (1, 1), (0, 1))) * 9.0
    for number in range(frames):
        scene = 1.0 if number * 3 < frames * 2 else -1.0
        pan = int(number * 1.5) % 64
        base = 120 + 60 * np.sin((x + 2 * number) / 23.0 * scene) * np.cos((y - number) / 17.0)
        base = base + detail[pan // 2 : pan // 2 + height, pan : pan + width]
        centre = (width * (0.2 + 0.6 * (number / max(1, frames - 1))), height * 0.5)
        disc = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < (min(size) * 0.2) ** 2
        rgb = np.stack([base, base * 0.8 + x * 0.2, 220 - base * 0.6], axis=-1)
        rgb[disc] = (235, 200, 60)
        rgb += rng.normal(0.0, 2.0, rgb.shape)
        rgb *= 1 - number / frames if fades else 1
        if is_screen:
            rgb = np.tile(rgb[: height // 2, : width // 2] // 80 * 80, (3, 3, 1))[:height, :width]
        yield np.clip(rgb, 0, 255).astype(np.uint8)


def make_clip(
    path: Path,
    *,
    codec: str = "libx264",
    frames: int = 24,
    size: tuple[int, int] = (176, 144),
    rate: int | Fraction = 30,
    pix_fmt: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    container: str | None = None,
    container_options: Mapping[str, str] | None = None,
    timestamps: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    audio: bool = False,
    seed: int = 0,
    fades: bool = False,
    is_screen: bool = False,
) -> Path:
    """Encode `moving_texture` to `path` and return it.

    `timestamps` are the frames' pts in units of `time_base` (default: a constant `rate`). `container` is FFmpeg's
    muxer name where the suffix of `path` does not tell it.
    """
    base = time_base or 1 / Fraction(rate)
    with av.open(str(path), "w", format=container, container_options=dict(container_options or {})) as output:
        stream: Any = output.add_stream(codec, rate=rate, options={k: str(v) for k, v in (options or {}).items()})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = base
        stream.time_base = base
        sound: Any = output.add_stream("aac", rate=8000, layout="mono") if audio else None
        for number, rgb in enumerate(moving_texture(frames, size, seed, fades, is_screen)):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pix_fmt)
            frame.pts = number if timestamps is None else timestamps[number]
            frame.time_base = base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
            silence.sample_rate = 8000
            silence.pts = 0
            output.mux(sound.encode(silence))
            output.mux(sound.encode(None))
    return path


def set_rotation(path: Path, degrees: int) -> None:
    """Write a display rotation (counter-clockwise, as players apply it) into the track header of an MP4 file."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    matrix = at + (36 + 4 if data[at] == 0 else 48 + 4)
    one = 1 << 16
    a, b = {0: (one, 0), 90: (0, -one), 180: (-one, 0), 270: (0, one)}[degrees]
    struct.pack_into(">9i", data, matrix, a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def set_edit_start(path: Path, media_time: int) -> None:
    """Let the presentation of an MP4 file begin at `media_time` (track time scale): earlier frames are not shown."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 4
    version_and_flags, count = struct.unpack_from(">II", data, at)
    if version_and_flags != 0 or count != 1:
        raise AssertionError("the muxer wrote another kind of edit list than this helper knows")
    struct.pack_into(">i", data, at + 8 + 4, media_time)
    path.write_bytes(data)


def layered(source: Path, target: Path) -> Path:
    """Copy error-resilient VP9 so that hardly a frame refers to an odd one, as in a stream with temporal layers."""
    with av.open(str(source)) as container:
        packets = [bytearray(bytes(packet)) for packet in container.demux(video=0) if packet.size]
    with target.open("wb") as file:
        file.write(struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"VP90", 176, 144, 30, 1, len(packets), 0))
        for number, content in enumerate(packets):
            if number % 2 and content[0] & 7 == 7:  # an inter frame that is shown and error-resilient
                content[1] = 0  # its `refresh_frame_flags`
            file.write(struct.pack("<IQ", len(content), number) + content)
    return target


def remuxed_without(source: Path, target: Path, gone: Sequence[int]) -> Path:
    """A copy of a video without some of its packets, in the container that the suffix of `target` tells."""
    with av.open(str(source)) as container, av.open(str(target), "w") as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        packets = [packet for packet in container.demux(video=0) if packet.size]
        for row, packet in enumerate(packets):
            if row not in gone:
                packet.stream = stream
                output.mux(packet)
    return target


@dataclass(frozen=True)
class Recipe:
    """How one clip of the collection is made."""

    suffix: str = ".mp4"
    rotation: int = 0
    edit_start: int | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def build(self, folder: Path, name: str) -> Path:
        path = make_clip(folder / (name + self.suffix), **self.arguments)
        if self.rotation:
            set_rotation(path, self.rotation)
        if self.edit_start is not None:
            set_edit_start(path, self.edit_start)
        return path


def _x264(params: str = "", **arguments: Any) -> dict[str, Any]:
    options = {"preset": "veryfast", "threads": "1", **arguments.pop("options", {})}
    settings = ":".join(part for part in ("keyint=12:bframes=2:scenecut=40", params) if part)
    return {"options": {**options, "x264-params": settings}, **arguments}


_VFR = [0, 3, 6, 14, 15, 16, 30, 33, 36, 60, 61, 62, 70, 80, 81, 82, 99, 100, 130, 131, 140, 150, 151, 170]

_X265 = "log-level=none:keyint=12:bframes=3:pools=1:frame-threads=1"


def _x265(params: str = "", preset: str = "veryfast", **arguments: Any) -> dict[str, Any]:
    settings = ":".join(part for part in (_X265, "keyint=8:crf=24", params) if part)
    return {"codec": "libx265", "frames": 10, "options": {"preset": preset, "x265-params": settings}, **arguments}


def _vpx(deadline: str = "realtime", speed: int = 7, rate: str = "150k", **arguments: Any) -> dict[str, Any]:
    options = {
        "deadline": deadline,
        "cpu-used": speed,
        "b": rate,
        "g": 12,
        "threads": 1,
        **arguments.pop("options", {}),
    }
    return {"codec": "libvpx-vp9", "frames": 14, "options": options, **arguments}


def _svt(params: str = "", preset: int = 8, **arguments: Any) -> dict[str, Any]:
    options = {"preset": preset, "crf": 35, "g": 8, **arguments.pop("options", {})}
    options["svtav1-params"] = ":".join(part for part in ("lp=1", params) if part)
    return {"codec": "libsvtav1", "frames": 10, "options": options, **arguments}


_SVT = {"preset": "12", "g": "8", "svtav1-params": "lp=1"}

#: Every clip that the tests share, by name.
CLIPS: Mapping[str, Recipe] = {
    "plain": Recipe(arguments=_x264()),
    "pyramid": Recipe(arguments=_x264("b-pyramid=normal:bframes=5:b-adapt=0:ref=4", frames=40)),
    "strict_pyramid": Recipe(arguments=_x264("b-pyramid=strict:bframes=3:b-adapt=0:ref=16:keyint=60", frames=50)),
    "veryfast": Recipe(arguments=_x264("bframes=3:b-adapt=0:keyint=60", frames=50)),
    "cavlc_refs": Recipe(
        arguments=_x264("cabac=0:bframes=4:b-pyramid=strict:ref=4:keyint=60:direct=temporal", frames=50, fades=True)
    ),
    "inner_intra": Recipe(arguments=_x264("bframes=0:ref=1:keyint=60:min-keyint=60", frames=20)),
    "open_gop": Recipe(arguments=_x264("open-gop=1:b-adapt=0", frames=40)),
    "intra_refresh": Recipe(arguments=_x264("intra-refresh=1:bframes=0", frames=40)),
    "refresh_with_b": Recipe(arguments=_x264("intra-refresh=1:bframes=3:ref=4:scenecut=0", frames=60)),
    "no_b": Recipe(arguments=_x264("bframes=0")),
    "cavlc": Recipe(arguments=_x264("cabac=0")),
    "lossless": Recipe(arguments=_x264("qp=0")),
    "slices": Recipe(arguments=_x264("slices=3")),
    "odd_size": Recipe(arguments=_x264(size=(174, 130))),
    "gray": Recipe(arguments=_x264(pix_fmt="gray")),
    "yuv422": Recipe(arguments=_x264(pix_fmt="yuv422p")),
    "yuv444": Recipe(arguments=_x264(pix_fmt="yuv444p")),
    "ten_bit": Recipe(arguments=_x264(pix_fmt="yuv420p10le")),
    "mbaff": Recipe(arguments=_x264("tff=1")),
    "progressive_as_fields": Recipe(arguments=_x264("fake-interlaced=1")),
    "full_range": Recipe(arguments=_x264("range=pc:colormatrix=bt709", pix_fmt="yuvj420p")),
    "variable_rate": Recipe(arguments=_x264(timestamps=_VFR, time_base=Fraction(1, 90))),
    "ntsc": Recipe(arguments=_x264(rate=Fraction(30000, 1001))),
    "late_start": Recipe(arguments=_x264(timestamps=[300 + 3 * i for i in range(24)], time_base=Fraction(1, 90))),
    "rotated": Recipe(rotation=90, arguments=_x264(size=(176, 112))),
    "edit_list": Recipe(edit_start=7 * 512, arguments=_x264("bframes=0:keyint=8")),
    "with_audio": Recipe(arguments=_x264(audio=True)),
    "fragmented": Recipe(arguments=_x264(container_options={"movflags": "frag_keyframe+empty_moov"})),
    "matroska": Recipe(".mkv", arguments=_x264()),
    "transport": Recipe(".ts", arguments=_x264(frames=40)),
    "avi": Recipe(".avi", arguments=_x264()),
    "flv": Recipe(".flv", arguments=_x264()),
    "raw": Recipe(".h264", arguments=_x264()),
    "mpeg4": Recipe(arguments={"codec": "mpeg4", "options": {"bf": "2", "g": "12"}}),
    "hevc": Recipe(arguments={"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": _X265}}),
    "vp9": Recipe(
        ".webm", arguments={"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8", "g": "12"}}
    ),
    "av1": Recipe(".mkv", arguments={"codec": "libsvtav1", "frames": 16, "options": _SVT}),
    "av1_layers": Recipe(
        arguments={"codec": "libsvtav1", "frames": 40, "size": (96, 80), "options": {**_SVT, "g": "24"}}
    ),
    "hevc_ctb16": Recipe(arguments=_x265("ctu=16:min-cu-size=8")),
    "hevc_ctb32": Recipe(arguments=_x265("ctu=32:aq-mode=2:qg-size=8")),
    "hevc_ctb64": Recipe(arguments=_x265("ctu=64:no-wpp=1")),
    "hevc_wpp": Recipe(".mkv", arguments=_x265("ctu=16:wpp=1", size=(256, 96))),
    "hevc_slices": Recipe(arguments=_x265("ctu=16:slices=3")),
    "hevc_lossless": Recipe(arguments=_x265("lossless=1", frames=6)),
    "hevc_cu_lossless": Recipe(arguments=_x265("cu-lossless=1:rd=4:crf=4", "medium", frames=6)),
    "hevc_transform_skip": Recipe(arguments=_x265("tskip=1:crf=8", "medium", frames=6)),
    "hevc_10_bit": Recipe(arguments=_x265(pix_fmt="yuv420p10le")),
    "hevc_12_bit": Recipe(arguments=_x265(pix_fmt="yuv420p12le")),
    "hevc_400": Recipe(arguments=_x265(pix_fmt="gray")),
    "hevc_422": Recipe(arguments=_x265(pix_fmt="yuv422p")),
    "hevc_422_10_bit": Recipe(arguments=_x265(pix_fmt="yuv422p10le")),
    "hevc_444": Recipe(arguments=_x265(pix_fmt="yuv444p")),
    "hevc_444_12_bit": Recipe(arguments=_x265(pix_fmt="yuv444p12le")),
    "hevc_amp": Recipe(arguments=_x265("amp=1:rect=1:rd=3:ctu=32", "medium")),
    "hevc_weighted": Recipe(arguments=_x265("weightp=1:weightb=1", fades=True)),
    "hevc_constrained_intra": Recipe(arguments=_x265("constrained-intra=1")),
    "hevc_open_gop": Recipe(arguments=_x265("open-gop=1:b-adapt=0", frames=26)),
    "hevc_layers": Recipe(arguments=_x265("temporal-layers=3:bframes=7:b-adapt=0:keyint=40:scenecut=0", frames=26)),
    "hevc_no_sao": Recipe(arguments=_x265("sao=0:signhide=0")),
    "hevc_scaling_list": Recipe(arguments=_x265("scaling-list=default")),
    "hevc_intra": Recipe(arguments=_x265("keyint=1", frames=3)),
    "hevc_constant_quantiser": Recipe(
        arguments=_x265("qp=30:ipratio=1.41421356:pbratio=1.41421356:aq-mode=0:cutree=0:b-pyramid=0")
    ),
    "hevc_odd_size": Recipe(arguments=_x265(size=(170, 98))),
    "hevc_rotated": Recipe(rotation=90, arguments=_x265(size=(176, 112))),
    "hevc_raw": Recipe(".hevc", arguments=_x265("repeat-headers=1")),
    "vp9_hidden": Recipe(
        ".webm", arguments=_vpx(rate="200k", frames=40, options={"lag-in-frames": 16, "auto-alt-ref": 1, "g": 60})
    ),
    "vp9_slow": Recipe(".webm", arguments=_vpx("good", 0, frames=8)),
    "vp9_error_resilient": Recipe(".webm", arguments=_vpx(options={"error-resilient": "default"})),
    "vp9_frame_parallel": Recipe(".webm", arguments=_vpx(options={"frame-parallel": 1})),
    "vp9_tiles": Recipe(
        ".webm", arguments=_vpx(size=(528, 272), frames=4, options={"tile-columns": 1, "tile-rows": 1})
    ),
    "vp9_lossless": Recipe(".webm", arguments=_vpx(rate="0", frames=5, options={"lossless": 1})),
    "vp9_422": Recipe(".webm", arguments=_vpx(pix_fmt="yuv422p")),
    "vp9_440": Recipe(".webm", arguments=_vpx(pix_fmt="yuv440p")),
    "vp9_444": Recipe(".webm", arguments=_vpx(pix_fmt="yuv444p")),
    "vp9_rgb": Recipe(".webm", arguments=_vpx(pix_fmt="gbrp", frames=6)),
    "vp9_gops": Recipe(".mp4", arguments=_vpx(frames=24, options={"g": 5})),
    "vp9_odd_size": Recipe(".webm", arguments=_vpx(size=(171, 99))),
    "vp9_tiny": Recipe(".webm", arguments=_vpx(size=(18, 10))),
    "vp9_segments": Recipe(".webm", arguments=_vpx("good", 4, options={"aq-mode": 1, "g": 7})),
    "vp9_cyclic_refresh": Recipe(".webm", arguments=_vpx(rate="60k", options={"aq-mode": 3})),
    "vp9_rotated": Recipe(".mp4", rotation=90, arguments=_vpx(size=(176, 112))),
    "av1_gops": Recipe(arguments=_svt("scd=0", frames=24, options={"g": 5})),
    "av1_slow": Recipe(".webm", arguments=_svt(preset=1, frames=9, size=(136, 72))),
    "av1_low_delay": Recipe(".ivf", arguments=_svt("pred-struct=1:rtc=1", preset=9)),
    "av1_screen": Recipe(".mkv", arguments=_svt("scm=1", preset=4, frames=6, is_screen=True)),
    "av1_segments": Recipe(".mkv", arguments=_svt("aq-mode=1")),
    "av1_tiles": Recipe(".mkv", arguments=_svt("tile-columns=1:tile-rows=1", size=(528, 272), frames=5)),
    "av1_switch_frames": Recipe(".mkv", arguments=_svt("pred-struct=1:sframe-dist=4:sframe-mode=2", options={"g": 16})),
    "av1_super_resolution": Recipe(".mkv", arguments=_svt("superres-mode=1:superres-denom=13", size=(200, 144))),
    "av1_resized": Recipe(".mkv", arguments=_svt("resize-mode=2", size=(200, 144))),
    "av1_lossless": Recipe(".mkv", arguments=_svt("lossless=1", frames=4, options={"crf": 0})),
    "av1_10_bit": Recipe(".mkv", arguments=_svt(pix_fmt="yuv420p10le")),
    "av1_odd_size": Recipe(".mkv", arguments=_svt(size=(171, 99))),
    "av1_tiny": Recipe(".mkv", arguments=_svt(size=(64, 64), frames=6)),
    "av1_rotated": Recipe(rotation=90, arguments=_svt(size=(176, 112))),
    "one_frame": Recipe(arguments=_x264(frames=1)),
    "readme": Recipe(arguments=_x264("keyint=60", frames=120, size=(320, 192))),
    "long": Recipe(arguments=_x264("keyint=50", frames=240, size=(96, 80))),
}


def _encoded_with(codec: str) -> list[str]:
    return [name for name, recipe in CLIPS.items() if recipe.arguments.get("codec", "libx264") == codec]


#: The clips whose bits the parser reads, by codec.
H264_CLIPS = _encoded_with("libx264")
HEVC_CLIPS = _encoded_with("libx265")
VP9_CLIPS = _encoded_with("libvpx-vp9")
AV1_CLIPS = _encoded_with("libsvtav1")
