"""The README and the pages of docs/ say what is so: every block of code in them runs as it stands."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from mediaref import MediaRef

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ROOT / "docs" / "API.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES.remove(GENERATED)
#: Languages that are shown and not run.
SHOWN = {"text"}

Clip = Callable[[str], Path]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: ```` ```python requires=torch ````, for one."""

    page: Path
    line: int
    language: str
    requires: tuple[str, ...]
    source: str


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for fence in re.finditer(r"^```(\w*)(?: requires=(\S+))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        language, requires, source = fence.groups()
        line = text.count("\n", 0, fence.start(3))
        yield Block(page, line, language, tuple(requires.split(",")) if requires else (), source)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def folder(clip: Clip, tmp_path: Path) -> Path:
    """Where the pages' code runs: with a video and a photo."""
    shutil.copy(clip("readme"), tmp_path / "clip.mp4")
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "photo.jpg")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_needs_nothing_more_runs(page: Path, folder: Path) -> None:
    run([block for block in blocks_of(page) if not block.requires], folder)


def needs_of(page: Path) -> set[str]:
    return {package for block in blocks_of(page) for package in block.requires}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name_of(page), marks=[pytest.mark.torch] if "torch" in needs_of(page) else [])
        for page in PAGES
        if needs_of(page)
    ],
)
def test_a_page_runs_from_top_to_bottom(page: Path, folder: Path) -> None:
    blocks = list(blocks_of(page))
    for package in sorted(needs_of(page)):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    run(blocks, folder)


def run(blocks: list[Block], folder: Path) -> None:
    """Run the blocks of a page as one script, with the commands of this environment."""
    lines: list[str] = []
    for block in blocks:
        # Each line stands where it stands in the page, so a traceback points at it.
        lines += [""] * (block.line - len(lines))
        if block.language == "python":
            lines += block.source.splitlines()
        elif block.language == "bash":
            lines += [command(line) for line in block.source.splitlines()]
        elif block.language == "json":
            json.loads(block.source)
        else:
            assert block.language in SHOWN, f"{name_of(block.page)}:{block.line}: who runs {block.language!r}?"
    if any(lines):
        script = folder / blocks[0].page.name.replace(".md", ".py")
        script.write_text("\n".join(lines))
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path}
        done = subprocess.run(
            [sys.executable, script.name], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr


def command(line: str) -> str:
    """A line of shell in Python; of what would build or download something, only see that it exists."""
    words = line.split()
    if words[:1] == ["make"]:
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
        return ""
    if words[:2] == ["pip", "install"]:
        optional = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2]
        for extra in re.findall(r"[\w-]+(?=[\],])", line.partition("[")[2]):
            assert re.search(rf"^{extra} = ", optional, re.MULTILINE), line
        return ""
    return f"import subprocess; subprocess.run({line!r}, shell=True, check=True)"


# --- what the pages say beside code ---------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*PAGES, GENERATED], ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors_of(linked), target


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_found_from_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert name == "README.md" or f"]({name})" in index, name


def test_the_examples_of_the_specification_are_references() -> None:
    examples = [block for block in blocks_of(ROOT / "docs" / "SPEC.md") if block.language == "json"]
    assert len(examples) >= 3
    for block in examples:
        assert MediaRef.model_validate_json(block.source).model_dump(exclude_none=True) == json.loads(block.source)
