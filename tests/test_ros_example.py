"""examples/ros: bags of both generations, their cameras as videos and back. The tests make the bags."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from mediaref import MediaRef, batch_decode, images
from mediaref.video_decoder import VideoIndex

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "ros"))

import bag_info
import bag_to_mediaref
import mediaref_decode
import mediaref_to_bag
from bags import open_bag, reference_of

EXAMPLE = Path(bag_info.__file__).parent
START = 1_700_000_000_123_456_789
FRONT, REAR, SPEED = "/camera/front/compressed", "/camera/rear/compressed", "/speed"
#: Milliseconds at which the cameras took pictures: neither keeps a constant rate.
TIMES = {FRONT: [0, 33, 67, 150, 151, 400, 433, 900, 1400, 1433, 1467, 2500], REAR: [5, 55, 250, 260, 270, 1000, 3000]}
IMAGE, FLOAT = "sensor_msgs/msg/CompressedImage", "std_msgs/msg/Float64"


def shade(topic: str, number: int) -> int:
    """The brightness by which a picture is known again."""
    return 20 + 16 * number + (8 if topic == REAR else 0)


def jpeg(topic: str, number: int) -> bytes:
    size = (48, 64, 3) if topic == FRONT else (33, 45, 3)  # odd sizes exist
    return images.encode(np.full(size, shade(topic, number), np.uint8), "jpeg", 95)


def make_bag(path: Path, kind: str, broken: tuple[int, ...] = (), format: str = "jpeg") -> Path:
    """A bag with two cameras and a speed; `broken` images of the front camera are cut off in the middle."""
    is2 = kind != "ros1"
    types = get_typestore(Stores.ROS2_HUMBLE if is2 else Stores.ROS1_NOETIC)
    storage = StoragePlugin.MCAP if kind == "mcap" else StoragePlugin.SQLITE3
    writer: Any = Writer2(path, version=9, storage_plugin=storage) if is2 else Writer1(path)
    serialize = types.serialize_cdr if is2 else types.serialize_ros1
    events = [(START + ms * 1_000_000, topic, n) for topic, times in TIMES.items() for n, ms in enumerate(times)]
    events += [(START + ms * 1_000_000, SPEED, ms) for ms in range(0, 3000, 300)]
    with writer:
        connections = {
            topic: writer.add_connection(topic, FLOAT if topic == SPEED else IMAGE, typestore=types)
            for topic in (FRONT, REAR, SPEED)
        }
        for time, topic, number in sorted(events):
            message: Any
            if topic == SPEED:
                message = types.types[FLOAT](number / 7)
            else:
                data = jpeg(topic, number)
                data = data[: len(data) // 2] if topic == FRONT and number in broken else data
                stamp = types.types["builtin_interfaces/msg/Time"](sec=number, nanosec=77)
                sequence = {} if is2 else {"seq": number}
                header = types.types["std_msgs/msg/Header"](stamp=stamp, frame_id=f"lens{topic}", **sequence)
                message = types.types[IMAGE](header, format, np.frombuffer(data, np.uint8))
            writer.write(connections[topic], time, serialize(message, message.__msgtype__))
    return path


@pytest.fixture(params=["ros1", "ros2", "mcap"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def bag_path(folder: Path, kind: str, name: str = "drive") -> Path:
    return folder / (f"{name}.bag" if kind == "ros1" else name)


def converted(folder: Path, kind: str, *options: str, **how: Any) -> Path:
    source = make_bag(bag_path(folder, kind), kind, **how)
    assert bag_to_mediaref.main([str(source), *options]) == 0
    return bag_path(folder, kind, "drive_mediaref")


def references(bag: Path) -> dict[str, list[tuple[int, MediaRef]]]:
    """Milliseconds after the start and the reference, for each topic that has some."""
    found: dict[str, list[tuple[int, MediaRef]]] = {}
    with open_bag(bag) as reader:
        for connection, time, data in reader.messages():
            ref = reference_of(reader, connection, data)
            if ref is not None:
                found.setdefault(connection.topic, []).append(((time - START) // 1_000_000, ref))
    return found


def brightness(refs: list[MediaRef], folder: Path) -> list[float]:
    frames = batch_decode([ref.resolve_relative_path(folder) for ref in refs], allow_multi_video=True)
    return [float(frame.mean()) for frame in frames]


def test_every_camera_becomes_a_video_with_the_recorded_times(tmp_path: Path, kind: str) -> None:
    found = references(converted(tmp_path, kind))
    assert {topic: [ms for ms, _ in refs] for topic, refs in found.items()} == TIMES
    for topic, refs in found.items():
        assert {ref.uri for _, ref in refs} == {f"drive_mediaref.media/{topic.strip('/').replace('/', '_')}.mp4"}
        expected = [(ms - TIMES[topic][0]) * 1_000_000 for ms in TIMES[topic]]
        assert [ref.pts_ns for _, ref in refs] == expected
        assert VideoIndex.open(tmp_path / refs[0][1].uri).pts_ns.tolist() == expected  # type: ignore[union-attr]


def test_every_reference_of_every_camera_decodes_to_its_picture(tmp_path: Path) -> None:
    found = references(converted(tmp_path, "ros2"))
    for topic, refs in found.items():
        shown = brightness([ref for _, ref in refs], tmp_path)
        np.testing.assert_allclose(shown, [shade(topic, number) for number in range(len(refs))], atol=2)
    everything = [ref for refs in found.values() for _, ref in refs]
    assert len(brightness(everything, tmp_path)) == sum(map(len, TIMES.values()))


def test_a_broken_image_shifts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = references(converted(tmp_path, "ros1", broken=(0, 4)))[FRONT]
    kept = [number for number in range(12) if number not in {0, 4}]
    assert [ms for ms, _ in found] == [TIMES[FRONT][number] for number in kept]
    np.testing.assert_allclose(
        brightness([ref for _, ref in found], tmp_path), [shade(FRONT, number) for number in kept], atol=2
    )
    said = capsys.readouterr()
    assert f"{FRONT}: 10 images, 2 broken ones left out" in said.out
    assert said.err.count("damaged") == 2


@pytest.mark.parametrize(("interval", "keys"), [("1000", 1), ("1", 3), ("0.4", 5), ("0.000001", 12)])
def test_the_keyframe_interval_is_one_of_time(tmp_path: Path, interval: str, keys: int) -> None:
    found = references(converted(tmp_path, "ros2", "--keyframe-interval", interval))
    index = VideoIndex.open(tmp_path / found[FRONT][0][1].uri)
    assert int(index.is_key.sum()) == keys


def test_other_topics_are_copied_byte_for_byte(tmp_path: Path, kind: str) -> None:
    target = converted(tmp_path, kind)

    def speeds(bag: Path) -> list[tuple[int, bytes]]:
        with AnyReader([bag]) as reader:
            return [(time, bytes(data)) for connection, time, data in reader.messages() if connection.topic == SPEED]

    assert speeds(target) == speeds(bag_path(tmp_path, kind))
    assert len(speeds(target)) == 10


def test_measurements_in_images_are_no_pictures_and_stay(tmp_path: Path) -> None:
    target = converted(tmp_path, "ros2", format="16UC1; compressedDepth png")
    assert references(target) == {}
    with open_bag(target) as reader:
        assert {c.topic: c.msgtype for c in reader.connections} == {FRONT: IMAGE, REAR: IMAGE, SPEED: FLOAT}


def test_the_way_back_restores_images_headers_and_times(tmp_path: Path, kind: str) -> None:
    source = bag_path(tmp_path, kind)
    converted(tmp_path, kind)
    again = bag_path(tmp_path, kind, "again")
    assert mediaref_to_bag.main([str(bag_path(tmp_path, kind, "drive_mediaref")), "-o", str(again)]) == 0
    with open_bag(source) as before, open_bag(again) as after:
        assert {c.topic: (c.msgtype, c.msgcount) for c in before.connections} == {
            c.topic: (c.msgtype, c.msgcount) for c in after.connections
        }

        def by_topic(item: Any) -> Any:
            return item[0].topic, item[1]

        for old, new in zip(
            sorted(before.messages(), key=by_topic), sorted(after.messages(), key=by_topic), strict=True
        ):
            assert old[1] == new[1]
            if old[0].topic == SPEED:
                assert bytes(old[2]) == bytes(new[2])
                continue
            was: Any = before.deserialize(old[2], IMAGE)
            now: Any = after.deserialize(new[2], IMAGE)
            assert (now.header.frame_id, now.header.stamp.sec) == (was.header.frame_id, was.header.stamp.sec)
            pixels, original = images.decode(now.data.tobytes()), images.decode(was.data.tobytes())
            assert pixels.shape == original.shape
            assert abs(float(pixels.mean()) - float(original.mean())) < 3


def test_what_fails_leaves_nothing_behind_and_overwrites_nothing(tmp_path: Path) -> None:
    source = make_bag(tmp_path / "drive.bag", "ros1")
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])  # its index is gone
    with pytest.raises(Exception, match="index"):
        bag_to_mediaref.main([str(source)])
    assert [path.name for path in tmp_path.iterdir()] == ["drive.bag"]
    source.write_bytes(whole)
    assert bag_to_mediaref.main([str(source)]) == 0
    with pytest.raises(FileExistsError):
        bag_to_mediaref.main([str(source)])
    assert len(references(tmp_path / "drive_mediaref.bag")[FRONT]) == 12


def test_decode_and_info_show_what_a_bag_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = converted(tmp_path, "ros2")
    assert mediaref_decode.main([str(target), "-n", "8", "--decode", "-o", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 8
    assert bag_info.main([str(target)]) == 0
    said = capsys.readouterr().out
    assert f"{START} {FRONT} " in said
    assert f"{FRONT}: 12 of std_msgs/msg/String" in said


def test_the_commands_of_its_readme_run(tmp_path: Path) -> None:
    make_bag(tmp_path / "drive.bag", "ros1")
    (block,) = re.findall(r"```bash\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    for line in block.splitlines():
        python, script, *arguments = line.split()
        assert python == "python"
        done = subprocess.run(
            [sys.executable, EXAMPLE / script, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "drive_again.bag").is_file()
