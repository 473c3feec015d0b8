"""Turn a bag with references back into one with images.

    python mediaref_to_bag.py drive_mediaref.bag -o drive_again.bag

Every reference becomes a CompressedImage (JPEG) with the header that the image had; all other topics are copied.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from bags import HEADER, HEADER_TOPIC, IMAGE, BagWriter, open_bag, reference_of, staged
from rosbags.highlevel import AnyReader

from mediaref import MediaRef, images, iter_decode


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("bag", type=Path, help="a bag that bag_to_mediaref.py has written")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the bag to write")
    parser.add_argument("--quality", type=int, default=90, help="of the JPEG images, 1 to 100 (90)")
    given = parser.parse_args(arguments)
    with staged(given.out) as (bag,), open_bag(given.bag) as reader:
        restored = restore(reader, bag, base=given.bag.parent, quality=given.quality)
    print(f"{given.out}: {restored} images")
    return 0


def restore(reader: AnyReader, bag: Path, *, base: Path, quality: int) -> int:
    """Write the bag; returns how many images it has. `base` is what relative references start from."""
    refs, headers = references_and_headers(reader, base)
    frames = iter_decode(list(refs.values()))  # in the order of the messages, some at a time
    with BagWriter(bag, reader) as writer:
        for number, (connection, time, data) in enumerate(reader.messages()):
            if number in refs:
                header = headers.get((connection.topic, time)) or writer.make_header(time)
                jpeg = np.frombuffer(images.encode(next(frames), "jpeg", quality), np.uint8)
                message = writer.make(IMAGE, header=header, format="jpeg", data=jpeg)
                writer.write(connection.topic, IMAGE, time, message)
            elif not (connection.msgtype == HEADER and connection.topic.endswith(HEADER_TOPIC)):
                writer.copy(connection, time, data)
    return len(refs)


def references_and_headers(reader: AnyReader, base: Path) -> tuple[dict[int, MediaRef], dict[tuple[str, int], object]]:
    """References by the number of their message in the bag, and the headers of the images by topic and time."""
    refs: dict[int, MediaRef] = {}
    headers: dict[tuple[str, int], object] = {}
    for number, (connection, time, data) in enumerate(reader.messages()):
        ref = reference_of(reader, connection, data)
        if ref is not None:
            refs[number] = ref.resolve_relative_path(base, on_unresolvable="ignore")
        elif connection.msgtype == HEADER and connection.topic.endswith(HEADER_TOPIC):
            headers[connection.topic.removesuffix(HEADER_TOPIC), time] = reader.deserialize(data, HEADER)
    return refs, headers


if __name__ == "__main__":
    sys.exit(main())
