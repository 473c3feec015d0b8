"""Memory, open files and threads stay flat however many requests are answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from soak import soak

Clip = Callable[[str], Path]

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")

REQUESTS = 400
LEFT_KIB = 1 << 10
GROWTH_KIB = 40 << 10

_PROGRAM = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from soak import soak
print(json.dumps(soak([Path(path) for path in sys.argv[3:]], 240, int(sys.argv[2]))))
"""


def test_requests_leave_nothing_behind(clip: Clip) -> None:
    paths = [str(clip(name)) for name in ("plain", "hevc", "vp9_gops", "transport")]
    command = [sys.executable, "-c", _PROGRAM, str(Path(__file__).parent), str(REQUESTS), *paths]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    warm, *_, end = found["states"][1:]  # after a fifth of the time
    assert end["files"] == warm["files"]
    assert end["threads"] == warm["threads"] == 1
    assert end["in_use"] < warm["in_use"] + LEFT_KIB
    assert end["memory"] < warm["memory"] + GROWTH_KIB
    assert sum(count for outcome, count in found["outcomes"].items() if outcome.endswith("result")) == REQUESTS


class Faulty(os.PathLike[str]):
    def __fspath__(self) -> str:
        raise ZeroDivisionError


def test_an_error_that_is_not_ours_is_not_taken_for_an_answer() -> None:
    with pytest.raises(ZeroDivisionError):
        soak([Faulty()], 10, 50)  # type: ignore[list-item]
