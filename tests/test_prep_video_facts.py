"""What the preparation must know of a video before it begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from codec_video_prep.video_facts import VideoFacts
from mediaref.errors import CorruptMediaError
from mediaref.video_decoder import VideoIndex


def test_a_video_whose_size_nobody_can_tell_is_an_error(clip: Callable[[str], Path]) -> None:
    index = VideoIndex.open(clip("raw"))
    assert VideoFacts.of(index).bits_per_pixel > 0
    with pytest.raises(CorruptMediaError, match="size is not known"):
        VideoFacts.of(dataclasses.replace(index, width=0, height=0))
