"""`mediaref decode`: pictures that references point at, as image files."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from mediaref import images
from mediaref.batch import iter_decode
from mediaref.cli import refs as references
from mediaref.cli.files import write_whole
from mediaref.ref import MediaRef

FORMATS = ("png", "jpeg", "webp", "bmp", "tiff")


def run(refs: Sequence[str], out_dir: Path, format: str) -> int:
    """Write one file for each reference and print its name; returns 1 if some could not be read, which are logged."""
    lines = [line for text in refs for line in (sys.stdin if text == "-" else [text])]
    wanted = [references.parse(line.strip()) for line in lines if line.strip()]
    out_dir.mkdir(parents=True, exist_ok=True)
    failed = 0
    for number, (ref, pixels) in enumerate(zip(wanted, iter_decode(wanted, on_error="skip"), strict=True)):
        if pixels is None:
            failed += 1
            continue
        path = out_dir / f"{number:06d}_{_label(ref)}.{format}"
        write_whole(path, images.encode(pixels, format))
        print(path)
    if failed:
        print(f"mediaref: {failed} of {len(wanted)} references could not be read", file=sys.stderr)
    return 1 if failed else 0


def _label(ref: MediaRef) -> str:
    stem = "embedded" if ref.is_embedded else PurePosixPath(ref.uri).stem
    safe = re.sub(r"[^\w.-]+", "_", stem)[:60] or "unnamed"
    return safe if ref.pts_ns is None else f"{safe}_{ref.pts_ns}ns"
