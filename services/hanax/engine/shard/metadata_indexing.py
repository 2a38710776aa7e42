"""New metadata indexes of sealed segments, when other fields are pinned than those that were made by.

Only what is derived from the metadata is made anew: vectors and their indexes stay. Until it is there the old
index serves, whose answers are the same: what it does not know is read from the metadata themselves.
"""

from __future__ import annotations

import threading

from hanax.core.errors import Cancelled
from hanax.engine.segment.metadata_indexes import build_metadata_index
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.shard.index_making import IndexMaker
from hanax.engine.shard.ledger import Ledger
from hanax.engine.shard.state import ShardState
from hanax.engine.shard.vector_indexing import Leaving


class MetadataIndexing:
    """One index at a time. `running` is held meanwhile; the ledger's lock comes after it."""

    def __init__(self, ledger: Ledger, state: ShardState, maker: IndexMaker, leaving: Leaving) -> None:
        self._ledger = ledger
        self._state = state
        self._maker = maker
        self._leaving = leaving
        self.running = threading.Lock()
        self._closed = False
        # Of the one that is made: ends it.
        self._stopped: threading.Event | None = None

    @property
    def is_settled(self) -> bool:
        """Nothing is made, and nothing is due."""
        return self._stopped is None and self._next() is None

    def step(self) -> bool:
        """Make one index. Returns False when there was nothing to do."""
        with self.running:
            self._stopped = stopped = threading.Event()
            try:
                segment = None if self._closed else self._next()
                if segment is not None:
                    self._make(segment, stopped)
                return segment is not None
            except Cancelled:
                # Its segment was merged, or something else was asked for; else the shard is closing.
                if self._closed:
                    raise
                return True
            finally:
                self._stopped = None

    def stop(self) -> None:
        """Nothing is begun any more, and what runs is cut short."""
        self._closed = True
        self.cancel()

    def cancel(self) -> None:
        """End what runs: other fields are pinned."""
        if (stopped := self._stopped) is not None:
            stopped.set()
            self._maker.wake()

    def _next(self) -> SealedSegment | None:
        passed = {id(segment) for segment in self._leaving()}
        for part in self._state.persisted.segments:
            segment = part.segment
            if not isinstance(segment, SealedSegment) or id(segment) in passed:
                continue
            if not self._maker.plans.is_described(segment):
                return segment
        return None

    def _make(self, segment: SealedSegment, stopped: threading.Event) -> None:
        with self._ledger.new_index(segment.name) as folder:
            pins = self._maker.plans.schema.payload_indexes
            with self._maker.collecting(segment.rows, stopped):
                made = build_metadata_index(folder, segment, segment.rows, pins, stopped)
            with self._ledger.amended(self._state, segment):
                segment.metadata_index = made
