"""LeRobot's frames: seconds in whatever number type, and always the right frame."""

from __future__ import annotations

import json
import shutil
from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaref import MediaRef, batch_decode
from mediaref.compat.lerobot import from_videoframe, lerobot_episode_to_refs, to_videoframe
from mediaref.errors import InvalidReferenceError
from mediaref.video_decoder import VideoIndex, decode_frames

Clip = Callable[[str], Path]

RATES = [Fraction(rate) for rate in (10, 15, 16, 24, 25, 30, 50, 60)]
RATES += [Fraction(rate * 1000, 1001) for rate in (24, 30, 60)]


@pytest.mark.parametrize(
    ("timestamp", "pts_ns"),
    [
        (1.5, 1_500_000_000),
        (0.1, 100_000_000),
        (2, 2_000_000_000),
        (True, 1_000_000_000),
        (-0.5, -500_000_000),
        (0.0, 0),
        (Fraction(1, 4), 250_000_000),
        (np.float64(0.1), 100_000_000),
        (np.float32(1.5), 1_500_000_000),
        (np.int64(3), 3_000_000_000),
        (np.array(1.5, np.float32), 1_500_000_000),
        (1e30, 10**39),
    ],
)
def test_from_videoframe_takes_every_kind_of_number(timestamp: Any, pts_ns: int) -> None:
    ref = from_videoframe({"path": "a.mp4", "timestamp": timestamp, "more": 1})
    assert ref.uri == "a.mp4"
    assert ref.pts_ns is not None
    assert ref.pts_ns == pytest.approx(pts_ns, rel=1e-15)


@pytest.mark.parametrize(
    ("frame", "kind", "words"),
    [
        ({"path": "a"}, KeyError, "timestamp"),
        ({"timestamp": 1.0}, KeyError, "path"),
        ({"path": 1, "timestamp": 1.0}, TypeError, "path must be str"),
        ({"path": "a", "timestamp": "1"}, TypeError, "must be numeric; got str"),
        ({"path": "a", "timestamp": None}, TypeError, "must be numeric; got NoneType"),
        ({"path": "a", "timestamp": np.zeros(1)}, TypeError, "must be numeric; got ndarray"),
        ({"path": "a", "timestamp": 1j}, TypeError, "must be numeric; got complex"),
        ({"path": "a", "timestamp": float("nan")}, InvalidReferenceError, "finite"),
        ({"path": "a", "timestamp": np.float32("inf")}, InvalidReferenceError, "finite"),
    ],
)
def test_from_videoframe_refuses_what_is_no_frame(frame: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        from_videoframe(frame)


def test_to_videoframe_is_the_way_back() -> None:
    ref = MediaRef(uri="a.mp4", pts_ns=1_500_000_003)
    assert to_videoframe(ref) == {"path": "a.mp4", "timestamp": 1.500000003}
    assert from_videoframe(to_videoframe(ref)) == ref
    assert from_videoframe({"path": Path("a.mp4"), "timestamp": 1}).uri == "a.mp4"
    with pytest.raises(ValueError, match="pts_ns is None"):
        to_videoframe(MediaRef(uri="a.png"))


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("kind", [float, np.float32, lambda time: float(np.float32(time))], ids=str)
def test_a_timestamp_finds_its_frame_whatever_its_precision(rate: Fraction, kind: Callable[[float], Any]) -> None:
    frames = int(500 * rate)
    begins = [number * 10**9 // rate for number in range(frames + 1)]
    for number in range(0, frames, 1 if frames < 10_000 else 3):
        ref = from_videoframe({"path": "a", "timestamp": kind(float(number / rate))})
        assert ref.pts_ns is not None
        assert bisect_right(begins, ref.pts_ns) - 1 == number


@pytest.mark.parametrize("kind", [float, np.float32], ids=str)
def test_an_episode_inside_a_longer_video_finds_its_frames(clip: Clip, kind: Callable[[float], Any]) -> None:
    index = VideoIndex.open(clip("long"))
    for first in range(0, 200, 7):
        times = [kind(number / 30) for number in range(20)]
        refs = lerobot_episode_to_refs(
            video_path=str(clip("long")), from_timestamp=kind(first / 30), frame_timestamps=iter(times)
        )
        assert index.frames_at([ref.pts_ns for ref in refs]).tolist() == list(range(first, first + 20))
    with pytest.raises(TypeError, match=r"frame_timestamps\[1\] must be numeric"):
        lerobot_episode_to_refs(video_path="a", from_timestamp=0.0, frame_timestamps=[0.0, "1"])  # type: ignore[list-item]


def test_a_folder_of_lerobot_v3_is_read_by_reference(clip: Clip, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pq = pytest.importorskip("pyarrow.parquet")
    camera, lengths, rate = "observation.images.front", [70, 100, 50], 30
    starts = [0, 70, 170]
    pattern = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    for name in ("meta/episodes/chunk-000", "data/chunk-000", f"videos/{camera}/chunk-000"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "meta" / "info.json").write_text(json.dumps({"codebase_version": "v3.0", "video_path": pattern}))
    shutil.copy(clip("long"), tmp_path / pattern.format(video_key=camera, chunk_index=0, file_index=0))
    episodes = {
        "episode_index": [0, 1, 2],
        f"videos/{camera}/chunk_index": [0, 0, 0],
        f"videos/{camera}/file_index": [0, 0, 0],
        f"videos/{camera}/from_timestamp": [start / rate for start in starts],
    }
    pq.write_table(pa.table(episodes), tmp_path / "meta/episodes/chunk-000/file-000.parquet")
    rows = [(episode, frame) for episode, length in enumerate(lengths) for frame in range(length)]
    stamps = pa.array(np.array([frame / rate for _, frame in rows], np.float32))
    data = {"episode_index": [episode for episode, _ in rows], "timestamp": stamps}
    pq.write_table(pa.table(data), tmp_path / "data/chunk-000/file-000.parquet")

    # From here on as a reader does it who knows the folder only.
    info = json.loads((tmp_path / "meta" / "info.json").read_text())
    frames = pq.read_table(tmp_path / "data/chunk-000/file-000.parquet").to_pydict()
    refs: list[MediaRef] = []
    for episode in pq.read_table(tmp_path / "meta/episodes/chunk-000/file-000.parquet").to_pylist():
        place = {name: episode[f"videos/{camera}/{name}"] for name in ("chunk_index", "file_index")}
        refs += lerobot_episode_to_refs(
            video_path=info["video_path"].format(video_key=camera, **place),
            from_timestamp=episode[f"videos/{camera}/from_timestamp"],
            frame_timestamps=[
                time
                for time, number in zip(frames["timestamp"], frames["episode_index"], strict=True)
                if number == episode["episode_index"]
            ],
        )
    index = VideoIndex.open(clip("long"))
    assert index.frames_at([ref.pts_ns for ref in refs]).tolist() == list(range(220))
    asked = [refs[number].resolve_relative_path(str(tmp_path)) for number in (0, 69, 70, 170, 219)]
    for pixels, (_, expected) in zip(batch_decode(asked), decode_frames(index, [0, 69, 70, 170, 219]), strict=True):
        np.testing.assert_array_equal(pixels, expected)
