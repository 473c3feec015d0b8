"""The whole corridor on real clips: what is in the folder, and that it is true."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import fsspec
import numpy as np
import pytest
from corpus import CorpusFile, corpus_files
from PIL import Image

import codec_video_prep
from codec_video_prep import PreinferConfig, PreinferResult, run_preinfer, run_preinfer_config
from codec_video_prep.config import CHOICES
from mediaref.bitcost import read_bit_costs
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.pyav import decode_frames

Clip = Callable[[str], Path]

ORIGINAL_KEYS = """
video video_hash codec_selector_version config metadata total_frames orig_hw processed_hw resize_hw padded_hw
pad_bottom_right fps stream_hw video_bit_rate bits_per_frame bits_per_pixel_per_frame bits_per_pixel_per_frame_clamped
sampled_frames sampling_debug avoid_keyframes avoid_keyframe_offset keyframes_found grouping_mode group_size
images_per_group readiness_sum_threshold_mode readiness_sum_threshold readiness_norm_sum_threshold
readiness_threshold_norm_factor bpppf_clamp_min bpppf_clamp_max min_group_frames max_group_frames group_limit_debug
readiness_coverage_bins readiness_delta_ratio save_mask_video mask_video_sbs mask_video_only patch block_size
bitcost_grid codec_name bitcost_pct bitcost_log_scale frame_score_norm_mode frame_score_norm_debug
iframe_score_clip_mode iframe_score_clip_percentile iframe_score_clip_debug score_source decode_backend hb_wb S_full
seq_len num_groups tail_frames group_specs total_images total_patches canvas_files jpg_files out_dir
src_patch_position_sorted_by_t canvas_pixels_sorted_by_t groups timing_sec group_processing_timing_sec timings
""".split()  # noqa: SIM905


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., PreinferResult]:
    """`prepare(clip, **options)` runs the corridor into a folder of its own."""

    def run(video: Path, **options: Any) -> PreinferResult:
        return run_preinfer(str(video), str(tmp_path / f"out{len(list(tmp_path.iterdir()))}"), **options)

    return run


def positions(result: PreinferResult) -> np.ndarray:
    loaded: np.ndarray = np.load(Path(result.out_dir) / "src_patch_position.npy")
    return loaded


def test_the_folder_holds_what_readers_expect(clip: Clip, prepare: Callable[..., PreinferResult]) -> None:
    result = prepare(clip("long"), num_sampled_frames=48)
    folder, meta = Path(result.out_dir), json.loads(Path(result.meta_path).read_text())
    assert meta == result.summary
    names = {entry.name for entry in folder.iterdir()}
    assert names == {*result.canvas_files, "src_patch_position.npy", "frame_ids.npy", "meta.json", "_DONE"}
    assert [entry.name for entry in folder.parent.iterdir()] == [folder.name]  # no lock, no temporary folder
    assert result.canvas_files == [f"canvas_{number:03d}.jpg" for number in range(meta["total_images"])]
    ids = np.load(folder / "frame_ids.npy")
    assert (ids.dtype, len(ids), meta["seq_len"]) == (np.int32, 48, 48)
    rows, columns = meta["hb_wb"]
    assert positions(result).dtype == np.int32
    assert positions(result).shape == (meta["total_images"] * rows * columns, 3)
    assert meta["total_patches"] == len(positions(result))
    assert result.timings["total"] > 0
    height, width = meta["processed_hw"]
    for name in result.canvas_files:
        with Image.open(folder / name) as canvas:
            assert (canvas.size, canvas.mode) == ((width, height), "RGB")


def test_the_metadata_has_every_key_of_the_original_and_ours(
    clip: Clip, prepare: Callable[..., PreinferResult]
) -> None:
    result = prepare(clip("plain"), num_sampled_frames=12)
    meta, sampled = result.summary, np.load(Path(result.out_dir) / "frame_ids.npy")
    assert set(ORIGINAL_KEYS) <= set(meta)
    assert {"schema_version", "library_version", "config_hash", "source", "frame_pts_ns"} <= set(meta)
    assert meta["source"]["size"] == clip("plain").stat().st_size
    index = VideoIndex.open(clip("plain"))
    assert meta["total_frames"] == len(index) == 24
    assert meta["video_bit_rate"] == pytest.approx(index.packet_bytes.sum() * 8 / 0.8)
    assert index.pts_ns is not None
    assert meta["frame_pts_ns"] == index.pts_ns[sampled].tolist()


def test_every_patch_shows_the_frame_that_its_position_names(
    clip: Clip, prepare: Callable[..., PreinferResult]
) -> None:
    result = prepare(clip("pyramid"), num_sampled_frames=30, canvas_format="npy", patch=7)
    meta, patch = result.summary, 7
    (height, width), (rows, columns) = meta["processed_hw"], meta["hb_wb"]
    canvases = np.stack([np.load(Path(result.out_dir) / name) for name in result.canvas_files])
    ours = canvases.reshape(-1, rows, patch, columns, patch, 3).swapaxes(2, 3).reshape(-1, patch, patch, 3)
    frames = dict(decode_frames(clip("pyramid"), range(40), size=(width, height)))
    for pixels, (frame, row, column) in zip(ours, positions(result), strict=True):
        if frame < 0:
            assert not pixels.any()
        else:
            expected = frames[frame][row * patch :, column * patch :][:patch, :patch]
            assert (pixels == expected).all()
    assert (height, width) == canvases.shape[1:3]


def test_what_is_kept_is_what_cost_most(clip: Clip, prepare: Callable[..., PreinferResult]) -> None:
    # Scored from scratch, over a full-size map: of one group, no block left out scores more than one kept.
    result = prepare(
        clip("plain"), num_sampled_frames=16, grouping_mode="fixed", group_size=16, no_resize=True, images_per_group=2
    )
    meta, side = result.summary, 28
    (height, width), (rows, columns) = meta["padded_hw"], (meta["hb_wb"][0] // 2, meta["hb_wb"][1] // 2)
    ids = meta["groups"][0]["frame_ids"]
    kept = {tuple(block) for block in positions(result)[meta["S_full"] :][:, :3].tolist()}
    scores: dict[bool, list[float]] = {True: [], False: []}
    for cost in read_bit_costs(clip("plain"), ids[1:]):
        logs = np.log1p(cost.bits.astype(np.float64))
        shares = np.minimum(logs / np.percentile(logs, 99), 1)
        full = np.zeros((height, width))
        full[: cost.height, : cost.width] = shares.repeat(16, 0).repeat(16, 1)[: cost.height, : cost.width]
        blocks = full.reshape(rows, side, columns, side).sum((1, 3))
        for row, column in np.ndindex(rows, columns):
            scores[(cost.frame_index, 2 * row, 2 * column) in kept].append(blocks[row, column])
    assert len(scores[True]) == rows * columns
    assert min(scores[True]) >= max(scores[False]) - 1e-6
    assert sum(scores[True]) == pytest.approx(meta["groups"][0]["selected_block_score_sum"])


@pytest.mark.parametrize("mode", CHOICES["frame_sampling_mode"])
def test_every_sampling_mode_runs(mode: str, clip: Clip, prepare: Callable[..., PreinferResult]) -> None:
    result = prepare(clip("long"), frame_sampling_mode=mode, num_sampled_frames=20, sample_fps=3, min_group_frames=4)
    ids = np.load(Path(result.out_dir) / "frame_ids.npy")
    assert (np.diff(ids) > 0).all()
    assert len(ids) == {"uniform_count": 20, "fps": 24, "all_frames": 240}.get(mode, len(ids))
    if mode == "fps_plus_pkt_size_peak":
        assert len(ids) > 24
    if mode != "all_frames":
        assert not VideoIndex.open(clip("long")).is_key[ids].any()


@pytest.mark.parametrize(
    "options",
    [
        {"bitcost_grid": "sub"},
        {"bitcost_grid": "ctu"},
        {"block_size": 3, "max_pixels": 40_000},
        {"iframe_score_clip_mode": "non_i_percentile", "avoid_keyframes": False},
        {"grouping_mode": "fixed", "group_size": 8},
        {"readiness_sum_threshold_mode": "clamped_sqrt_bpppf"},
        {"readiness_sum_threshold_mode": "fixed", "readiness_sum_threshold": 1000.0},
        {"bitcost_log_scale": False, "bitcost_pct": 90.0},
        {"images_per_group": 1},
        {"decode_backend": "ffmpeg_native", "parallel_segments": 1},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_options_run(options: dict[str, Any], clip: Clip, prepare: Callable[..., PreinferResult]) -> None:
    meta = prepare(clip("plain"), num_sampled_frames=20, **options).summary
    assert meta["num_groups"] >= 1
    for name, value in options.items():
        assert meta["config"][name] == value


def test_threads_do_not_change_the_result(clip: Clip, prepare: Callable[..., PreinferResult]) -> None:
    one = prepare(clip("long"), num_sampled_frames=40, parallel_segments=1, canvas_format="png")
    two = prepare(clip("long"), num_sampled_frames=40, parallel_segments=3, canvas_format="png")
    assert one.summary["config_hash"] == two.summary["config_hash"]
    assert (positions(one) == positions(two)).all()
    for name in one.canvas_files:
        assert (Path(one.out_dir) / name).read_bytes() == (Path(two.out_dir) / name).read_bytes()


@pytest.mark.parametrize("name", ["rotated", "odd_size", "variable_rate", "raw", "mbaff", "edit_list", "ten_bit"])
def test_unusual_clips_are_prepared(name: str, clip: Clip, prepare: Callable[..., PreinferResult]) -> None:
    meta = prepare(clip(name), num_sampled_frames=12).summary
    index = VideoIndex.open(clip(name))
    assert meta["orig_hw"] == [index.height, index.width]
    assert (meta["frame_pts_ns"] is None) == (index.pts_ns is None)


@pytest.mark.parametrize("grid", CHOICES["bitcost_grid"])
@pytest.mark.parametrize(
    ("name", "frames"), [("hevc_open_gop", 26), ("vp9_hidden", 40), ("vp9_rotated", 14), ("av1_gops", 24)]
)
def test_other_codecs_are_prepared_on_every_grid(
    name: str, frames: int, grid: str, clip: Clip, prepare: Callable[..., PreinferResult]
) -> None:
    result = prepare(clip(name), num_sampled_frames=12, bitcost_grid=grid)
    meta = result.summary
    assert (meta["total_frames"], meta["num_groups"] >= 1) == (frames, True)
    kept = positions(result)[meta["S_full"] :]
    assert len(kept) > 0
    assert len(np.unique(kept[:, 0])) > 1  # of several frames


def test_a_video_shorter_than_the_samples_gives_every_frame_once(
    clip: Clip, prepare: Callable[..., PreinferResult]
) -> None:
    result = prepare(clip("plain"), num_sampled_frames=500)
    assert np.load(Path(result.out_dir) / "frame_ids.npy").tolist() == list(range(24))


def test_without_avoiding_keyframes_a_short_video_repeats_its_frames(
    clip: Clip, prepare: Callable[..., PreinferResult]
) -> None:
    result = prepare(clip("plain"), num_sampled_frames=50, avoid_keyframes=False)
    ids = np.load(Path(result.out_dir) / "frame_ids.npy")
    assert ids.tolist() == np.linspace(0, 23, 50).astype(int).tolist()
    assert sum(group["frame_count"] for group in result.summary["group_specs"]) + len(
        result.summary["dropped_frames"]
    ) == len(ids)


def test_frames_left_over_are_named(
    clip: Clip, prepare: Callable[..., PreinferResult], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mediaref"):
        meta = prepare(clip("plain"), num_sampled_frames=19, grouping_mode="fixed", group_size=8).summary
    assert meta["dropped_frames"] == np.load(Path(meta["out_dir"]) / "frame_ids.npy")[16:].tolist()
    assert meta["tail_frames"] == 3
    assert "last 3 sampled frames" in caplog.text


def test_black_frames_are_not_selected(tmp_path: Path) -> None:
    path = tmp_path / "blink.mp4"
    texture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8).repeat(2, 0).repeat(2, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "20"})
        stream.width = stream.height = 128
        for number in range(20):
            picture = texture * (number >= 2 and number % 5 > 0)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(picture, number, 0), format="rgb24")))
        container.mux(stream.encode(None))
    result = run_preinfer(str(path), str(tmp_path / "out"), frame_sampling_mode="all_frames", group_size=20)
    black = [0, 1, 5, 10, 15]
    assert result.summary["bad_frames"] == black
    assert not np.isin(positions(result)[:, 0], black).any()
    assert positions(result)[0].tolist() == [2, 0, 0]  # the first good frame is the anchor
    assert result.summary["groups"][0]["frame_ids"][:3] == [2, 1, 0]


def test_mask_videos_show_each_sampled_frame_beside_what_was_kept(
    clip: Clip, prepare: Callable[..., PreinferResult]
) -> None:
    result = prepare(clip("plain"), num_sampled_frames=12, save_mask_video=True, patch=7, block_size=3, max_pixels=0)
    folder, meta = Path(result.out_dir), result.summary
    height, width = meta["padded_hw"]
    assert (height % 2, width % 2) != (0, 0)  # an odd size, which H.264 in 4:2:0 has to pad
    pictures = {}
    for key in ("mask_video_sbs", "mask_video_only"):
        with av.open(str(folder / meta[key])) as container:
            assert container.streams.video[0].codec_context.name == "h264"
            pictures[key] = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
        assert len(pictures[key]) == 12
    left = pictures["mask_video_sbs"][0][:height, :width]
    right = pictures["mask_video_sbs"][0][:height, width : 2 * width]
    assert abs(left - right).mean() < 4  # the anchor is kept whole
    assert pictures["mask_video_only"][5].mean() < 0.95 * pictures["mask_video_sbs"][5][:, :width].mean()


def test_the_five_promised_names() -> None:
    assert set(codec_video_prep.__all__) == {
        "PreinferConfig",
        "PreinferResult",
        "cv_reader_fast",
        "run_preinfer",
        "run_preinfer_config",
    }
    assert all(hasattr(codec_video_prep, name) for name in codec_video_prep.__all__)


@pytest.mark.parametrize("kind", ["file", "data", "memory"])
def test_any_uri_is_a_video(kind: str, clip: Clip, tmp_path: Path) -> None:
    path = clip("plain")
    uri = {
        "file": path.as_uri(),
        "data": "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode(),
        "memory": "memory://prep/plain.mp4",
    }[kind]
    with fsspec.open("memory://prep/plain.mp4", "wb") as file:
        file.write(path.read_bytes())
    out = tmp_path / "out"
    first = run_preinfer(uri, str(out), num_sampled_frames=12, parallel_segments=3)
    assert run_preinfer(uri, str(out), num_sampled_frames=12).summary == first.summary  # found done
    plain = run_preinfer(str(path), str(tmp_path / "plain"), num_sampled_frames=12)
    assert (positions(first) == positions(plain)).all()
    assert Path(first.meta_path).stat().st_size < 20_000  # a data URI is not copied into it


def test_progress_tells_each_stage_to_its_end(clip: Clip, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    config = PreinferConfig(str(clip("plain")), str(tmp_path / "out"), num_sampled_frames=10)
    run_preinfer_config(config, progress=lambda *stage: seen.append(stage))
    assert seen == [(stage, done, 10) for stage in ("bits", "pixels") for done in range(1, 11)]


def test_a_rate_beyond_reason_is_refused(clip: Clip, prepare: Callable[..., PreinferResult]) -> None:
    with pytest.raises(ValueError, match="sample_fps=1e"):
        prepare(clip("plain"), frame_sampling_mode="fps", sample_fps=1e12)


def test_no_thread_outlives_a_run_that_fails(clip: Clip, prepare: Callable[..., PreinferResult]) -> None:
    before = threading.active_count()

    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("pixels", 30):
            raise KeyError("enough")

    with pytest.raises(KeyError) as caught:  # kept, with all that its traceback holds
        prepare(clip("long"), num_sampled_frames=200, parallel_segments=3, progress=stop)
    assert threading.active_count() == before
    assert caught.value.args == ("enough",)


@pytest.mark.corpus
@pytest.mark.parametrize(
    "file",
    [f for f in corpus_files("real", codec="h264") if "1920x1080" not in f.codec][::4],
    ids=lambda file: file.name,
)
def test_real_clips_are_prepared(file: CorpusFile, prepare: Callable[..., PreinferResult]) -> None:
    result = prepare(file.path, num_sampled_frames=48)
    assert result.summary["num_groups"] >= 1
    assert result.summary["orig_hw"] == list(map(int, file.codec.split("/")[3].split("x")))[::-1]
