"""On the real wheels of torchcodec and PyAV: patched copies of them in an environment of links."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from patch_torchcodec import Installation, PatchError, patch, restore, status
from patch_torchcodec.cli import main
from patch_torchcodec.installation import patchelf

pytestmark = pytest.mark.torch


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Packages to be put before the installed ones: torchcodec copied unpatched, PyAV's libraries linked."""
    real = Installation.find()
    packages = tmp_path / "packages"
    shutil.copytree(real.torchcodec, packages / "torchcodec")
    for original in real.originals.glob("*.so"):
        shutil.copy2(original, packages / "torchcodec")
    for name in ("torchcodec.libs", "av", "av.libs"):
        (packages / name).symlink_to(real.torchcodec.parent / name)
    return packages


@pytest.fixture
def installation(environment: Path) -> Installation:
    return Installation(environment / "torchcodec", environment / "av.libs").checked()


def command(environment: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, for the packages of `environment`."""
    return subprocess.run(
        [sys.executable, "-m", "patch_torchcodec", *arguments],
        env={**os.environ, "PYTHONPATH": str(environment)},
        capture_output=True,
        text=True,
        check=False,
    )


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.so"))}


def test_patched_torchcodec_decodes_with_the_ffmpeg_of_pyav(environment: Path) -> None:
    before = command(environment, "--status")
    assert before.returncode == 1
    assert "not patched: " in before.stdout
    assert command(environment, "--verify").returncode == 1, "it cannot decode, or does so with another FFmpeg"
    done = command(environment)
    assert done.returncode == 0, done.stderr
    assert "set the RPATH" in done.stdout
    assert command(environment, "--status").returncode == 0
    verified = command(environment, "--verify")
    assert verified.returncode == 0, verified.stderr
    assert "av.libs" in verified.stdout or "pyav-libs" in verified.stdout
    assert command(environment).stdout == "nothing to do\n"


def test_only_the_builds_for_that_ffmpeg_are_changed(environment: Path, installation: Installation) -> None:
    before = listing(environment / "torchcodec")
    patch(installation)
    after = listing(environment / "torchcodec")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {target.name for target in installation.targets()}
    assert len(changed) == 2
    for target in installation.targets():
        assert patchelf("--print-rpath", target) == "$ORIGIN/../torchcodec.pyav-libs"


def test_restoring_is_byte_for_byte(environment: Path, installation: Installation) -> None:
    before = listing(environment)
    patch(installation)
    assert restore(installation)
    assert listing(environment) == before
    assert not installation.links.exists()
    assert not any(status(installation).values())
    assert restore(installation) == []


def test_a_dry_run_changes_nothing(environment: Path, installation: Installation) -> None:
    before = listing(environment)
    announced = patch(installation, dry_run=True)
    assert listing(environment) == before
    assert not installation.links.exists()
    assert patch(installation) == announced
    announced = restore(installation, dry_run=True)
    assert all(status(installation).values())
    assert restore(installation) == announced


def test_what_shares_the_files_by_hard_links_is_left_alone(
    tmp_path: Path, environment: Path, installation: Installation
) -> None:
    target = installation.targets()[0]
    shared = tmp_path / "cache.so"
    os.link(target, shared)
    shutil.copy2(shared, tmp_path / "before.so")
    patch(installation)
    assert filecmp.cmp(shared, tmp_path / "before.so", shallow=False)


def test_links_that_lead_nowhere_are_not_a_patch(installation: Installation) -> None:
    patch(installation)
    link = installation.links / next(iter(installation.lent()))
    link.unlink()
    link.symlink_to("gone.so")
    assert not any(status(installation).values())
    assert len(patch(installation)) == 1
    assert all(status(installation).values())


def test_another_torchcodec_installed_since_is_not_overwritten(installation: Installation) -> None:
    patch(installation)
    target = installation.targets()[0]
    patchelf("--remove-rpath", target)
    newer = target.read_bytes()
    restore(installation)
    assert target.read_bytes() == newer


def test_what_stands_in_the_way_is_said(environment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PatchError, match="holds no FFmpeg"):
        Installation(environment / "torchcodec", environment).checked()
    with pytest.raises(PatchError, match="no build for the FFmpeg of PyAV"):
        Installation(environment / "torchcodec.libs", environment / "av.libs").checked()
    (environment / "torchcodec" / "__init__.py").write_text("raise ImportError('out of order')")
    broken = command(environment, "--verify")
    assert broken.returncode == 1
    assert "out of order" in broken.stderr
    with pytest.raises(SystemExit):
        main(["--status", "--verify"])
    assert "not allowed with" in capsys.readouterr().err
