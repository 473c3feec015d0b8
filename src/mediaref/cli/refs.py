"""References as they are written on a command line."""

from __future__ import annotations

import re
from fractions import Fraction

from pydantic import ValidationError

from mediaref.errors import InvalidReferenceError
from mediaref.ref import MediaRef
from mediaref.storage import shorten

_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_WITH_TIME = re.compile(r"(?P<uri>.+)@(?P<time>-?\d+(?:\.\d+)?)(?P<unit>s|ms|us|ns)", re.DOTALL)


def parse(text: str) -> MediaRef:
    """`URI`, `URI@TIME` with a unit (`clip.mp4@1.5s`), or JSON. A time between nanoseconds is cut down to one.

    Raises `InvalidReferenceError`.
    """
    if text.lstrip().startswith("{"):
        try:
            return MediaRef.model_validate_json(text)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, each['loc']))} {each['msg']}" for each in error.errors())
            raise InvalidReferenceError(f"not a reference: {shorten(text)}: {wrong}") from None
    found = _WITH_TIME.fullmatch(text)
    if found is None:
        return MediaRef(uri=text)
    return MediaRef(uri=found["uri"], pts_ns=Fraction(found["time"]) * _UNITS[found["unit"]] // 1)
