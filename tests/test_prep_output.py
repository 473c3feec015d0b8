"""The output folder is complete or absent, whatever happens."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from codec_video_prep import run_preinfer
from codec_video_prep.output import CanvasWriter, OutputError, OutputExistsError, locked, new_folder
from mediaref.errors import MediaRefError

Clip = Callable[[str], Path]


@pytest.fixture
def video(clip: Clip, tmp_path: Path) -> Path:
    """A clip that a test may change."""
    return Path(shutil.copy(clip("plain"), tmp_path / "video.mp4"))


def run(video: Path, out: Path, **options: object) -> float:
    """When the run that filled `out` finished writing it."""
    run_preinfer(str(video), str(out), **{"num_sampled_frames": 10, **options})  # type: ignore[arg-type]
    return (out / "meta.json").stat().st_mtime_ns


def test_a_finished_run_is_found_and_not_done_again(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(video, out)
    assert run(video, out) == first
    assert run(video, out, parallel_segments=1) == first  # the same result, made in another way
    assert run(video, out, overwrite=True) > first


def test_a_finished_run_is_found_when_its_video_has_moved(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(video, out)
    moved = Path(shutil.copy2(video, tmp_path / "moved.mp4"))
    video.unlink()
    assert run(moved, out) == first


def test_another_run_is_not_replaced_without_being_told(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(video, out)
    with pytest.raises(OutputExistsError, match="overwrite"):
        run(video, out, num_sampled_frames=11)
    with video.open("ab") as file:
        file.write(bytes(8))  # another video under the same name
    with pytest.raises(OutputExistsError, match="overwrite"):
        run(video, out)
    assert run(video, out, overwrite=True) > first
    assert np.load(out / "frame_ids.npy").shape == (10,)


def test_overwriting_leaves_nothing_of_the_earlier_run(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(video, out, grouping_mode="fixed", group_size=4, canvas_format="png")
    run(video, out, overwrite=True)
    assert not list(out.glob("*.png"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "video.mp4"]


def test_an_unfinished_folder_is_not_taken_for_a_finished_one(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(video, out)
    (out / "_DONE").unlink()
    with pytest.raises(OutputExistsError):
        run(video, out)
    run(video, out, overwrite=True)
    (out / "meta.json").write_text("{")
    with pytest.raises(OutputExistsError):
        run(video, out)


def test_a_strangers_files_are_never_replaced(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match=r"thesis\.tex"):
            run(video, out, overwrite=overwrite)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_an_empty_folder_is_fine_and_parents_are_made(video: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run(video, tmp_path / "empty")
    run(video, tmp_path / "a" / "b" / "c")


def test_a_file_in_the_place_of_the_folder_is_an_error(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("hello")
    with pytest.raises(OutputExistsError, match="not a folder"):
        run(video, out, overwrite=True)
    with pytest.raises(OutputError, match="cannot be made"):
        run(video, out / "below")
    assert out.read_text() == "hello"


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a folder in which nobody may write: /proc")
def test_an_unwritable_place_is_an_error_of_ours(video: Path) -> None:
    with pytest.raises(OutputError) as caught:
        run(video, Path("/proc/out"))
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, MediaRefError)
    assert "/proc/out" in str(caught.value)


@pytest.mark.parametrize("breaks", [KeyboardInterrupt, OSError(28, "No space left on device"), ValueError])
def test_a_run_that_fails_leaves_nothing(tmp_path: Path, breaks: BaseException | type[BaseException]) -> None:
    with pytest.raises((KeyboardInterrupt, OutputError, ValueError)), new_folder(tmp_path / "out") as folder:  # noqa: PT012
        (folder / "canvas_000.jpg").write_bytes(b"half")
        raise breaks
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import resource, signal, sys
from codec_video_prep.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files with setrlimit")
@pytest.mark.parametrize("limit", [0, 1000, 4000])  # bytes a file may have
@pytest.mark.parametrize("extra", [[], ["--save-mask-video"]], ids=["canvases", "mask video"])
def test_a_disk_that_fills_up_leaves_nothing_and_one_line(
    video: Path, tmp_path: Path, limit: int, extra: list[str]
) -> None:
    before = sorted(tmp_path.iterdir())
    arguments = ["--video", str(video), "--out_dir", str(tmp_path / "out"), "--num_sampled_frames", "20", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(limit), *arguments, *extra], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("codec-video-prep:")]
    assert len(errors) == 1
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "out") in errors[0]
    assert sorted(tmp_path.iterdir()) == before


def test_a_killed_run_leaves_no_folder_and_the_next_one_cleans_up(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = (
        "import sys, time\nfrom codec_video_prep import run_preinfer\n"
        "run_preinfer(sys.argv[1], sys.argv[2], num_sampled_frames=10,"
        " progress=lambda stage, done, total: stage == 'pixels' and done == 9 and time.sleep(60))"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(video), str(out)])
    deadline = time.monotonic() + 30
    while not any(tmp_path.glob(".out.part-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert any(tmp_path.glob(".out.part-*"))
    run(video, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "video.mp4"]


def _hold(path: str, log: str, seconds: float) -> None:
    with locked(Path(path)):
        with open(log, "a") as file:  # noqa: PTH123
            file.write(f"{os.getpid()} in\n")
        time.sleep(seconds)
        with open(log, "a") as file:  # noqa: PTH123
            file.write(f"{os.getpid()} out\n")


def test_processes_with_one_folder_work_one_after_the_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    workers = [context.Process(target=_hold, args=(str(tmp_path / "out"), str(log), 0.1)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    lines = [line.split() for line in log.read_text().splitlines()]
    assert len(lines) == 8
    for entered, left in zip(lines[::2], lines[1::2], strict=True):
        assert (entered[0], entered[1], left[1]) == (left[0], "in", "out")
    assert list(tmp_path.iterdir()) == [log]


def test_names_with_special_characters(video: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out [x] *?é"
    run(video, folder)
    assert json.loads((folder / "meta.json").read_text(encoding="utf-8"))["out_dir"] == str(folder)


def test_the_writer_raises_what_went_wrong_and_keeps_few_waiting(tmp_path: Path) -> None:
    canvas = np.zeros((28, 28, 3), np.uint8)
    with CanvasWriter(tmp_path, "png", 2) as writer:
        for _ in range(40):
            writer.add(canvas)
            assert len(writer._waiting) <= 8
        writer.wait()
    assert len(list(tmp_path.glob("canvas_*.png"))) == 40
    with pytest.raises(FileNotFoundError), CanvasWriter(tmp_path / "missing", "jpg", 2) as writer:  # noqa: PT012
        writer.add(canvas)
        writer.wait()
