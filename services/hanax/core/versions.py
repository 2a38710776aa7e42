"""Versions of points: each is the sequence of the write that made the point what it is.

Versions of one point only grow, also past its deletion. Version 0 means that there is no such point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hanax.core.errors import VersionConflict

# Sequences begin with 1 and are signed on the wire, where -1 stands for any version.
MAX_VERSION: Final = 2**63 - 1

# Conflicts that a message tells in words; the details have all.
_TOLD: Final = 3


def version_conflict(conflicts: Sequence[Mapping[str, Any]], what_is: str, **details: Any) -> VersionConflict:
    """The error for points {id, expected, found}. what_is: what the write came to nevertheless."""
    told = [f"{one['id']!r} has version {one['found']}, not {one['expected']}" for one in conflicts[:_TOLD]]
    if len(conflicts) > _TOLD:
        told.append(f"and {len(conflicts) - _TOLD} more")
    return VersionConflict(f"{', '.join(told)}; {what_is}", conflicts=list(conflicts), **details)
