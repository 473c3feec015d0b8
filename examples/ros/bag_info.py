"""Show the topics of a bag and their first messages.

python bag_info.py drive.bag -n 1
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from pathlib import Path

from bags import open_bag


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("bag", type=Path, help="a .bag file of ROS 1 or a folder of ROS 2")
    parser.add_argument("-n", type=int, default=1, help="messages to show of each topic (1)")
    given = parser.parse_args(arguments)
    with open_bag(given.bag) as reader:
        print(
            f"{given.bag}: ROS {2 if reader.is2 else 1}, {reader.message_count} messages, {reader.duration / 1e9:.3f} s"
        )
        for connection in reader.connections:
            print(f"\n{connection.topic}: {connection.msgcount} of {connection.msgtype}")
            for _, time, data in islice(reader.messages(connections=[connection]), given.n):
                shown = repr(reader.deserialize(data, connection.msgtype))
                print(f"  {time} {shown if len(shown) <= 300 else shown[:300] + '...'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
