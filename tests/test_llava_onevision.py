"""What LLaVA-OneVision-2 is fed: its text and patch positions, checked by hand on small cases and with real parts."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from clips import make_clip
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import codec_video_prep
from codec_video_prep.config import OptionError
from codec_video_prep.integrations.llava_onevision import (
    LlavaCodecPreprocessConfig,
    LlavaCodecResult,
    LlavaOneVisionCodecPreprocessor,
    codec_positions_for_processor,
    convert_positions_to_block_layout,
    drop_padding_canvases,
    format_timestamp,
    load_llava_codec_result,
    prepare_llava_onevision_inputs,
    rewrite_text_with_codec_positions,
    timestamp_runs,
)
from mediaref.errors import CorruptMediaError, InvalidReferenceError, MediaNotFoundError

Clip = Callable[[str], Path]

START, PAD, END = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"


def picture(frame: int, rows: int, columns: int) -> np.ndarray:
    """Positions of a whole frame in raster order."""
    row, column = np.mgrid[0:rows, 0:columns]
    return np.stack([np.full_like(row, frame), row, column], axis=-1).reshape(-1, 3).astype(np.int32)


# --- options and cache -----------------------------------------------------------------------------------------------


def options(**changes: Any) -> LlavaCodecPreprocessConfig:
    return LlavaCodecPreprocessConfig(**{"cache_root": "cache", "target_canvas": 8, **changes})


def test_sampled_frames_follow_the_canvases_up_to_those_there_are() -> None:
    config = options(target_canvas=32)
    assert [config.num_sampled_frames(total) for total in (None, 1000, 100, 0)] == [256, 256, 100, 1]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"target_canvas": 0}, "target_canvas must be > 0"),
        ({"group_size": 0}, "group_size must be > 0"),
        ({"images_per_group": 0}, "images_per_group must be > 0"),
        ({"target_canvas": 30}, "target_canvas must be divisible by images_per_group"),
        ({"group_size": 30}, "group_size must be divisible by images_per_group"),
        ({"grouping_mode": "sometimes"}, "grouping_mode"),
        ({"canvas_format": "gif"}, "canvas_format"),
        ({"patch": 0}, "patch"),
    ],
)
def test_a_wrong_option_is_named_before_any_work(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        options(**changes).validate()
    with pytest.raises(ValueError, match=named):
        LlavaOneVisionCodecPreprocessor(options(**changes))


def test_legacy_keywords_may_be_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mediaref"):
        config = LlavaCodecPreprocessConfig.from_legacy_kwargs(
            "cache",
            "64",
            codec_patch="16",
            codec_avoid_keyframes="0",
            codec_sample_fps="2.5",
            codec_canvas_format="png",
            codec_nonsense="3",
            sample_fps=9,
            batch_size=1,
        )
    chosen = {"target_canvas": 64, "patch": 16, "avoid_keyframes": False, "sample_fps": 2.5, "canvas_format": "png"}
    assert config == options(**chosen)
    assert [record.getMessage().split()[0] for record in caplog.records] == ["codec_nonsense"]
    for text, value in {"1": True, "True": True, "off": False, "no": False}.items():
        assert (
            LlavaCodecPreprocessConfig.from_legacy_kwargs("c", 4, codec_avoid_keyframes=text).avoid_keyframes is value
        )
    for wrong in ({"codec_patch": "many"}, {"codec_avoid_keyframes": "maybe"}, {"codec_patch": None}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            LlavaCodecPreprocessConfig.from_legacy_kwargs("c", 4, **wrong)  # type: ignore[arg-type]


def test_a_video_is_prepared_once_and_found_again(clip: Clip, tmp_path: Path) -> None:
    video = Path(shutil.copy(clip("long"), tmp_path / "my clip.mp4"))
    preprocessor = LlavaOneVisionCodecPreprocessor(options(cache_root=str(tmp_path / "cache"), group_size=16))
    first = preprocessor.run(video)
    made = (Path(first.out_dir) / "meta.json").stat().st_mtime_ns
    again = preprocessor.run(str(video))
    assert (again.out_dir, (Path(again.out_dir) / "meta.json").stat().st_mtime_ns) == (first.out_dir, made)
    assert Path(first.out_dir) == preprocessor.cache_dir_for(video)
    assert Path(first.out_dir).name.startswith("my_clip_")
    assert first.meta["seq_len"] == 32
    assert {image.size for image in first.images} == {tuple(reversed(first.meta["processed_hw"]))}
    assert first.src_positions.shape == (first.meta["total_patches"], 3)
    assert preprocessor.run(video, total_frames=20).meta["seq_len"] == 20


def test_the_cache_tells_videos_and_options_apart(clip: Clip, tmp_path: Path) -> None:
    video = Path(shutil.copy(clip("plain"), tmp_path / "video.mp4"))

    def folder(**changes: Any) -> Path:
        return LlavaOneVisionCodecPreprocessor(options(**changes)).cache_dir_for(video)

    same = folder()
    changed = [{"patch": 16}, {"bitcost_grid": "sub"}, {"avoid_keyframes": False}, {"canvas_format": "png"}]
    assert len({same, *(folder(**change) for change in changed)}) == 5
    assert folder(parallel_segments=2, decode_backend="cv_reader_pixels") == same  # these change no result
    with video.open("ab") as file:
        file.write(bytes(8))
    assert folder() != same
    with pytest.raises(MediaNotFoundError, match=r"missing\.mp4"):
        LlavaOneVisionCodecPreprocessor(options()).run(tmp_path / "missing.mp4")


@pytest.mark.parametrize("name", ["meta.json", "src_patch_position.npy", "canvas_001.jpg"])
def test_a_folder_that_lacks_a_file_is_refused_by_name(name: str, clip: Clip, tmp_path: Path) -> None:
    codec_video_prep.run_preinfer(str(clip("plain")), str(tmp_path / "out"), num_sampled_frames=16)
    (tmp_path / "out" / name).unlink()
    with pytest.raises(MediaNotFoundError, match=name):
        load_llava_codec_result(tmp_path / "out")


def test_a_damaged_folder_is_refused(clip: Clip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    codec_video_prep.run_preinfer(str(clip("plain")), str(out), num_sampled_frames=16)
    positions = np.load(out / "src_patch_position.npy")
    np.save(out / "src_patch_position.npy", positions[:-1])
    with pytest.raises(InvalidReferenceError, match="share out"):
        load_llava_codec_result(out)
    (out / "src_patch_position.npy").write_bytes(b"not numpy")
    with pytest.raises(CorruptMediaError, match="prepared video"):
        load_llava_codec_result(out)


# --- positions and text ----------------------------------------------------------------------------------------------


def test_the_block_layout_by_hand() -> None:
    """A picture of 4 x 4 patches: the four patches of a square follow each other, square by square."""
    ordered = convert_positions_to_block_layout(picture(7, 4, 4), 1, 4, 4)
    squares = [
        [(0, 0), (0, 1), (1, 0), (1, 1)],
        [(0, 2), (0, 3), (1, 2), (1, 3)],
        [(2, 0), (2, 1), (3, 0), (3, 1)],
        [(2, 2), (2, 3), (3, 2), (3, 3)],
    ]
    assert [tuple(place) for place in ordered[:, 1:].tolist()] == [place for square in squares for place in square]
    assert (ordered[:, 0] == 7).all()


@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
def test_the_block_layout_keeps_squares_together(t: int, down: int, across: int, side: int) -> None:
    rows, columns = down * side, across * side
    patches = np.concatenate([picture(frame, rows, columns) for frame in range(t)])
    ordered = convert_positions_to_block_layout(patches, t, rows, columns, side)
    assert sorted(map(tuple, ordered.tolist())) == sorted(map(tuple, patches.tolist()))
    squares = (ordered // [1, side, side]).reshape(-1, side * side, 3)
    assert (squares == squares[:, :1]).all()
    assert sorted(map(tuple, squares[:, 0].tolist())) == list(map(tuple, squares[:, 0].tolist()))


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidReferenceError, match="whole squares"):
        convert_positions_to_block_layout(picture(0, 3, 4), 1, 3, 4)
    with pytest.raises(InvalidReferenceError, match="not those of"):
        convert_positions_to_block_layout(picture(0, 2, 4), 1, 4, 4)
    for grid in ([[1, 4, 4]], [[1, 4, 4]] * 3):
        with pytest.raises(InvalidReferenceError, match="length mismatch"):
            codec_positions_for_processor(np.concatenate([picture(0, 4, 4)] * 2), np.array(grid))


def test_canvases_are_reordered_one_by_one() -> None:
    both = np.concatenate([picture(0, 4, 4), picture(9, 2, 6)])
    ordered = codec_positions_for_processor(both, np.array([[1, 4, 4], [1, 2, 6]]))
    assert ordered.dtype == np.int64
    assert ordered[:16].tolist() == convert_positions_to_block_layout(picture(0, 4, 4), 1, 4, 4).tolist()
    assert ordered[16:].tolist() == convert_positions_to_block_layout(picture(9, 2, 6), 1, 2, 6).tolist()


def test_tensors_give_tensors() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    patches, grid = picture(4, 4, 4), np.array([[1, 4, 4]])
    expected = codec_positions_for_processor(patches, grid)
    for arguments in ((torch.tensor(grid),), (grid, "cpu")):
        made = codec_positions_for_processor(patches, *arguments)
        assert made.dtype == torch.int64
        assert made.tolist() == expected.tolist()
    assert convert_positions_to_block_layout(torch.tensor(patches), 1, 4, 4).tolist() == expected.tolist()
    assert timestamp_runs(made, 8.0, 1) == [("<0.5 seconds>", 4)]


def test_padding_goes_by_whole_canvases() -> None:
    images = [Image.new("RGB", (28, 28), (level, 0, 0)) for level in range(3)]
    positions = np.concatenate([picture(3, 2, 2), np.full((4, 3), -1), picture(5, 2, 2)])
    kept, left, dropped = drop_padding_canvases(images, positions)
    assert (kept, dropped) == ([images[0], images[2]], 1)
    assert left[:, 0].tolist() == [3] * 4 + [5] * 4
    positions[5] = 0
    with pytest.raises(InvalidReferenceError, match="padding in part"):
        drop_padding_canvases(images, positions)
    with pytest.raises(InvalidReferenceError, match="share out"):
        drop_padding_canvases(images, positions[:-1])


def test_runs_and_their_timestamps() -> None:
    frames = [0] * 4 + [1] * 8 + [5] * 4 + [1] * 4 + [-1] * 4
    positions = np.array([[frame, 0, 0] for frame in frames])
    expected = [("<0.0 seconds>", 1), ("<0.5 seconds>", 2), ("<2.5 seconds>", 1), ("<0.5 seconds>", 1)]
    assert timestamp_runs(positions, 2.0, 1) == expected
    assert timestamp_runs(positions, 2.0, 1, seconds={5: 7.25})[2] == ("<7.2 seconds>", 1)
    assert timestamp_runs(positions[:0], 2.0, 1) == []
    assert timestamp_runs(picture(2, 3, 3), 2.0, 0, 3) == [("<1 seconds>", 1)]
    assert [format_timestamp(1.25, digits) for digits in (0, 1, 2)] == [
        "<1 seconds>",
        "<1.2 seconds>",
        "<1.25 seconds>",
    ]
    with pytest.raises(InvalidReferenceError, match="frame 0 has 3 patches"):
        timestamp_runs(np.array([[0, 0, 0]] * 3 + [[1, 0, 0]] * 5), 2.0, 1)
    with pytest.raises(InvalidReferenceError, match="fps"):
        timestamp_runs(positions, 0.0, 1)


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        (f"Look: {START}{PAD}{END}What is it?", "Look: ", "What is it?"),
        (f"Look: {START}{PAD}{END}\nWhat is it?", "Look: ", "What is it?"),
        (f"Look: {START}<|video_pad|>{END}\nWhat is it?", "Look: ", "What is it?"),
        (f"Look: {START}{PAD}{PAD}{END}{START}{PAD}{END}\n\n{START}{PAD}{END}\n\nWhat?", "Look: ", "\nWhat?"),
    ],
)
def test_the_text_by_hand(text: str, before: str, after: str) -> None:
    positions = np.concatenate([picture(0, 2, 2), picture(30, 2, 4)])
    lines = f"<0.0 seconds>{START}{PAD}{END}\n<1.0 seconds>{START}{PAD}{PAD}{END}\n"
    assert rewrite_text_with_codec_positions(text, positions, 30.0, 1) == before + lines + after


def test_no_text_is_lost() -> None:
    positions = picture(0, 2, 2)
    assert rewrite_text_with_codec_positions("no pictures", positions, 30.0, 1) == "no pictures"
    with pytest.raises(InvalidReferenceError, match="and then"):
        rewrite_text_with_codec_positions(f"{START}{PAD}{END} and then {START}{PAD}{END}", positions, 30.0, 1)


# --- with a real tokenizer and image processor -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def processor() -> SimpleNamespace:
    """A tokenizer of its own, by words and special tokens, and the image processor of Qwen2-VL: nothing downloaded."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    tokenizers = pytest.importorskip("tokenizers")
    special = [START, PAD, END, "[UNK]"]
    words = {word: number for number, word in enumerate([*special, *map(chr, range(32, 127)), "\n"])}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex("[\\s\\S]"), "isolated")
    model.decoder = tokenizers.decoders.Fuse()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=model, unk_token="[UNK]", additional_special_tokens=special[:3]
    )
    kinds = (getattr(transformers, name, None) for name in ("Qwen2VLImageProcessorPil", "Qwen2VLImageProcessor"))
    kind = next(kind for kind in kinds if kind is not None)
    return SimpleNamespace(tokenizer=tokenizer, image_processor=kind(patch_size=14, temporal_patch_size=1))


