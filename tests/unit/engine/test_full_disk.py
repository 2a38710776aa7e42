"""Full disks, real ones: a small file system where we may mount one, and a limit on file sizes everywhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.engine.full_disk import SCENES, SmallDisk, Space, quick_retries

ROOT = Path(__file__).parents[3]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "hanax-test", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(f"no small file system can be mounted here: {error}")
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here, it takes root: {done.stderr.strip()}")
    yield folder
    # A test that failed may still have maps.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: str(scene.__name__))
def test_on_a_small_disk(small_disk: Path, scene: Callable[[Path, Space], None]) -> None:
    with quick_retries():
        scene(small_disk, SmallDisk(small_disk))


def test_under_a_limit_on_file_sizes(folder: Path) -> None:
    program = [sys.executable, "-W", "error", "-m", "tests.unit.engine.full_disk", str(folder)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    played = [line for line in done.stdout.splitlines() if line.startswith("played: ")]
    assert played == [f"played: {scene.__name__}" for scene in SCENES]
