"""Where a batch puts its results: a local folder or any place that fsspec writes to. Files appear whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from codec_video_prep.output import OutputError
from mediaref.cli.files import write_whole
from mediaref.errors import MissingDependencyError
from mediaref.storage import locate_trusted


class Store:
    """A folder for results, named by a path or uri. Names within it have `/` between their parts.

    Methods raise `OutputError` for what the storage refuses.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        source = locate_trusted(url)
        self.local = None if source.path is None else Path(source.path).resolve()
        """The folder, where it is one of this machine."""

    def read(self, name: str) -> bytes | None:
        """The content of a file, None where there is no such file."""
        with self._translated(name):
            try:
                return (self.local / name).read_bytes() if self.local else self._remote.cat_file(self._path(name))
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, or replace it, in one step."""
        with self._translated(name):
            if self.local:
                (self.local / name).parent.mkdir(parents=True, exist_ok=True)
                write_whole(self.local / name, content)
            else:
                self._remote.pipe_file(self._path(name), content)

    def put(self, file: Path, name: str) -> None:
        """Move a finished file here."""
        with self._translated(name):
            if self.local:
                (self.local / name).parent.mkdir(parents=True, exist_ok=True)
                if file.stat().st_dev == self.local.stat().st_dev:
                    file.replace(self.local / name)
                else:
                    beside = (self.local / name).with_name(f".{name.rpartition('/')[2]}.part")
                    shutil.move(file, beside)
                    beside.replace(self.local / name)
            else:
                self._remote.put_file(str(file), self._path(name))
                file.unlink()

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, which need not be there; `""` is the store itself."""
        with self._translated(folder):
            if self.local:
                inside = self.local / folder
                return [entry.name for entry in inside.iterdir()] if inside.is_dir() else []
            try:
                listed = self._remote.ls(self._path(folder).rstrip("/"), detail=False, refresh=True)
            except FileNotFoundError:
                return []
            return [str(name).rstrip("/").rpartition("/")[2] for name in listed]

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._translated(name):
            if self.local:
                (self.local / name).unlink(missing_ok=True)
                return
            with suppress(FileNotFoundError):
                self._remote.rm_file(self._path(name))

    @property
    def _remote(self) -> Any:
        import fsspec

        return fsspec.core.url_to_fs(self.url)[0]  # fsspec keeps one for all who ask; it does not go through pickle

    def _path(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}"

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        try:
            yield
        except ImportError as error:
            raise MissingDependencyError(f"{self.url}: writing to this scheme needs a package: {error}") from error
        except Exception as error:
            raise OutputError(f"{self.url}: {name}: {type(error).__name__}: {error}") from error
