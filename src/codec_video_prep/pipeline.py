"""The corridor from a video to a folder of canvases: sample, read bits, score, read pixels, group, pack, write.

Bits come first, for all sampled frames: they are small, and they set the threshold that ends a group. Pixels then
flow past once, in display order, and no more prepared frames are kept than the group that is growing has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec_video_prep import sampling
from codec_video_prep.bad_frames import is_bad
from codec_video_prep.canvas import is_whole, keep_mask, pack_group
from codec_video_prep.clock import Clock
from codec_video_prep.config import MAX_SAMPLES, OptionError, PreinferConfig
from codec_video_prep.geometry import Geometry, resolve_geometry
from codec_video_prep.grouping import Group, Grouper, clamp_bits_per_pixel, readiness_threshold
from codec_video_prep.mask_video import MaskVideo
from codec_video_prep.metadata import Packed, Sampled, describe_group, describe_run
from codec_video_prep.output import FRAME_IDS, POSITIONS, CanvasWriter
from codec_video_prep.scoring import BlockScorer, Scores
from codec_video_prep.video_facts import VideoFacts
from mediaref.bitcost import iter_bit_costs
from mediaref.threads import resolve_threads
from mediaref.video_decoder.cheap_frames import nearest_cheap_frames
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.pyav import decode_frames

_log = logging.getLogger("mediaref")

Progress = Callable[[str, int, int], None]
"""Called with the name of a stage, how many of its items are done, and how many there are."""


class TooFewFramesError(OptionError):
    """Not one group can be made of the frames that were sampled."""


@dataclass(frozen=True, eq=False)
class Run:
    """What all steps of one run share."""

    config: PreinferConfig
    video: VideoFacts
    geometry: Geometry
    frames: sampling.Frames
    """The sampled frames, ascending; a short video may have some of them repeated."""
    folder: Path
    threads: int
    clock: Clock
    progress: Progress


def prepare(config: PreinferConfig, folder: Path, progress: Progress) -> dict[str, Any]:
    """Run the whole corridor, write everything but the metadata into `folder`, and return the metadata."""
    clock = Clock()
    with clock("probe_video"):
        video = VideoFacts.of(VideoIndex.open(config.video))
    sampled = _sample(config, video, clock)
    with clock("resolve_frame_geometry"):
        geometry = resolve_geometry(video.index.height, video.index.width, config)
    threads = resolve_threads(config.parallel_segments or None)
    run = Run(config, video, geometry, sampled.frames, folder, threads, clock, progress)
    scores, clip_debug = _score(run)
    budget = (config.images_per_group - 1) * geometry.block_count
    threshold = readiness_threshold(config, scores, budget, clamp_bits_per_pixel(video.bits_per_pixel))
    packed = _pack(run, scores, Grouper(config, budget, threshold))
    return describe_run(config, video, sampled, geometry, threshold, clip_debug, packed, clock)


def _sample(config: PreinferConfig, video: VideoFacts, clock: Clock) -> Sampled:
    mode, is_key = config.frame_sampling_mode, video.index.is_key
    with clock("sample_frames"):
        frames = _choose_frames(config, video)
    debug: dict[str, Any] = {"frame_sampling_mode": mode, "sampled_frames": len(frames)}
    if config.tolerance_ns and mode != "all_frames":
        with clock("find_cheap_frames"):
            frames = nearest_cheap_frames(video.index, video.index.shown_ns(frames)[0], config.tolerance_ns)
    if config.avoid_keyframes and mode != "all_frames":
        with clock("avoid_keyframes"):
            frames = sampling.avoid_keyframes(frames, is_key)
        debug["keyframes_found"] = int(is_key.sum())
        debug["sampled_frames_after_keyframe_shift"] = len(frames)
    return Sampled(frames, debug, int(is_key.sum()))


def _choose_frames(config: PreinferConfig, video: VideoFacts) -> sampling.Frames:
    mode, total = config.frame_sampling_mode, len(video.index)
    if mode == "all_frames":
        return np.arange(total)
    if mode == "uniform_count":
        return sampling.sample_uniformly(total, config.num_sampled_frames)
    if video.duration * config.sample_fps > MAX_SAMPLES:
        raise OptionError(f"sample_fps={config.sample_fps:g}: asks for more than {MAX_SAMPLES:,} frames of this video")
    by_rate = sampling.sample_by_rate(video.starts, video.duration, config.sample_fps)
    if mode == "fps":
        return by_rate
    peaks = sampling.sample_packet_peaks(video.starts, video.duration, video.index.packet_bytes, video.index.is_key)
    if mode == "fps_plus_pkt_size_peak":
        return np.union1d(by_rate, peaks)
    return peaks if len(peaks) else by_rate


def _score(run: Run) -> tuple[list[Scores], dict[str, object] | None]:
    """Block scores of each sampled frame, from its bits, and what the clipping of I frames did."""
    wanted, places = np.unique(run.frames, return_inverse=True)
    scorer = BlockScorer(run.config, run.geometry)
    found = iter_bit_costs(run.video.index, wanted.tolist(), threads=run.threads)
    with closing(found) as costs:
        for done in range(len(wanted)):
            with run.clock("cv_reader_fetch_bitcost"):
                cost = next(costs)
            with run.clock("bitcost_to_score_maps"):
                scorer.add(cost)
            run.progress("bits", done + 1, len(wanted))
    with run.clock("precompute_block_scores"):
        scores, clip_debug = scorer.finish()
    return [scores[place] for place in places], clip_debug


def _pack(run: Run, scores: Sequence[Scores], grouper: Grouper) -> Packed:
    """Read the sampled frames once, group them as they come, and write each group's canvases."""
    with ExitStack() as stack:
        writer = stack.enter_context(CanvasWriter(run.folder, run.config.canvas_format, run.threads))
        masks = None
        if run.config.save_mask_video:
            rate = len(run.frames) / run.video.duration
            masks = stack.enter_context(MaskVideo(run.folder, run.geometry.padded, rate))
        packer = _Packer(run, grouper, writer, masks)
        pictures = stack.enter_context(closing(_pictures(run)))  # closed, so that its threads stop at an error
        for place, picture in enumerate(pictures):
            packer.add(int(run.frames[place]), picture, scores[place])
            run.progress("pixels", place + 1, len(run.frames))
        packed = packer.finish()
        with run.clock("save_canvases"):
            writer.wait()
    with run.clock("save_numpy_outputs"):
        np.save(run.folder / POSITIONS, np.concatenate(packed.origins).reshape(-1, 3))
        np.save(run.folder / FRAME_IDS, run.frames.astype(np.int32))
    return packed


