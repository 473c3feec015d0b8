"""Turn the images of a bag into videos, and the messages that held them into references.

    python bag_to_mediaref.py drive.bag

writes drive_mediaref.bag and drive_mediaref.media/ beside it. Every topic of CompressedImage becomes a video with the
recorded timestamps and a topic of std_msgs/String with the references as JSON; all other topics are copied as they are.
An image that does not decode is left out, and changes nothing for those after it.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bags import HEADER, HEADER_TOPIC, IMAGE, TEXT, BagWriter, open_bag, staged
from camera_video import CameraVideo
from rosbags.highlevel import AnyReader

from mediaref import MediaRef, images
from mediaref.errors import MediaRefError


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    source: Path = given.bag
    target = given.out or source.with_name(f"{source.stem}_mediaref{source.suffix}")
    media = target.with_suffix(".media")
    with staged(target, media) as (bag, folder), open_bag(source) as reader:
        counts = convert(reader, bag, folder, keyframe_interval=given.keyframe_interval, crf=given.crf)
    before, after = _size(source), _size(target) + _size(media)
    for topic, (kept, broken) in counts.items():
        print(f"{topic}: {kept} images" + (f", {broken} broken ones left out" if broken else ""))
    print(f"{target}: {before / 1e6:.1f} MB -> {after / 1e6:.1f} MB with {media.name}/")
    return 0


def convert(
    reader: AnyReader, bag: Path, folder: Path, *, keyframe_interval: float, crf: int
) -> dict[str, tuple[int, int]]:
    """Write the bag and the videos; returns how many images of each topic were kept and how many were broken."""
    folder.mkdir()
    counts: dict[str, tuple[int, int]] = {}
    with ExitStack() as stack:
        writer = stack.enter_context(BagWriter(bag, reader))
        cameras: dict[str, tuple[str, CameraVideo]] = {}
        for connection, time, data in reader.messages():
            topic = connection.topic
            message: Any = reader.deserialize(data, IMAGE) if connection.msgtype == IMAGE else None
            if message is None or not _is_picture(message.format):
                writer.copy(connection, time, data)
                continue
            kept, broken = counts.get(topic, (0, 0))
            try:
                pixels = images.decode(message.data.tobytes())
            except MediaRefError as error:
                print(f"{topic} at {time}: {error}", file=sys.stderr)
                counts[topic] = kept, broken + 1
                continue
            size = (pixels.shape[1], pixels.shape[0])
            if topic not in cameras or cameras[topic][1].size != size:  # another size begins another video
                name = _file_name(topic, folder)
                video = stack.enter_context(CameraVideo(folder / name, size, keyframe_interval, crf))
                cameras[topic] = f"{folder.name}/{name}", video
            uri, video = cameras[topic]
            ref = MediaRef(uri=uri, pts_ns=video.add(pixels, time))
            writer.write(topic, TEXT, time, writer.make(TEXT, data=ref.model_dump_json()))
            writer.write(topic + HEADER_TOPIC, HEADER, time, message.header)
            counts[topic] = kept + 1, broken
    return counts


def _is_picture(format: str) -> bool:
    """Depth and other measurements are no pictures: a lossy video would spoil them."""
    return "compressedDepth" not in format and not format.startswith(("16U", "16S", "32F", "64F"))


def _file_name(topic: str, folder: Path) -> str:
    stem = topic.strip("/").replace("/", "_")
    taken = len(list(folder.glob(f"{stem}.mp4"))) + len(list(folder.glob(f"{stem}-*.mp4")))
    return f"{stem}-{taken}.mp4" if taken else f"{stem}.mp4"


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*")) if path.is_dir() else path.stat().st_size


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("bag", type=Path, help="a .bag file of ROS 1 or a folder of ROS 2")
    parser.add_argument("-o", "--out", type=Path, help="the bag to write (default: NAME_mediaref beside the input)")
    parser.add_argument(
        "--keyframe-interval", type=_positive, default=1.0, metavar="SECONDS", help="longest way to a key frame (1.0)"
    )
    parser.add_argument("--crf", type=int, default=20, help="quality of the videos, 0 (lossless) to 51 (20)")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
