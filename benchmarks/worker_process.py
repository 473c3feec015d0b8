"""A process that answers requests, each a line of JSON, with another line each: what every contestant is.

Between its turns it is stopped: decord, for one, goes on decoding behind what it was asked for, on a core that others
are being measured on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from clips import HERE


def clean_environment(hidden: Collection[str] = ("PYTHONPATH", "VIRTUAL_ENV")) -> dict[str, str]:
    """Ours, less what would lead another Python to our packages."""
    return {key: value for key, value in os.environ.items() if key not in hidden}


class WorkerProcess:
    """Runs a script of this folder."""

    def __init__(
        self, python: Path | str, script: str, *arguments: str, environment: Mapping[str, str], is_quiet: bool
    ) -> None:
        self._process = subprocess.Popen(
            [str(python), str(HERE / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if is_quiet else None,
            text=True,
            env=dict(environment),
        )

    def ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Its answer; None if it has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        answer = self._process.stdout.readline()
        self._process.send_signal(signal.SIGSTOP)
        found: dict[str, Any] | None = json.loads(answer) if answer else None
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
