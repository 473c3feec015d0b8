"""The commands: what they print where, their exit codes, and one clear line for each kind of bad input."""

from __future__ import annotations

import importlib
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import make_clip
from PIL import Image

import codec_video_prep
from codec_video_prep import cli, doctor
from codec_video_prep.progress import ProgressBar
from mediaref.video_decoder.index import VideoIndex

Clip = Callable[[str], Path]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _keep_logging() -> Iterator[None]:
    """The command sets up the root logger, which is a process's and not a test's to keep."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    root.handlers[:] = before


def prepare(video: Path | str, out: Path, *options: str) -> int:
    return cli.main(["--video", str(video), "--out_dir", str(out), *options])


def test_json_on_stdout_and_progress_on_stderr(clip: Clip, tmp_path: Path, capsys: Capture) -> None:
    assert prepare(clip("plain"), tmp_path / "out", "--num_sampled_frames", "10") == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert set(told) == {"out_dir", "meta_path", "timings"}
    assert told["out_dir"] == str(tmp_path / "out")
    assert Path(told["meta_path"]).is_file()
    assert told["timings"]["total"] > 0
    assert "pixels: 10 in" in printed.err


def test_quiet_is_quiet(clip: Clip, tmp_path: Path, capsys: Capture) -> None:
    assert prepare(clip("plain"), tmp_path / "out", "--num_sampled_frames", "10", "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_hyphens_and_underscores_mean_the_same(clip: Clip, tmp_path: Path, capsys: Capture) -> None:
    options = {"--num-sampled-frames": "9", "--no-avoid-keyframes": "", "--canvas-format": "png", "--sample-fps": "2"}
    for place, spell in enumerate([str, lambda option: "--" + option[2:].replace("-", "_")]):
        given = [word for option, value in options.items() for word in (spell(option), value) if word]
        assert prepare(clip("plain"), tmp_path / str(place), *given) == 0
    made = [json.loads((tmp_path / str(place) / "meta.json").read_text()) for place in (0, 1)]
    assert made[0]["config_hash"] == made[1]["config_hash"]
    assert (made[0]["avoid_keyframes"], made[0]["seq_len"]) == (False, 9)


def test_every_flag_of_the_original_is_taken(clip: Clip, tmp_path: Path, capsys: Capture) -> None:
    flags = (
        "--num_sampled_frames 12 --group_size 8 --images_per_group 2 --patch 14 --max_pixels 50000 --block_size 2 "
        "--min_group_frames 4 --max_group_frames 9 --thread_type frame --thread_count 2 --disable_target_only "
        "--bitcost_grid mb --canvas_format jpg --grouping_mode readiness --frame_sampling_mode pkt_peak "
        "--sample_fps 8 --readiness_sum_threshold 100 --readiness_sum_threshold_mode fixed "
        "--readiness_norm_sum_threshold 5 --iframe_score_clip_mode none --iframe_score_clip_percentile 90 "
        "--avoid_keyframes --save_mask_video --parallel_decode_cv_reader --decode_backend ffmpeg_native "
        "--parallel_segments 2 --threads_per_segment 2 --segment_guard_frames 10"
    )
    code = prepare(clip("long"), tmp_path / "out", *flags.split())
    assert code == 0, capsys.readouterr().err


def test_overwrite(clip: Clip, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert prepare(clip("plain"), out, "--num_sampled_frames", "10") == 0
    assert prepare(clip("plain"), out, "--num_sampled_frames", "11") == 1
    assert "--overwrite" in capsys.readouterr().err.replace("pass overwrite", "--overwrite")
    assert prepare(clip("plain"), out, "--num_sampled_frames", "11", "--overwrite") == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--canvas_format", "gif"], ["canvas_format", "jpg", "png", "npy"]),
        (["--frame_sampling_mode", "sometimes"], ["frame_sampling_mode", "uniform_count", "all_frames"]),
        (["--num_sampled_frames", "many"], ["num_sampled_frames"]),
        (["--num_sampled", "9"], ["--num_sampled"]),
    ],
)
def test_wrong_usage_names_the_option_before_any_work(
    options: list[str], said: list[str], tmp_path: Path, capsys: Capture
) -> None:
    with pytest.raises(SystemExit) as stopped:
        prepare(tmp_path / "missing.mp4", tmp_path / "out", *options)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert all(word in error for word in said)


def bad_videos(folder: Path, good: Path) -> dict[str, Path]:
    """Files that are no sound video, by what is wrong with them."""
    whole = good.read_bytes()
    contents = {
        "empty.mp4": b"",
        "text.mp4": b"this is not a video\n" * 50,
        "truncated.mp4": whole[: len(whole) // 2],  # its index was at the end
        "zeros.mp4": bytes(4096),
    }
    made = {}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        made[name] = folder / name
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(folder / "picture.png")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(folder / "picture.jpg")
    with av.open(str(folder / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    (folder / "folder.mp4").mkdir()
    names = ["picture.png", "picture.jpg", "sound.mp4", "folder.mp4", "missing.mp4"]
    return {**made, **{name: folder / name for name in names}}


@pytest.mark.parametrize(
    "name",
    ["empty", "text", "truncated", "zeros", "sound", "folder", "missing"],
)
def test_a_file_that_is_no_video_gets_one_line(name: str, clip: Clip, tmp_path: Path, capsys: Capture) -> None:
    one_line(bad_videos(tmp_path, clip("plain"))[f"{name}.mp4"], tmp_path, capsys)


@pytest.mark.parametrize("name", ["picture.png", "picture.jpg"])
def test_an_image_gets_one_line(name: str, clip: Clip, tmp_path: Path, capsys: Capture) -> None:
    assert "image" in one_line(bad_videos(tmp_path, clip("plain"))[name], tmp_path, capsys)


def test_a_codec_whose_bits_are_not_read_is_named(clip: Clip, tmp_path: Path, capsys: Capture) -> None:
    assert "mpeg4" in one_line(clip("mpeg4"), tmp_path, capsys)


def test_too_short_a_video_gets_one_line(clip: Clip, tmp_path: Path, capsys: Capture) -> None:
    assert "at least 8" in one_line(clip("one_frame"), tmp_path, capsys)


def test_damage_is_located(clip: Clip, tmp_path: Path, capsys: Capture) -> None:
    data = bytearray(clip("plain").read_bytes())
    start = data.index(b"mdat") + 4
    middle = start + (len(data) - start) // 3
    data[middle : middle + 900] = bytes(byte ^ 0x5A for byte in data[middle : middle + 900])
    (tmp_path / "flipped.mp4").write_bytes(data)
    line = one_line(tmp_path / "flipped.mp4", tmp_path, capsys, "--frame_sampling_mode", "all_frames")
    assert "frame " in line
    assert "byte " in line


def one_line(video: Path, folder: Path, capsys: Capture, *options: str) -> str:
    """The line that preparing `video` fails with; checks that it is one, names the file, and leaves nothing behind."""
    before = sorted(folder.rglob("*"))
    assert prepare(video, folder / "out", *options) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = [line for line in printed.err.splitlines() if line.startswith("codec-video-prep:")]
    assert len(lines) == 1
    assert "Traceback" not in printed.err
    assert video.name in lines[0]
    assert sorted(folder.rglob("*")) == before
    return lines[0]


def test_a_size_that_changes_and_odd_timestamps_are_prepared(clip: Clip, tmp_path: Path, capsys: Capture) -> None:
    parts = [make_clip(tmp_path / f"{size[0]}.h264", frames=10, size=size) for size in ((96, 80), (144, 112))]
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert prepare(joined, tmp_path / "joined", "--num_sampled_frames", "16") == 0
    meta = json.loads((tmp_path / "joined" / "meta.json").read_text())
    assert meta["total_frames"] == 20
    assert prepare(clip("variable_rate"), tmp_path / "vfr", "--frame_sampling_mode", "fps", "--sample_fps", "9") == 0


@pytest.mark.parametrize("mode", ["uniform_count", "fps"])
def test_repeated_timestamps_are_prepared(mode: str, tmp_path: Path, capsys: Capture) -> None:
    # Matroska counts milliseconds: frames a quarter of one apart fall together.
    times = [22 * number for number in range(24)]
    video = make_clip(tmp_path / "dense.mkv", timestamps=times, time_base=Fraction(1, 90_000))
    assert len(np.unique(VideoIndex.open(video).pts_ns)) < 24
    options = ["--frame_sampling_mode", mode, "--num_sampled_frames", "12", "--sample_fps", "3000"]
    assert prepare(video, tmp_path / "out", *options) == 0, capsys.readouterr().err


def test_the_alias_package_is_the_same_thing() -> None:
    for module in ("", ".api", ".cli", ".config", ".cv_reader_fast", ".doctor", ".integrations.llava_onevision"):
        alias = importlib.import_module(f"compressed_video_preinfer{module}")
        real = importlib.import_module(f"codec_video_prep{module}")
        for name in alias.__all__:
            assert getattr(alias, name) is getattr(real, name)
    assert set(importlib.import_module("compressed_video_preinfer").__all__) == set(codec_video_prep.__all__)


def test_the_doctor_finds_a_healthy_installation_healthy(capsys: Capture) -> None:
    assert doctor.main([]) == 0
    printed = capsys.readouterr().out
    assert printed.count(": OK (") == len(doctor.CHECKS)
    assert "every bit accounted for" in printed


def test_the_doctor_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "mediaref._native", None)
    assert doctor.main([]) == 1
    printed = capsys.readouterr().out
    assert "bitstream parser: FAIL" in printed
    assert "libraries: OK" in printed


@pytest.mark.parametrize("module", ["codec_video_prep", "compressed_video_preinfer"])
def test_modules_run_as_commands(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", f"{module}.cli", "--help"], capture_output=True, text=True, check=True)
    assert "--num_sampled_frames" in done.stdout


class Terminal:
    """A stream that says it is a terminal and remembers what was written."""

    def __init__(self) -> None:
        self.written = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.written += text
        return len(text)

    def flush(self) -> None:
        pass


def test_the_bar_redraws_its_line_and_ends_it() -> None:
    terminal = Terminal()
    with ProgressBar(terminal) as bar:  # type: ignore[arg-type]
        for done in range(1, 101):
            bar.show("pixels", done, 100)
    assert terminal.written.count("\n") == 1
    assert terminal.written.count("\r") < 20  # not for every frame
    assert terminal.written.endswith("100/100\n")
