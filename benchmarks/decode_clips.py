"""The videos that decoding is measured on: every codec, keyframes near and far, small and large, and a long file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from clips import WORK, Encoding, demo, encode

#: Frames of a clip by its height in lines.
FRAMES = {360: 1500, 1080: 600}
#: Frames between keyframes.
GOPS = (40, 250)
#: Minutes of the long file.
LONG_MINUTES = 60

#: B pictures as each encoder makes them by itself.
ENCODERS: dict[str, Encoding] = {
    "h264": ("libx264", {"preset": "fast", "crf": "23"}),
    "hevc": ("libx265", {"preset": "veryfast", "crf": "27", "x265-params": "log-level=none"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "6", "b": "0", "crf": "36"}),
    "av1": ("libsvtav1", {"preset": "10", "crf": "38"}),
}


def made_clips(codecs: list[str], gops: list[int], sizes: list[int]) -> list[Path]:
    """The clips of these kinds; those of a size are encoded together on first use."""
    found = []
    for height in sizes:
        wanted = {
            WORK / f"{codec}-g{gop}-{height}p.mp4": (ENCODERS[codec][0], {**ENCODERS[codec][1], "g": str(gop)})
            for codec in codecs
            for gop in gops
        }
        encode(wanted, FRAMES[height], (height * 16 // 9, height))
        found += wanted
    return found


def made_long_clip(short: Path) -> Path:
    """The packets of `short` over and over, until it lasts `LONG_MINUTES`: the same encoding, another length."""
    path = short.with_name(f"{short.stem}-{LONG_MINUTES}min.mp4")
    if path.exists():
        return path
    part = path.with_suffix(".part")
    with av.open(str(short)) as source, av.open(str(part), "w", format="mp4") as output:
        given = source.streams.video[0]
        stream = output.add_stream_from_template(given)
        packets = [packet for packet in source.demux(given) if packet.size]
        base = Fraction(given.time_base or 1)
        step = round(given.frames / Fraction(demo.RATE) / base)
        for number in range(round(LONG_MINUTES * 60 / (step * base))):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.pts, again.dts = packet.pts + number * step, packet.dts + number * step
                again.duration, again.time_base, again.is_keyframe = packet.duration, base, packet.is_keyframe
                again.stream = stream
                output.mux(again)
    part.rename(path)
    return path


def remuxed(clip: Path) -> Path:
    """The packets of an MP4 file in a Matroska file."""
    path = clip.with_suffix(".mkv")
    if path.exists():
        return path
    part = path.with_suffix(".part")
    with av.open(str(clip)) as source, av.open(str(part), "w", format="matroska") as output:
        given = source.streams.video[0]
        stream = output.add_stream_from_template(given)
        for packet in source.demux(given):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    part.rename(path)
    return path
