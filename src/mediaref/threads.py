"""How many threads one call may use when the caller does not say."""

from __future__ import annotations

import os
import sys

from mediaref.errors import InvalidReferenceError


def resolve_threads(threads: int | None) -> int:
    """`threads` itself, or by default the CPUs that this process may use, and 1 inside a torch DataLoader worker.

    A DataLoader already runs one process for each worker, so more threads in each would only get in each other's way.
    """
    if threads is not None:
        if threads < 1:
            raise InvalidReferenceError(f"threads is {threads}; it must be at least 1, or None to choose")
        return int(threads)
    data = sys.modules.get("torch.utils.data")  # a worker has imported it long before it can call us
    if data is not None and data.get_worker_info() is not None:
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
