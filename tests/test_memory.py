"""How much memory the process itself takes: the decoder's is not Python's, so the system is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from clips import make_clip

pytest.importorskip("resource", reason="only Unix tells the peak")

_PROGRAM = """
import resource, sys
from mediaref import MediaRef, batch_decode, iter_decode
from mediaref.video_decoder import VideoIndex

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

threads = int(sys.argv[2])
refs = [MediaRef(uri=sys.argv[1], pts_ns=int(time)) for time in VideoIndex.open(sys.argv[1]).pts_ns]
batch_decode(refs[:16], threads=threads)
for number, _ in enumerate(iter_decode(refs, threads=threads)):
    if number == 100:
        after_some = peak()
after_all = peak()
result = batch_decode(refs, threads=threads)
print(after_all - after_some, peak() - after_all, sum(pixels.nbytes for pixels in result))
"""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {"preset": "ultrafast", "x264-params": "keyint=40:bframes=2"}
    return make_clip(tmp_path_factory.mktemp("memory") / "240.mp4", frames=240, size=(480, 272), options=options)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_takes_little_more_than_its_result_and_a_stream_next_to_nothing(video: Path, threads: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(video), str(threads)], capture_output=True, text=True, check=True
    )
    stream, batch, result = map(int, done.stdout.split())
    assert result == 240 * 480 * 272 * 3
    assert batch < 1.1 * result
    assert stream < 16 * 480 * 272 * 3
