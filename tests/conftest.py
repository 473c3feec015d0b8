"""Fixtures that all tests share: clips made on the spot, and the corpus where it is at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest
from clips import CLIPS
from corpus import CORPUS
from hypothesis import settings

from mediaref.video_decoder.reader import PacketReader

# A busy machine is slow at times; that is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


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


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of the packets that are read from now on."""
    rows: list[int] = []

    def counted(original: Callable[[PacketReader, Sequence[int]], object]) -> object:
        def read(self: PacketReader, asked: Sequence[int], *stand_ins: object) -> object:
            rows.extend(asked)
            return original(self, asked, *stand_ins)

        return read

    monkeypatch.setattr(PacketReader, "read", counted(PacketReader.read))
    monkeypatch.setattr(PacketReader, "read_bytes", counted(PacketReader.read_bytes))
    return rows


@pytest.fixture(autouse=True)
def _needs_corpus(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("corpus") and not CORPUS.is_dir():
        pytest.skip(f"no corpus at {CORPUS}")


@pytest.fixture(autouse=True)
def _needs_torchcodec(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("torch") and find_spec("torchcodec") is None:
        pytest.skip("torchcodec is not installed; `make test-torch` installs it")
