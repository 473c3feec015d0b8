"""One process that decodes chosen frames with one library: `decode_worker.py NAME`, a line of JSON for each request.

Every function takes a request and gives the frames as a list of arrays `(height, width, 3)`, RGB. What may stay open
between requests does so, unless the request is `cold`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Request = dict[str, Any]
Frames = list[Any]

_open: dict[Any, Any] = {}


def kept(key: Any, make: Callable[[], Any]) -> Any:
    if key not in _open:
        _open.clear()
        _open[key] = make()
    return _open[key]


def ours(request: Request) -> Frames:
    from mediaref import MediaRef, batch_decode, cleanup_cache

    if request["cold"]:
        cleanup_cache()
    refs = [MediaRef(uri=request["video"], pts_ns=time) for time in request["times"]]
    return batch_decode(refs, threads=request["threads"])


def original(request: Request) -> Frames:
    """mediaref 1.1.0 or 2.1.0, whichever is installed, as it comes."""
    from mediaref import MediaRef, batch_decode, cleanup_cache

    if request["cold"]:
        cleanup_cache()
    return batch_decode([MediaRef(uri=request["video"], pts_ns=time) for time in request["times"]])


def decord(request: Request) -> Frames:
    import decord

    reader = kept(request["video"], lambda: decord.VideoReader(request["video"], num_threads=request["threads"]))
    return list(reader.get_batch(request["frames"]).asnumpy())


def video_reader_rs(request: Request) -> Frames:
    from video_reader import PyVideoReader

    reader = kept(request["video"], lambda: PyVideoReader(request["video"], threads=request["threads"]))
    return list(reader.get_batch(request["frames"]))


def torchcodec(request: Request, mode: str = "exact") -> Frames:
    from torchcodec.decoders import VideoDecoder

    def make() -> Any:
        return VideoDecoder(_file_or_path(request["video"]), seek_mode=mode, num_ffmpeg_threads=request["threads"])

    frames = kept((request["video"], mode), make).get_frames_at(request["frames"]).data
    return list(frames.permute(0, 2, 3, 1).numpy())


def _file_or_path(uri: str) -> Any:
    if "://" not in uri:
        return uri
    import fsspec

    return fsspec.open(uri).open()


def torchcodec_approximate(request: Request) -> Frames:
    return torchcodec(request, "approximate")


def pyav(request: Request) -> Frames:
    """What one writes at first: seek to before each frame, decode up to it."""
    import av

    def make() -> Any:
        container = av.open(request["video"])
        container.streams.video[0].codec_context.thread_count = request["threads"]
        return container

    container = kept(request["video"], make)
    stream = container.streams.video[0]
    wanted, found, decoded = request["times"], [], iter(())
    latest = -1.0
    for nanoseconds in wanted:
        seconds = nanoseconds / 1e9
        if not latest < seconds < latest + 1:
            container.seek(int(seconds / stream.time_base), stream=stream)
            decoded = container.decode(stream)
        for frame in decoded:
            latest = frame.time
            if latest + 1e-3 >= seconds:
                found.append(frame.to_ndarray(format="rgb24"))
                break
    return found


def opencv(request: Request) -> Frames:
    import cv2

    cv2.setNumThreads(request["threads"])
    capture = kept(request["video"], lambda: cv2.VideoCapture(request["video"]))
    found = []
    at = int(capture.get(cv2.CAP_PROP_POS_FRAMES))
    for frame in request["frames"]:
        if at <= frame < at + 32:
            for _ in range(frame - at):
                capture.grab()
        else:
            capture.set(cv2.CAP_PROP_POS_FRAMES, frame)
        found.append(cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB))
        at = frame + 1
    return found


def floor(request: Request) -> Frames:
    """The packets of our plan through FFmpeg alone, and the asked pictures to RGB.

    They are planned and read beforehand, and the decoder stays open between requests that are not cold.
    """
    import av

    from mediaref.video_decoder import DecodePlan, VideoIndex
    from mediaref.video_decoder.reader import PacketReader

    def prepare() -> Any:
        plan = DecodePlan.of(VideoIndex.open(request["video"]), request["frames"])
        spans = []
        with PacketReader(plan.index) as reader:
            for span in plan.spans:
                spans.append([])
                for row, packet in reader.read(span.packets, set(span.stand_ins.tolist())):
                    packet.pts = packet.dts = row
                    spans[-1].append(packet)
        return spans, set(plan.index.packet_of[request["frames"]].tolist()), plan.index.reorder_depth, []

    def decoder() -> Any:
        container = av.open(request["video"])
        codec = container.streams.video[0].codec_context
        codec.thread_count, codec.thread_type = request["threads"], "FRAME" if request["threads"] > 1 else "NONE"
        return container, codec, av.video.reformatter.VideoReformatter()

    key = (request["video"], tuple(request["frames"]), request["threads"], tuple(request["cores"]))
    spans, wanted, depth, opened = kept(key, prepare)
    clock = Clock()
    if not opened:
        opened.append(decoder())
    _, codec, reformatter = opened[0]
    found = []
    for span in spans:
        codec.reorder_depth = max(codec.reorder_depth, depth)
        for packet in [*span, None]:
            for frame in codec.decode(packet):
                if frame.pts in wanted:
                    found.append(reformatter.reformat(frame, frame.width, frame.height, "rgb24", threads=1))
        codec.flush_buffers()
    request["took"] = clock.read()
    return [frame.to_ndarray() for frame in found]


class Clock:
    """Seconds since it was made: those that passed, and those that processors spent on this process."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        return {"wall": time.perf_counter() - self._wall, "processor": time.process_time() - self._processor}


READERS = {
    reader.__name__: reader
    for reader in (ours, original, decord, video_reader_rs, torchcodec, torchcodec_approximate, pyav, opencv, floor)
}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    reader = READERS[sys.argv[1]]
    for line in sys.stdin:
        request: Request = json.loads(line)
        os.sched_setaffinity(0, request["cores"])
        if request["cold"]:
            _open.clear()
        clock = Clock()
        try:
            frames = reader(request)
            took = request.get("took") or clock.read()
            answer = {**took, "means": [round(float(np.mean(frame[::8, ::8])), 2) for frame in frames]}
            del frames
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
