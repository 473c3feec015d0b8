"""The shared corpus of bitstreams, where it is at hand: beside the project's folder, never inside it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"


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
