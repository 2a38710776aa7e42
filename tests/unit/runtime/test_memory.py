"""What a process may use is the least of all limits that hold for it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from hanax.runtime.memory import cgroup_limits, usable_memory_bytes

MIB = 1024 * 1024


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("groups", "files", "limits"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "500\n", "a/memory.max": "300\n"}, [500, 300]),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "300\n"}, [300]),
        # In a container the mount is its own group, whatever the path says.
        ("0::/kubepods/pod1\n", {"memory.max": "700\n"}, [700]),
        ("4:cpu,memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "400\n"}, [400]),
        ("3:cpu:/a\n", {"memory/a/memory.limit_in_bytes": "400\n"}, []),
        ("0::/\n", {}, []),
    ],
)
def test_limits_of_groups(tmp_path: Path, groups: str, files: dict[str, str], limits: list[int]) -> None:
    write(tmp_path / "mount", files)
    (tmp_path / "own").write_text(groups)
    assert list(cgroup_limits(tmp_path / "mount", tmp_path / "own")) == limits


def test_without_control_groups_there_are_no_limits_of_them(tmp_path: Path) -> None:
    assert list(cgroup_limits(tmp_path, tmp_path / "missing")) == []


def test_it_is_at_most_what_the_machine_has() -> None:
    assert 0 < usable_memory_bytes() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_a_limit_of_the_process_counts() -> None:
    limit = 900 * MIB
    code = "from hanax.runtime.memory import usable_memory_bytes; print(usable_memory_bytes())"
    told = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(told.stdout) == min(limit, usable_memory_bytes())
