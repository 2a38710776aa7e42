"""Memory that builds take: known before they begin, and shared by all shards of a process.

Counted is anonymous memory. An index's own arrays and the rows it reads lie in mapped files, which the
system writes back and drops as it needs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hanax.core.errors import Cancelled, ResourceExhausted
from hanax.core.index_specs import HnswIndex, IvfIndex, LshIndex
from hanax.engine.filters.collecting import collecting_bytes
from hanax.engine.index import hnsw_graph
from hanax.engine.index.factory import Plan
from hanax.engine.index.lists import default_lists

# What any build takes: blocks of rows on their way, the tuner's queries.
_BASE_BYTES = 64 * 1024 * 1024
# Rows that a build learns from: so many, or so many for each list of an ivf.
_SAMPLE_ROWS, _SAMPLE_ROWS_OF_LIST = 65_536, 64
# Merging: rows kept, hashes, their order and the order's inverse.
_MERGED_ROW_BYTES = 48


def build_bytes(plan: Plan, rows: int, dimension: int) -> int:
    """Anonymous memory that building takes at most."""
    spec = plan.index
    if isinstance(spec, HnswIndex):
        return _BASE_BYTES + hnsw_graph.build_bytes(rows, dimension + 1, spec)
    per_row, learnt_from = 24, _SAMPLE_ROWS
    if isinstance(spec, IvfIndex):
        # The nearest centroid, the order of rows by it, and the sort's own room.
        per_row = 32
        learnt_from = max(_SAMPLE_ROWS, _SAMPLE_ROWS_OF_LIST * (spec.lists or default_lists(rows)))
    elif isinstance(spec, LshIndex):
        # Hashes of each table, and the order of one.
        per_row = 24 + 4 * spec.num_tables
    # Twice in full, and as codes.
    return _BASE_BYTES + 10 * dimension * min(rows, learnt_from) + rows * per_row


def merge_bytes(rows: int) -> int:
    """Anonymous memory that merging to so many rows takes at most, beside the vector index."""
    return _MERGED_ROW_BYTES * rows + collecting_bytes(rows)


class MemoryBudget:
    """What builds that run hold together. Who would exceed the limit waits for others to end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = 0

    @contextmanager
    def hold(self, size: int, limit: int, stopped: threading.Event) -> Iterator[None]:
        """Raises ResourceExhausted for more than the limit, and Cancelled when `stopped` is set."""
        if size > limit:
            raise ResourceExhausted(
                f"building takes up to {size >> 20} MiB of memory, and {limit >> 20} MiB are allowed for it"
            )
        with self._changed:
            self._changed.wait_for(lambda: stopped.is_set() or self._held + size <= limit)
            if stopped.is_set():
                raise Cancelled("the shard is closing")
            self._held += size
        try:
            yield
        finally:
            self._give_back(size)

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """As `hold`, for what can't wait: it is counted, and others wait for its end."""
        with self._changed:
            self._held += size
        try:
            yield
        finally:
            self._give_back(size)

    def wake(self) -> None:
        """Have those that wait look at whether they were stopped."""
        with self._changed:
            self._changed.notify_all()

    def _give_back(self, size: int) -> None:
        with self._changed:
            self._held -= size
            self._changed.notify_all()
