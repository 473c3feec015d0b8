"""The command `patch-torchcodec`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from patch_torchcodec.installation import Installation, PatchError
from patch_torchcodec.patching import patch, restore, status
from patch_torchcodec.verification import verify


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0: done, or as asked; 1: not, and standard error says why."""
    parser = argparse.ArgumentParser(
        prog="patch-torchcodec",
        description="Point torchcodec at the FFmpeg libraries that PyAV's wheel brings. Without options: do it.",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--status", action="store_true", help="say whether it is done, and change nothing")
    mode.add_argument("--verify", action="store_true", help="let torchcodec decode a clip with PyAV's libraries")
    mode.add_argument("--restore", action="store_true", help="put torchcodec's libraries back as they were")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    options = parser.parse_args(arguments)
    say = (lambda *_: None) if options.quiet else print
    try:
        if options.verify:
            say(f"torchcodec decodes with {verify()}")
            return 0
        installation = Installation.find()
        if options.status:
            state = status(installation)
            for library, is_patched in state.items():
                say(f"{'patched' if is_patched else 'not patched'}: {library}")
            return 0 if all(state.values()) else 1
        done = (restore if options.restore else patch)(installation, dry_run=options.dry_run)
    except (PatchError, OSError) as error:
        print(f"patch-torchcodec: {error}", file=sys.stderr)
        return 1
    for line in done or ["nothing to do"]:
        say(f"{'would ' if options.dry_run and done else ''}{line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
