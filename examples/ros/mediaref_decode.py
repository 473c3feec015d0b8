"""Show the references of a bag, and decode them.

python mediaref_decode.py drive_mediaref.bag -n 10 --decode -o frames
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from pathlib import Path

from bags import open_bag, reference_of

from mediaref import batch_decode, images


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("bag", type=Path, help="a bag that bag_to_mediaref.py has written")
    parser.add_argument("-n", type=int, default=30, help="how many references (30)")
    parser.add_argument("--decode", action="store_true", help="write the pictures as PNG files")
    parser.add_argument("-o", "--out-dir", type=Path, default=Path("decoded_frames"), help="where to (decoded_frames)")
    given = parser.parse_args(arguments)
    with open_bag(given.bag) as reader:
        messages = (
            (connection, time, reference_of(reader, connection, data)) for connection, time, data in reader.messages()
        )
        found = list(islice(((c.topic, time, ref) for c, time, ref in messages if ref is not None), given.n))
    for topic, time, ref in found:
        print(f"{time} {topic} {ref.model_dump_json()}")
    if given.decode:
        refs = [ref.resolve_relative_path(given.bag.parent, on_unresolvable="ignore") for _, _, ref in found]
        given.out_dir.mkdir(parents=True, exist_ok=True)
        frames = batch_decode(refs, allow_images=True, allow_multi_video=True)
        for (topic, time, _), frame in zip(found, frames, strict=True):
            path = given.out_dir / f"{topic.strip('/').replace('/', '_')}_{time}.png"
            path.write_bytes(images.encode(frame, "png"))
        print(f"{len(frames)} pictures in {given.out_dir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
