"""The backends by name: which library decodes the frames of a call, and with which options."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Literal

from mediaref.errors import InvalidReferenceError
from mediaref.video_decoder.base import Backend

OutputFormat = Literal["rgb", "native"]

#: Each a module beside this one with a function `backend(options)`; `pyav` where a call names none.
BACKENDS = ("pyav", "torchcodec", "tensorcodec")


def check_backend(name: str | None) -> str:
    """`name` itself, `pyav` for None. Raises `InvalidReferenceError`."""
    if name not in {None, *BACKENDS}:
        raise InvalidReferenceError(f"Unknown decoder backend: {name!r}; choose one of {', '.join(BACKENDS)}")
    return name or "pyav"


def find_backend(name: str | None, options: Mapping[str, Any] | None, output_format: OutputFormat) -> Backend:
    """The backend `name` that gives frames as `output_format`, set up with `options` (a call's `decoder_options`).

    Raises `InvalidReferenceError` for a name, an option or a value that it does not know, and
    `MissingDependencyError` where its library is not installed.
    """
    module = importlib.import_module(f"mediaref.video_decoder.{check_backend(name)}")
    options = dict(options or {})
    if options.setdefault("output_format", output_format) != output_format:
        raise InvalidReferenceError(
            f"Conflicting output_format: decoder_options has {options['output_format']!r} where {output_format!r} is "
            f"asked for; use format={options['output_format']!r} instead"
        )
    found: Backend = module.backend(options)
    return found


def check_options(name: str, options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raise `InvalidReferenceError` if the backend `name` is given an option that is not among `known`."""
    for option in options:
        if option not in known:
            raise InvalidReferenceError(f"the decoder {name} has no option {option!r}; it has {', '.join(known)}")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise `InvalidReferenceError` if the option `name` has a `value` that is not among `choices`."""
    if value not in choices:
        raise InvalidReferenceError(f"{name} is {value!r}; choose one of {', '.join(choices)}")
