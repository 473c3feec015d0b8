"""Types under the names that 0.3 gives them."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, Union

from mediaref.video_decoder.base import BatchDecodingStrategy, VideoStreamMetadata

__all__ = ["SECOND_TYPE", "BatchDecodingStrategy", "PTSUnit", "VideoStreamMetadata"]

#: A time in seconds.
SECOND_TYPE = Union[float, Fraction]  # noqa: UP007 - programs ask for its parts by `typing.get_args`
#: What a time is counted in: the stream's time base, or seconds.
PTSUnit = Literal["pts", "sec"]
