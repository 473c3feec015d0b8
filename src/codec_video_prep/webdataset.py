"""Prepared videos as samples of a WebDataset shard: a tar file with a few members for each.

`KEY.canvas_000.jpg` and so on, `KEY.patch_positions.npy` (`src_patch_position.npy` of the folder) and `KEY.json` (all
of meta.json). The same samples give the same bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from codec_video_prep.output import META, POSITIONS


def write_shard(path: Path, samples: Iterable[tuple[str, Path]]) -> None:
    """Write a shard of prepared folders, each under its key: a name without a dot, unlike all others.

    Raises:
        ValueError: a key has a dot or a slash, which readers would cut it at.
    """
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as shard:
        for key, folder in samples:
            if "." in key or "/" in key:
                raise ValueError(f"{key!r} cannot be the key of a sample: it has a dot or a slash")
            _add_sample(shard, key, folder)


def _add_sample(shard: tarfile.TarFile, key: str, folder: Path) -> None:
    meta = (folder / META).read_bytes()
    for name in json.loads(meta)["canvas_files"]:
        _add(shard, f"{key}.{name}", (folder / name).read_bytes())
    _add(shard, f"{key}.patch_positions.npy", (folder / POSITIONS).read_bytes())
    _add(shard, f"{key}.json", meta)


def _add(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, io.BytesIO(content))
