"""Ctrl-C and `kill -9` at any moment: nothing hangs, nothing half-written stays, and the next run goes through.

`MEDIAREF_ROUNDS=300` in the environment tries as many moments as that.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from codec_video_prep.cli import main
from mediaref import MediaRef, batch_decode

Clip = Callable[[str], Path]

ROUNDS = int(os.environ.get("MEDIAREF_ROUNDS", "4"))
PATIENCE_SECONDS = 60.0

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.timeout(300 + 10 * ROUNDS),
]


def forked(work: Callable[[], int]) -> int:
    """Run `work` in a child process, as its own program would; gives the child's process id."""
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        status = work()
    except KeyboardInterrupt:
        status = 130
    except SystemExit as done:
        status = int(done.code or 0)
    finally:
        os._exit(status)


def ended(child: int) -> int:
    """Exit status of a child, or minus the signal that ended it; fails if it hangs."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail(f"process {child} does not end")


def moments(work: Callable[[], int]) -> Iterator[float]:
    """Delays spread over the time that the work takes when nobody disturbs it."""
    start = time.monotonic()
    assert ended(forked(work)) == 0
    taken = time.monotonic() - start
    for number in range(ROUNDS):
        yield taken * (number + 0.5) / ROUNDS


def disturbed(work: Callable[[], int], delay: float, by: signal.Signals) -> int:
    child = forked(work)
    time.sleep(delay)
    os.kill(child, by)
    return ended(child)


@pytest.mark.parametrize("files", [1, 3])
def test_batch_decode_heeds_ctrl_c_at_any_moment(clip: Clip, files: int) -> None:
    names = ["long", "pyramid", "vp9_gops"][:files]
    refs = [MediaRef(uri=str(clip(name)), pts_ns=pts) for name in names for pts in range(0, 700_000_000, 40_000_000)]

    def work() -> int:
        for _ in range(3):
            batch_decode(refs, allow_multi_video=True, threads=2)
        return 0

    statuses = {disturbed(work, delay, signal.SIGINT) for delay in moments(work)}
    assert statuses <= {0, 130}
    assert 130 in statuses


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_a_preparation_that_is_stopped_at_any_moment_leaves_a_whole_folder_or_none(
    clip: Clip, tmp_path: Path, by: signal.Signals
) -> None:
    arguments = ["--video", str(clip("readme")), "--num_sampled_frames", "16", "--quiet", "--canvas_format", "png"]
    arguments += ["--parallel_segments", "2"]
    (tmp_path / "sound").mkdir()
    assert main([*arguments, "--out_dir", str(tmp_path / "sound" / "out")]) == 0
    sound = _content(tmp_path / "sound" / "out")
    statuses = set()
    number = 0
    for number, delay in enumerate(moments(lambda: main([*arguments, "--out_dir", str(tmp_path / "first")]))):
        folder = tmp_path / str(number)
        folder.mkdir()
        mine = [*arguments, "--out_dir", str(folder / "out")]
        statuses.add(disturbed(lambda mine=mine: main(mine), delay, by))  # type: ignore[misc]
        left = {path.name for path in folder.iterdir()}
        if "out" in left:
            assert _content(folder / "out") == sound
        if by == signal.SIGINT:
            assert left <= {"out"}
        assert ended(forked(lambda mine=mine: main(mine))) == 0  # type: ignore[misc]
        assert {path.name for path in folder.iterdir()} == {"out"}
        assert _content(folder / "out") == sound
    assert statuses <= {0, 130, -by}
    assert statuses != {0}


def _content(folder: Path) -> dict[str, bytes | list[str]]:
    """Everything in an output folder but its times and its place."""
    assert (folder / "_DONE").is_file()
    files: dict[str, bytes | list[str]] = {}
    for path in folder.iterdir():
        if path.suffix == ".json":
            files[path.name] = json.loads(path.read_text())["canvas_files"]
        else:
            files[path.name] = path.read_bytes()
    assert np.load(folder / "src_patch_position.npy").ndim
    return files
