"""How many files and connections a process may have open."""

from __future__ import annotations

import resource
from typing import Final

# A segment is some files that stay mapped, and a client's connection is one. Most systems allow 1,024 until a
# process asks for more.
_OPEN_FILES: Final = 65_536


def allow_many_files() -> None:
    """As many as the system lets this process have, and no more than that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