def _pictures(run: Run) -> Generator[NDArray[np.uint8], None, None]:
    """The scaled picture of each sampled frame, in order; a frame that is sampled twice is decoded once."""
    wanted, repeats = np.unique(run.frames, return_counts=True)
    height, width = run.geometry.resized
    frames = decode_frames(run.video.index, wanted, threads=run.threads, size=(width, height))
    with closing(frames) as decoded:
        for times in repeats:
            with run.clock("decode_frames"):
                _, picture = next(decoded)
            for _ in range(times):
                yield picture


class _Packer:
    """Collects prepared frames until they make a group, and hands on its canvases."""

    def __init__(self, run: Run, grouper: Grouper, writer: CanvasWriter, masks: MaskVideo | None) -> None:
        self._run = run
        self._grouper = grouper
        self._writer = writer
        self._masks = masks
        self._ids: list[int] = []
        self._window: list[NDArray[np.uint8]] = []
        self._packed = Packed(canvas_files=writer.names)

    def add(self, frame_id: int, picture: NDArray[np.uint8], scores: Scores) -> None:
        """Take the next sampled frame's scaled picture and its block scores."""
        clock = self._run.clock
        with clock("prepare_frames"):
            frame = self._run.geometry.pad(picture)
        with clock("precompute_good_masks"):
            good = not is_bad(frame)
        if not good:
            self._packed.bad_frames.append(frame_id)
        self._ids.append(frame_id)
        self._window.append(frame)
        with clock("build_groups"):
            group = self._grouper.add(scores, good)
        if group is not None:
            self._close(group)

    def finish(self) -> Packed:
        """Everything that was packed, the last group included if the rest makes one."""
        if self._window:
            group = self._grouper.flush()
            if group is not None:
                self._close(group)
        if not self._packed.groups:
            raise TooFewFramesError(
                f"{self._name}: {len(self._ids)} frames were sampled, and a group takes at least "
                f"{self._grouper.shortest}; sample more frames or lower min_group_frames"
            )
        if self._ids:
            _log.warning(
                "%s: the last %d sampled frames are too few for a group of at least %d; no canvas shows them",
                self._name,
                len(self._ids),
                self._grouper.shortest,
            )
            self._packed.dropped_frames = self._ids
        return self._packed

    @property
    def _name(self) -> str:
        return self._run.video.index.source.name

    def _close(self, group: Group) -> None:
        run, images = self._run, self._run.config.images_per_group
        began = run.clock.total
        with run.clock("process_groups_make_canvases"):
            canvases, origins = pack_group(group, self._window, self._ids, images, run.geometry)
        if not is_whole(origins):
            raise AssertionError(f"{self._name}: a canvas of group {group.index} is padding in part")
        first_canvas = len(self._writer.names)
        self._packed.groups.append(group)
        self._packed.descriptions.append(describe_group(group, self._ids, first_canvas, run.config, run.geometry))
        self._packed.origins.append(origins)
        for canvas in canvases:
            self._writer.add(canvas)
        if self._masks is not None:
            for place, frame in enumerate(self._window):
                self._masks.add(frame, keep_mask(group, place, run.geometry))
        self._packed.seconds.append(run.clock.total - began)
        self._ids, self._window = [], []
