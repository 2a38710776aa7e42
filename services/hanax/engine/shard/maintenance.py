"""Turning captured moments into segments and a manifest, merging segments, and indexing them.

Readers and writers go on meanwhile, and sealing goes on beside a long merge or build: files are written
without the ledger's lock, which is held to change the manifest. A merged segment has its indexes before
it takes the place of its sources, so that no search falls back to a scan of it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hanax.engine.segment.builder import Part, build_segment
from hanax.engine.segment.growing import GrowingSegment
from hanax.engine.segment.protocol import Segment
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.segment.view import SegmentView, View
from hanax.engine.shard.index_making import IndexMaker
from hanax.engine.shard.ledger import Ledger
from hanax.engine.shard.merging import Source, choose_all, choose_merge, merged_view, parts_of
from hanax.engine.shard.metadata_indexing import MetadataIndexing
from hanax.engine.shard.state import ShardState
from hanax.engine.shard.vector_indexing import VectorIndexing, with_index
from hanax.engine.storage.log import Log
from hanax.engine.storage.manifest import Manifest


class Parts(NamedTuple):
    """What maintenance works on."""

    folder: Path
    state: ShardState
    log: Log
    manifest: Manifest
    maker: IndexMaker


class Maintenance:
    """One thread seals, one merges, one makes vector indexes and one metadata indexes at a time.

    Locks are taken in the order merging, vectors, metadata, sealing, then the ledger's.
    """

    def __init__(self, parts: Parts) -> None:
        self._state = parts.state
        self._log = parts.log
        self._maker = parts.maker
        self.ledger = Ledger(parts.folder, parts.manifest)
        self.vectors = VectorIndexing(self.ledger, parts.state, parts.maker, self._leaving)
        self.metadata = MetadataIndexing(self.ledger, parts.state, parts.maker, self._leaving)
        self._sealing = threading.Lock()
        self._merging = threading.Lock()
        self._stopped = threading.Event()
        # Segments that are being merged.
        self._sources: Sequence[Source] = ()

    def seal_oldest(self) -> bool:
        """Make the oldest captured moment durable. Returns whether more of them wait."""
        with self._sealing:
            if self._state.captured and not self._stopped.is_set():
                self._seal_oldest()
            return bool(self._state.captured) and not self._stopped.is_set()

    @property
    def sealed_sequence(self) -> int:
        """The last write that is in a segment which the manifest names."""
        return self._state.persisted.sequence

    def merge(self, quiet: bool) -> bool:
        """Merge what should be merged. Returns False when there was nothing to do.

        quiet: no segment was added for a while, so that merging more does not have to be done again soon. It
        comes after indexing what there is: that shortens searches sooner.
        """
        with self._merging:
            quiet = quiet and self.vectors.next_task() is None
            sources = [] if self._stopped.is_set() else self._mergeable(quiet)
            if sources:
                self._merge(sources)
            return bool(sources)

    def merge_all(self) -> None:
        """Rewrite everything sealed without dead rows, as one segment or as few as memory allows."""
        with self._merging:
            view = self._state.persisted
            for sources in [] if self._stopped.is_set() else choose_all(view, self._fits):
                self._merge(sources)

    def index(self) -> bool:
        """Make one index, of vectors or of metadata. Returns False when there was nothing to do."""
        return self.metadata.step() or self.vectors.step()

    def is_settled(self) -> bool:
        """Nothing is captured, merged or built, and nothing of it is due."""
        with self.ledger.lock:
            return (
                not (self._state.captured or self._sources or self.ledger.is_building)
                and not self._mergeable(quiet=False)
                and self.vectors.is_settled
                and self.metadata.is_settled
            )

    def stop(self) -> None:
        """Cut work in progress short and wait for its end. Nothing changes the folder afterwards."""
        self._stopped.set()
        self.vectors.stop()
        self.metadata.stop()
        self._maker.wake()
        with self._merging, self.vectors.running, self.metadata.running, self._sealing, self.ledger.lock:
            pass

    def _mergeable(self, quiet: bool) -> list[Source]:
        return choose_merge(self._state.persisted, self._fits, quiet)

    def _fits(self, rows: int) -> bool:
        return self._maker.affords_rows(rows)

    def _leaving(self) -> list[Segment]:
        """What is being merged, or should be."""
        return [source.segment for source in (*self._sources, *self._mergeable(quiet=False))]

    def _seal_oldest(self) -> None:
        parts = self._state.captured[0].segments
        for part in parts:
            frozen = part.segment
            if isinstance(frozen, GrowingSegment):
                rows = np.arange(part.rows, dtype=np.int64)
                memory = self._maker.sealing(part.rows)
                with self._built([Part(frozen, rows)], memory) as sealed, self.ledger.lock:
                    # Looked at again: a merge may have changed the capture meanwhile.
                    view = _with_sealed(self._state.captured[0], frozen, sealed)
                    self.ledger.commit(view)
                    self._state.replace_segments(partial(_with_sealed, frozen=frozen, sealed=sealed))
                    self._persisted(view)
                return
        # Only deletes since the capture before.
        with self.ledger.lock:
            view = self._state.captured[0]
            self.ledger.commit(view)
            self._persisted(view)

    def _persisted(self, view: View) -> None:
        """The manifest names the oldest capture now."""
        self._state.set_persisted(view)
        self.ledger.remove_leftovers()
        self._log.release(view.sequence)

    def _merge(self, sources: Sequence[Source]) -> None:
        """Rows of the sources that died since they were chosen become tombstones of the result."""
        if not any(len(source.kept) for source in sources):
            with self.ledger.lock:
                self._replace(sources, None)
            return
        self._sources = sources
        # Not a moment for an index of what is about to go.
        self.vectors.cancel([source.segment for source in sources])
        try:
            self._merge_into_one(sources)
        finally:
            self._sources = ()

    def _merge_into_one(self, sources: Sequence[Source]) -> None:
        memory = self._maker.merging(sum(len(source.kept) for source in sources), self._stopped)
        with self._built(parts_of(sources), memory) as merged, ExitStack() as indexes:
            for task in list(self._maker.plans.tasks(merged)):
                made = indexes.enter_context(self.vectors.made(task, self._stopped))
                merged.indexes = with_index(merged, task, made)
            with self.ledger.lock:
                self._replace(sources, merged)

    def _replace(self, sources: Sequence[Source], merged: SealedSegment | None) -> None:
        self.ledger.commit(merged_view(self._state.persisted, sources, merged))
        self._state.replace_segments(partial(merged_view, sources=sources, merged=merged))
        self.ledger.remove_leftovers()
        self._maker.plans.forget_others(self.ledger.names)

    @contextmanager
    def _built(self, parts: Sequence[Part], memory: AbstractContextManager[None]) -> Iterator[SealedSegment]:
        """A new segment, mapped, to be committed in the block.

        memory: held while it is written, and let go before its index asks for some: two that hold and
        ask would wait for each other.
        """
        schema = self._maker.plans.schema
        with self.ledger.new_segment() as folder:
            with memory:
                build_segment(folder, schema, parts, self._stopped)
            yield SealedSegment(folder, schema)


def _with_sealed(view: View, frozen: GrowingSegment, sealed: SealedSegment) -> View:
    """The sealed copy has the same rows in the same order, so the tombstones hold for it as they are."""
    return View(
        view.sequence,
        tuple(
            SegmentView(sealed, part.rows, part.dead) if part.segment is frozen else part
            for part in view.segments
        ),
    )
