"""How many threads a call takes that is not told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mediaref.threads import cpu_quota, resolve_threads


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("max 100000\n", None), ("200000 100000\n", 2), ("150000 100000\n", 2), ("5000 100000\n", 1), ("nonsense", None)],
)
def test_a_containers_quota_counts_whole_cpus(tmp_path: Path, text: str, cpus: int | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cpu_quota(tmp_path) == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("-1\n", None), ("300000\n", 3)])
def test_a_quota_of_the_older_control_groups_counts_too(tmp_path: Path, quota: str, cpus: int | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu_quota(tmp_path) == cpus


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


def test_no_more_threads_than_cpus_that_the_process_may_use() -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("only Linux ties processes to CPUs")
    may_use = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(may_use)})
        assert resolve_threads(None) == 1
    finally:
        os.sched_setaffinity(0, may_use)
    assert resolve_threads(None) <= len(may_use)
