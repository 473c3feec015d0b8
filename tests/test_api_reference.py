"""docs/API.md is what the docstrings give, and leaves no public name out."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import codec_video_prep
import mediaref
from mediaref import errors, video_decoder

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def make_api() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_api", DOCS / "make_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_docstrings_give(make_api: ModuleType) -> None:
    assert (DOCS / "API.md").read_text() == make_api.reference(), "a docstring has changed: run `make docs`"


def test_every_public_name_has_a_heading() -> None:
    text = (DOCS / "API.md").read_text()
    kinds = [
        name for name, kind in vars(errors).items() if isinstance(kind, type) and kind.__module__ == errors.__name__
    ]
    assert len(kinds) > 5
    for name in [*mediaref.__all__, *video_decoder.__all__, *kinds, *codec_video_prep.__all__]:
        assert f"`{name}`\n" in text or f"`codec_video_prep.{name}`\n" in text, name
