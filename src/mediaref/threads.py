"""How many threads one call may use when the caller does not say."""

from __future__ import annotations

import math
import os
import sys
from functools import cache
from pathlib import Path

from mediaref.arguments import whole_number
from mediaref.errors import InvalidReferenceError

_CONTROL_GROUPS = Path("/sys/fs/cgroup")


def resolve_threads(threads: int | None) -> int:
    """`threads` itself, or by default the CPUs that this process may use, and 1 inside a torch DataLoader worker.

    A DataLoader already runs one process for each worker, so more threads in each would only get in each other's way.
    """
    if threads is not None:
        number = whole_number(threads, "threads")
        if number < 1:
            raise InvalidReferenceError(f"threads is {number}; it must be at least 1, or None to choose")
        return number
    data = sys.modules.get("torch.utils.data")  # a worker has imported it long before it can call us
    if data is not None and data.get_worker_info() is not None:
        return 1
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cpus, cpu_quota(_CONTROL_GROUPS) or cpus)


@cache
def cpu_quota(control_groups: Path) -> int | None:
    """The whole CPUs whose time Linux grants a container like Docker's or Kubernetes'; None where there is no limit.

    It counts by time, so that all CPUs of the machine seem to be there (cgroups v2: `cpu.max`, v1: `cpu.cfs_quota_us`).
    """
    older = control_groups / "cpu"
    try:
        if older.is_dir():
            quota, period = ((older / f"cpu.cfs_{each}_us").read_text() for each in ("quota", "period"))
        else:
            quota, period = (control_groups / "cpu.max").read_text().split()
        microseconds = int(quota)  # where there is no limit -1, and "max" in v2
        return max(1, math.ceil(microseconds / int(period))) if microseconds > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