def test_the_whole_input_with_real_parts(clip: Clip, tmp_path: Path, processor: SimpleNamespace) -> None:
    config = options(cache_root=str(tmp_path), target_canvas=8, group_size=16)
    result = LlavaOneVisionCodecPreprocessor(config).run(clip("long"))
    prompt = f"user: {START}{PAD}{END}\nWhat moves?"
    inputs = prepare_llava_onevision_inputs(processor, prompt, result, return_tensors="np")

    rows, columns = result.meta["hb_wb"]
    canvases, patches = len(result.images), len(result.src_positions)
    assert inputs["image_grid_thw"].tolist() == [[1, rows, columns]] * canvases
    assert inputs["pixel_values"].shape == (patches, 14 * 14 * 3)
    assert inputs["patch_positions"].shape == (patches, 3)
    assert inputs["input_ids"].shape == inputs["attention_mask"].shape

    pad = processor.tokenizer.convert_tokens_to_ids(PAD)
    assert (inputs["input_ids"] == pad).sum() == patches // 4
    told = processor.tokenizer.decode(inputs["input_ids"][0])
    frames = inputs["patch_positions"][::4, 0]
    changes = [0, *(np.flatnonzero(np.diff(frames)) + 1)]
    lines = told.removeprefix("user: ").removesuffix("What moves?").splitlines()
    assert len(lines) == len(changes)
    for line, first, end in zip(lines, changes, [*changes[1:], len(frames)], strict=True):
        assert line == f"<{frames[first] / result.fps:.1f} seconds>{START}{PAD * (end - first)}{END}"


