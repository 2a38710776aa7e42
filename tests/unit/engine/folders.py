"""Folders for tests that open a shard hundreds of times."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")


@contextmanager
def fast_folder() -> Iterator[Path]:
    """An empty folder that is removed again: in memory where there is that, so that syncs cost nothing."""
    base = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="hanax-test-", dir=base) as folder:
        yield Path(folder)
