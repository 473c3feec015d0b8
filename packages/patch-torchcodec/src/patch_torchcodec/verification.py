"""Trying it out: torchcodec decodes a clip in a process of its own, with PyAV's libraries and no others."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from patch_torchcodec.installation import PatchError

# Run by another Python: encodes a clip with PyAV, decodes it with torchcodec, and says what has been loaded.
_TRIAL = """
import io, json
import av
import numpy as np
from torchcodec.decoders import VideoDecoder

clip = io.BytesIO()
with av.open(clip, "w", format="mp4") as output:
    stream = output.add_stream("mpeg4", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for level in (0, 120, 240):
        output.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), "rgb24")))
    output.mux(stream.encode(None))
levels = [round(float(frame.float().mean())) for frame in VideoDecoder(clip.getvalue())]
with open("/proc/self/maps") as maps:
    loaded = {line.split(None, 5)[5].strip() for line in maps if "libavcodec" in line}
print(json.dumps({"levels": levels, "libavcodec": sorted(loaded)}))
"""


def verify() -> str:
    """The path of the one libavcodec that PyAV and torchcodec share. Raises `PatchError` if they do not, or why not."""
    done = subprocess.run([sys.executable, "-c", _TRIAL], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PatchError(f"torchcodec cannot decode: {reason}\nThe whole message:\n{done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if any(abs(given - made) > 6 for given, made in zip(found["levels"], (0, 120, 240), strict=True)):
        raise PatchError(f"torchcodec decodes wrongly: grey levels {found['levels']} where 0, 120, 240 were stored")
    if len(found["libavcodec"]) != 1:
        raise PatchError(f"torchcodec and PyAV use different FFmpeg libraries: {', '.join(found['libavcodec'])}")
    return str(found["libavcodec"][0])