def test_pixels_and_positions_are_in_the_same_order(processor: SimpleNamespace) -> None:
    """Each patch is painted with its own place, so that the processor's order can be read off its pixels."""
    rows, columns = 4, 6
    paint = np.zeros((rows, columns, 3), np.uint8)
    paint[..., 0], paint[..., 1] = np.mgrid[0:rows, 0:columns] * 40
    canvas = Image.fromarray(paint.repeat(14, 0).repeat(14, 1))
    result = LlavaCodecResult([canvas] * 2, np.concatenate([picture(0, 4, 6), picture(8, 4, 6)]), 4.0, "", {})
    inputs = prepare_llava_onevision_inputs(processor, START + END, result, return_tensors="np", timestamp_decimals=2)
    seen = inputs["pixel_values"].reshape(-1, 3, 14 * 14).mean(axis=2)
    mean, std = np.array(processor.image_processor.image_mean), np.array(processor.image_processor.image_std)
    places = np.rint((seen * std + mean) * 255 / 40).astype(int)[:, :2]
    assert places.tolist() == inputs["patch_positions"][:, 1:].tolist()
    assert "<2.00 seconds>" in processor.tokenizer.decode(inputs["input_ids"][0])


def test_large_canvases_are_never_scaled_down(processor: SimpleNamespace) -> None:
    canvas = Image.new("RGB", (14 * 30, 14 * 20))
    result = {"images": [canvas], "src_positions": picture(0, 20, 30), "fps": 25}
    inputs = prepare_llava_onevision_inputs(processor, START + END, result, max_pixels=50_000, return_tensors="np")
    assert inputs["image_grid_thw"].tolist() == [[1, 20, 30]]


