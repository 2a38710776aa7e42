"""How much memory this process may use: of the machine, or of the container it runs in."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_CGROUPS: Final = Path("/sys/fs/cgroup")
_OWN_CGROUPS: Final = Path("/proc/self/cgroup")


def usable_memory_bytes() -> int:
    """The least of what the machine has, what control groups allow, and the process's own limits."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    limits += cgroup_limits(_CGROUPS, _OWN_CGROUPS)
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            limits.append(soft)
    return min(limits)


def cgroup_limits(root: Path, own: Path) -> Iterator[int]:
    """Of the process's group and of those above it, version 2 or 1. root: where groups are mounted."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            folder, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            folder, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = folder / path.lstrip("/")
        # Inside a container the path may be that of the host, and the mount the container's own.
        for place in (group, *group.parents):
            yield from _limit(place / name)
            if place == folder:
                break


def _limit(file: Path) -> Iterator[int]:
    try:
        text = file.read_text().strip()
    except OSError:
        return
    if text.isdigit():  # not "max"
        yield int(text)
