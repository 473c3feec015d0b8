"""Fixtures that all tests share: clips made on the spot, and the corpus where it is at hand."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from clips import CLIPS

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`clip(name)` is the path of one clip of `clips.CLIPS`, encoded on first use; copy it before changing it."""
    folder = tmp_path_factory.mktemp("clips")
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = CLIPS[name].build(folder, name)
        return made[name]

    return get


@dataclass(frozen=True)
class CorpusFile:
    """One line of the corpus' index."""

    path: Path
    codec: str
    features: str
    decodes: bool

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"


def corpus_files(*folders: str, codec: str = "") -> list[CorpusFile]:
    """The corpus' files in `folders` whose codec begins with `codec`; empty where there is no corpus."""
    index = CORPUS / "INDEX.tsv"
    if not index.is_file():
        return []
    with index.open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        CorpusFile(CORPUS / row["path"], row["codec"], row["features"], row["decodes_with_ffmpeg"].startswith("OK"))
        for row in rows
        if row["path"].split("/")[0] in folders and row["codec"].lower().startswith(codec)
    ]


@pytest.fixture(autouse=True)
def _needs_corpus(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("corpus") and not CORPUS.is_dir():
        pytest.skip(f"no corpus at {CORPUS}")
    return
