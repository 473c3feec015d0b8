"""Arguments that are whole numbers, told from what only looks like them."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from contextlib import suppress
from reprlib import repr as short_repr

import numpy as np

from mediaref import limits
from mediaref.errors import InvalidReferenceError, InvalidTypeError, LimitExceededError


def whole_number(value: object, what: str) -> int:
    """`value` as an int, of whatever library it is. Raises `InvalidTypeError` for bools, floats and text, too."""
    if not isinstance(value, (bool, np.bool_)):
        with suppress(TypeError):
            return operator.index(value)  # type: ignore[arg-type]
    raise InvalidTypeError(f"{what}: {short_repr(value)} is no whole number; give an int")


def whole_numbers(values: Iterable[object], what: str) -> list[int]:
    """All of `values`, as `whole_number`."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InvalidTypeError(f"{what}: {short_repr(values)} is no series of whole numbers; give a list of int")
    return [whole_number(value, what) for value in values]


def tolerance(tolerance_ns: int) -> int:
    """A tolerance in nanoseconds. Raises `InvalidReferenceError`."""
    found = whole_number(tolerance_ns, "tolerance_ns")
    if found < 0:
        raise InvalidReferenceError(f"tolerance_ns is {found}; it must be 0 or more")
    return found


def picture_size(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of pictures to make. Raises `InvalidReferenceError` and `LimitExceededError`."""
    numbers = whole_numbers(size, "size")
    if len(numbers) != 2 or min(numbers) < 1:
        raise InvalidReferenceError(f"size is {size}; it must be (width, height), each at least 1")
    width, height = numbers
    if width * height > limits.MAX_FRAME_PIXELS:
        raise LimitExceededError(
            f"size is {size}, more pixels than mediaref.limits.MAX_FRAME_PIXELS ({limits.MAX_FRAME_PIXELS})"
        )
    return width, height