def test_parts_that_do_not_fit_are_refused(processor: SimpleNamespace) -> None:
    canvas, empty = Image.new("RGB", (56, 56)), np.full((16, 3), -1)
    with pytest.raises(InvalidReferenceError, match="all codec canvases are padding"):
        prepare_llava_onevision_inputs(processor, START + END, LlavaCodecResult([canvas], empty, 4.0, "", {}))
    with pytest.raises(InvalidReferenceError, match="where the video goes"):
        prepare_llava_onevision_inputs(processor, "?", LlavaCodecResult([canvas], picture(0, 4, 4), 4.0, "", {}))
    with pytest.raises(InvalidReferenceError, match="src_positions"):
        prepare_llava_onevision_inputs(processor, START + END, {"images": [canvas], "fps": 4})


def test_times_of_a_variable_rate_are_the_true_ones(clip: Clip, tmp_path: Path, processor: SimpleNamespace) -> None:
    times = [0, *range(2000, 2000 + 47 * 40, 40)]  # milliseconds: the second frame comes late
    video = make_clip(tmp_path / "late.mkv", frames=48, timestamps=times, time_base=Fraction(1, 1000))
    config = options(cache_root=str(tmp_path / "cache"), target_canvas=8, group_size=16, avoid_keyframes=False)
    result = LlavaOneVisionCodecPreprocessor(config).run(video)
    shown = json.loads((Path(result.out_dir) / "meta.json").read_text())
    inputs = prepare_llava_onevision_inputs(processor, START + END, result, return_tensors="np", timestamp_decimals=3)
    told = processor.tokenizer.decode(inputs["input_ids"][0])
    stamps = [line.split(" seconds")[0][1:] for line in told.splitlines()]
    frames = inputs["patch_positions"][::4, 0]
    runs = frames[[0, *(np.flatnonzero(np.diff(frames)) + 1)]]
    assert stamps == [f"{times[frame] / 1000:.3f}" for frame in runs]
    assert shown["frame_ids"] == np.load(Path(result.out_dir) / "frame_ids.npy").tolist()
