"""Bags of ROS 1 (`.bag`) and ROS 2 (folders), read and written alike; no ROS has to be installed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import ValidationError
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from mediaref import MediaRef

IMAGE = "sensor_msgs/msg/CompressedImage"
TEXT = "std_msgs/msg/String"
HEADER = "std_msgs/msg/Header"
#: Beside a topic of references: the headers of the images, which a reference has no room for.
HEADER_TOPIC = "/image_header"


def open_bag(path: Path) -> AnyReader:
    """A reader for either generation, to be used in a `with` block."""
    return AnyReader([path], default_typestore=get_typestore(Stores.LATEST))


def reference_of(reader: AnyReader, connection: Connection, data: bytes) -> MediaRef | None:
    """The reference that a message holds; None if it holds something else."""
    if connection.msgtype != TEXT:
        return None
    message: Any = reader.deserialize(data, TEXT)
    try:
        return MediaRef.model_validate_json(message.data)
    except ValidationError:
        return None


@contextmanager
def staged(*targets: Path) -> Iterator[list[Path]]:
    """Paths to write to; they become `targets` when all is done, and nothing is left of them otherwise."""
    for target in targets:
        if target.exists():
            raise FileExistsError(f"{target}: exists already")
    targets[0].parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".mediaref-", dir=targets[0].parent))
    try:
        paths = [folder / target.name for target in targets]
        yield paths
        for path, target in zip(paths, targets, strict=True):
            path.rename(target)
    finally:
        shutil.rmtree(folder)


class BagWriter:
    """Writes a bag of the generation and storage of another one. Use it in a `with` block."""

    def __init__(self, path: Path, like: AnyReader) -> None:
        self._is2 = like.is2
        self._types = like.typestore
        self._own_types = get_typestore(Stores.LATEST if like.is2 else Stores.ROS1_NOETIC)
        self._connections: dict[tuple[Any, ...], Any] = {}
        self._writer: Any
        if like.is2:
            is_mcap = any(like.paths[0].glob("*.mcap"))
            storage = StoragePlugin.MCAP if is_mcap else StoragePlugin.SQLITE3
            self._writer = Writer2(path, version=Writer2.VERSION_LATEST, storage_plugin=storage)
        else:
            self._writer = Writer1(path)

    def copy(self, connection: Connection, time: int, data: bytes) -> None:
        """Write a message of the other bag as it is."""
        key = (connection.id, connection.owner)
        if key not in self._connections:
            extras = {name: value for name, value in connection.ext._asdict().items() if value is not None}
            self._connections[key] = self._writer.add_connection(
                connection.topic, connection.msgtype, typestore=self._types, **extras
            )
        self._writer.write(self._connections[key], time, data)

    def write(self, topic: str, msgtype: str, time: int, message: object) -> None:
        """Write a message of one of the common types, made with `make`."""
        if (topic, msgtype) not in self._connections:
            self._connections[topic, msgtype] = self._writer.add_connection(topic, msgtype, typestore=self._own_types)
        serialize = self._own_types.serialize_cdr if self._is2 else self._own_types.serialize_ros1
        self._writer.write(self._connections[topic, msgtype], time, serialize(message, msgtype))

    def make(self, msgtype: str, **fields: Any) -> object:
        """A message of one of the common types."""
        return self._own_types.types[msgtype](**fields)

    def make_header(self, time: int) -> object:
        """The header of something that happened at `time` in nanoseconds."""
        seconds, nanoseconds = divmod(time, 1_000_000_000)
        stamp = self.make("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
        sequence = {} if self._is2 else {"seq": 0}
        return self.make(HEADER, stamp=stamp, frame_id="", **sequence)

    def __enter__(self) -> BagWriter:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)
