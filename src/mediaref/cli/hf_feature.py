"""Let `datasets` register our feature by itself: a marked block at the end of its own `features.py`.

Without it, whoever loads a dataset with references must import `mediaref.hf` first.
"""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

from mediaref.cli.files import write_whole
from mediaref.errors import CorruptMediaError, MissingDependencyError

# The marks are those of 1.1, so that each version finds, and takes back, what the other has written.
_BEGIN = "# === BEGIN: mediaref auto-registration ==="
_END = "# === END: mediaref auto-registration ==="
_BLOCK = f"""\
{_BEGIN}
# Written by `mediaref enable-hf-feature`, taken back by `mediaref disable-hf-feature`.
try:
    import mediaref.hf
except ImportError:
    pass
{_END}
"""
_FOUND = re.compile(rf"\n{re.escape(_BEGIN)}.*?{re.escape(_END)}(?:\r?\n)?", re.DOTALL)


def is_enabled(text: str) -> bool:
    """Whether the text of `features.py` has the block."""
    return _FOUND.search(text) is not None


def apply_patch(text: str) -> str:
    """`text` with the block at its end; as it is if it has one."""
    return text if is_enabled(text) else f"{text}\n{_BLOCK}"


def remove_patch(text: str) -> str:
    """`text` without the block: what `apply_patch` was given."""
    return _FOUND.sub("", text)


def enable(dry_run: bool) -> int:
    """The command `enable-hf-feature`."""
    return _change(True, dry_run)


def disable(dry_run: bool) -> int:
    """The command `disable-hf-feature`."""
    return _change(False, dry_run)


def status(as_json: bool) -> int:
    """The command `status`."""
    path = _features_file()
    enabled = is_enabled(_read(path))
    if as_json:
        print(json.dumps({"enabled": enabled, "features_file": str(path)}))
        return 0
    print("enabled" if enabled else "disabled")
    print(f"  features.py: {path}")
    if not enabled:
        print("  `mediaref enable-hf-feature` lets datasets register MediaRef by itself")
    return 0


def _change(to_enabled: bool, dry_run: bool) -> int:
    path = _features_file()
    text = _read(path)
    word = "enabled" if to_enabled else "disabled"
    if is_enabled(text) == to_enabled:
        print(f"Already {word}: {path}")
        return 0
    if dry_run:
        print(f"Would be {word}: {path}")
        return 0
    changed = apply_patch(text) if to_enabled else remove_patch(text)
    write_whole(path, changed.encode())
    print(f"{word.capitalize()}: {path}")
    if to_enabled:
        print("An upgrade of datasets takes it back; run this command again then.")
    return 0


def _features_file() -> Path:
    spec = importlib.util.find_spec("datasets")  # which does not import it
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "features" / "features.py"
        if path.is_file():
            return path
    raise MissingDependencyError("datasets is not installed here: install the 'hf' extra (pip install 'mediaref[hf]')")


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()  # not read_text, which would change the ends of lines
    except UnicodeDecodeError as error:
        raise CorruptMediaError(f"{path}: is not UTF-8: {error}") from None
