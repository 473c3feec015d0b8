"""The workflows of GitHub are sound YAML, pin their actions, and call what is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps_of(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in YAML(typ="safe").load(workflow)["jobs"].values():
        if "uses" in job:  # another workflow's jobs
            assert (ROOT / job["uses"]).is_file()
            continue
        assert "timeout-minutes" in job
        targets = job.get("strategy", {}).get("matrix", {}).get("target", [])
        for step in job["steps"]:
            yield step | {
                "runs": [step.get("run", "").replace("${{ matrix.target }}", name) for name in targets or [""]]
            }


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_what_is_run_exists(workflow: Path) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for step in steps_of(workflow):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+|stable)", step["uses"])
        for target in re.findall(r"\bmake (\S+)", "\n".join(step["runs"])):
            assert target in targets
        for file in re.findall(r"\.ci/[\w.]+", step.get("run", "")):
            assert (ROOT / file).is_file()


def test_there_is_a_wheel_for_every_platform() -> None:
    release = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "release.yml")
    names = {each["name"] for each in release["jobs"]["wheels"]["strategy"]["matrix"]["include"]}
    assert names == {"linux-x86_64", "linux-aarch64", "macos-arm64", "macos-x86_64", "windows-x86_64"}
    assert set(release["jobs"]["publish"]["needs"]) == {"tests", "wheels", "sdist"}
