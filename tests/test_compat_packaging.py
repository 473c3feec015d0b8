"""What an installation promises: extras and commands under their names, types, silence, and light imports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import mediaref

PROJECT = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")


def section(name: str) -> dict[str, str]:
    """The keys of a table of `pyproject.toml`, with what begins on their lines. (Python 3.10 reads no TOML.)"""
    text = PROJECT.partition(f"[{name}]\n")[2].partition("\n[")[0]
    return dict(re.findall(r"^([\w-]+) = (.*)$", text, re.MULTILINE))


def test_the_extras_of_all_releases_are_there() -> None:
    assert {"video", "pyav", "torchcodec", "hf"} <= set(section("project.optional-dependencies"))


def test_the_command_is_mediaref() -> None:
    assert section("project.scripts")["mediaref"] == '"mediaref.cli:main"'


def test_the_package_says_its_version_and_that_it_is_typed() -> None:
    assert re.match(r"\d+\.\d+\.\d+", mediaref.__version__)
    assert Path(mediaref.__file__).with_name("py.typed").is_file()


def test_importing_any_part_leaves_av_torch_and_datasets_out_and_the_environment_alone() -> None:
    parts = ["core", "data_uri", "batch", "cached_av", "decoders", "video_decoder.types", "compat.lerobot", "cli"]
    code = f"""
import os, sys
before = dict(os.environ)
import {", ".join(f"mediaref.{part}" for part in parts)}
print([name for name in ("av", "torch", "torchcodec", "datasets", "pyarrow", "cv2", "loguru") if name in sys.modules])
print(dict(os.environ) == before)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split("\n")[:2] == ["[]", "True"]


def test_a_program_that_sets_up_no_logging_hears_nothing(tmp_path: Path) -> None:
    code = """
import sys, mediaref
(skipped,) = mediaref.batch_decode([mediaref.MediaRef(uri=sys.argv[1])], allow_images=True, on_error="skip")
print(skipped)
"""
    shown = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "none.png")],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    assert (shown.stdout, shown.stderr) == ("None\n", "")
