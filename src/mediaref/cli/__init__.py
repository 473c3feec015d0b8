"""`mediaref`: look at videos, read what references point at, and tend to the installation."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import mediaref
from mediaref.cli import bitcost, decode, doctor, hf_feature, inspect
from mediaref.errors import MediaRefError

_REF = "URI for an image, URI@TIME for a frame of a video (12.5s, 40ms or 1500000000ns), or the reference as JSON"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 141 not read on."""
    given = vars(_parser().parse_args(arguments))
    run: Callable[..., int] = given.pop("run")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        status = run(**given)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever reads our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to print goes nowhere, in silence
        return 141  # as a shell tells of SIGPIPE
    except (MediaRefError, OSError) as error:
        print(f"mediaref: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mediaref: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mediaref", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"mediaref {mediaref.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., int], help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        made.set_defaults(run=run)
        return made

    made = command("inspect", inspect.run, "show the streams, groups of pictures and frames of a video")
    made.add_argument("video", help="path or URI")
    made.add_argument("--frames", action="store_true", help="show a line for every frame too")
    made.add_argument("--json", action="store_true", dest="as_json", help="print everything as one JSON object")

    made = command("decode", decode.run, "write the pictures that references point at")
    made.add_argument("refs", nargs="+", metavar="REF", help=f"{_REF}; - reads them from stdin, one a line")
    made.add_argument("-o", "--out-dir", type=Path, required=True, metavar="DIR", help="folder, made if need be")
    made.add_argument("--format", choices=decode.FORMATS, default="png", help="file format (png)")

    made = command("bitcost", bitcost.run, "draw where in a frame its encoder spent the bits")
    made.add_argument("ref", metavar="REF", help=_REF)
    made.add_argument("-o", "--out", type=Path, required=True, metavar="PNG", help="image to write")

    command("doctor", doctor.run, "find out whether this installation works, by letting it work")

    made = command("status", hf_feature.status, "tell whether datasets knows the MediaRef feature by itself")
    made.add_argument("--json", action="store_true", dest="as_json", help="print a JSON object")
    for name, run, help in (
        ("enable-hf-feature", hf_feature.enable, "let datasets register the MediaRef feature whenever it is imported"),
        ("disable-hf-feature", hf_feature.disable, "take back what enable-hf-feature did"),
    ):
        made = command(name, run, help)
        made.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    return parser
