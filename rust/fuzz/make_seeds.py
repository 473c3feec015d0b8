"""Seeds for the fuzzers: small streams of every codec, made on the spot or cut from the videos of some folders.

    python make_seeds.py OUT [FOLDER ...]

writes `OUT/<codec>/<name>`, each the container's codec data and the first packets of one stream, a 16-bit length before
every part; `OUT/index/<name>` is the same with the codec's number in front. Without folders the streams are the clips
of the tests, encoded smaller.
"""

from __future__ import annotations

import dataclasses
import struct
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import av

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from clips import AV1_CLIPS, CLIPS, H264_CLIPS, HEVC_CLIPS, VP9_CLIPS

MOST_PACKETS = 12
MOST_BYTES = 6_000
#: Clips whose size is what they are about.
SIZED = {"vp9_tiles", "vp9_odd_size", "vp9_tiny", "hevc_wpp", "av1_tiles", "av1_odd_size", "av1_tiny"}
#: x265 takes no picture below 2 of its largest blocks.
SMALL = {"libx264": (80, 48), "libx265": (144, 112), "libvpx-vp9": (80, 72), "libsvtav1": (80, 72)}
CODECS = ("h264", "hevc", "vp9", "av1")


def parts(path: Path) -> tuple[str, list[bytes]]:
    """Codec and parts of the first video stream: its codec data, then its first packets."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        found = [bytes(stream.codec_context.extradata or b"")]
        for packet in container.demux(stream):
            if packet.size and sum(map(len, found)) + packet.size <= MOST_BYTES and len(found) <= MOST_PACKETS:
                found.append(bytes(packet))
            elif packet.size:
                break
        return stream.codec_context.codec.canonical_name, found


def write_seed(out: Path, name: str, path: Path) -> None:
    try:
        codec, found = parts(path)
    except (ValueError, OSError, IndexError, AttributeError):
        return  # a folder of test streams holds some that no demuxer reads
    if codec in CODECS and len(found) > 1:
        folder = out / codec
        folder.mkdir(parents=True, exist_ok=True)
        stream = b"".join(struct.pack(">H", len(part)) + part for part in found)
        (folder / name).write_bytes(stream)
        (out / "index").mkdir(exist_ok=True)
        (out / "index" / name).write_bytes(bytes([CODECS.index(codec)]) + stream)


def cheap(codec: str, options: dict[str, str]) -> dict[str, str]:
    """The same encoder settings for a few bits a frame: an input is parsed in no time, and half of it is headers."""
    made = {name: f"{value}:crf=42" if name.endswith("-params") else value for name, value in options.items()}
    is_lossy_vp9 = codec == "libvpx-vp9" and "lossless" not in options
    return {**made, "qmin": "57", "qmax": "63", "crf": "60"} if is_lossy_vp9 else made


def small_clips(folder: Path) -> Iterable[Path]:
    for name in (*H264_CLIPS, *HEVC_CLIPS, *VP9_CLIPS, *AV1_CLIPS):
        recipe = CLIPS[name]
        arguments = {**recipe.arguments, "frames": min(6, recipe.arguments.get("frames", 6)), "audio": False}
        arguments.pop("timestamps", None)
        codec = arguments.setdefault("codec", "libx264")
        if name not in SIZED:
            arguments["size"] = SMALL[codec]
        arguments["options"] = cheap(codec, arguments.get("options", {}))
        yield dataclasses.replace(recipe, arguments=arguments, edit_start=None).build(folder, name)


def main(out: str, *folders: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        paths = [path for folder in folders for path in sorted(Path(folder).rglob("*")) if path.is_file()]
        for number, path in enumerate(paths or small_clips(Path(made))):
            write_seed(Path(out), f"{number:04}_{path.stem}", path)


if __name__ == "__main__":
    av.logging.set_level(av.logging.PANIC)
    main(*sys.argv[1:])
