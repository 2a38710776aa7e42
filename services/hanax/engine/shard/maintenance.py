"""Turning captured moments into segments and a manifest, and merging segments.

One job at a time per shard. Readers and writers go on meanwhile. The order makes a crash
harmless at any point: files are durable before the manifest names them, and nothing is removed
before a durable manifest no longer names it.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import structlog

from hanax.engine.schema import Schema
from hanax.engine.segment.builder import Part, build_segment
from hanax.engine.segment.growing import GrowingSegment
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.segment.view import SegmentView, View
from hanax.engine.shard.merging import Source, choose_merge, merged_view, parts_of
from hanax.engine.shard.state import ShardState
from hanax.engine.storage.files import full_disk_named, sync_folder, write_durably
from hanax.engine.storage.log import Log
from hanax.engine.storage.manifest import Manifest, SegmentEntry, TombstoneFile

log = structlog.get_logger()


class Maintenance:
    """Owns the segment files, the tombstone files and the manifest of a shard. `lock` guards all of them."""

    def __init__(self, folder: Path, schema: Schema, state: ShardState, log: Log, manifest: Manifest) -> None:
        self._folder = folder
        self._schema = schema
        self._state = state
        self._log = log
        self.manifest = manifest
        self.lock = threading.Lock()

    def seal_captured(self) -> None:
        """Make every captured moment durable, oldest first."""
        with self.lock:
            while self._state.captured:
                self._seal_oldest()

    def merge(self) -> bool:
        """Merge what should be merged. Returns False when there was nothing to do."""
        with self.lock:
            sources = choose_merge(self._state.persisted)
            if sources:
                self._merge(sources)
            return bool(sources)

    def merge_all(self) -> None:
        """Rewrite everything sealed as one segment without dead rows."""
        with self.lock:
            segments = self._state.persisted.segments
            if len(segments) > 1 or any(part.dead for part in segments):
                self._merge([Source(part.segment, np.flatnonzero(part.live_flags)) for part in segments])

    def _seal_oldest(self) -> None:
        name = f"{self.manifest.next_segment:08d}"
        for part in self._state.captured[0].segments:
            frozen = part.segment
            if isinstance(frozen, GrowingSegment):
                rows = np.arange(part.rows, dtype=np.int64)
                sealed = self._build(name, [Part(frozen, rows)])

                def change(
                    view: View, frozen: GrowingSegment = frozen, sealed: SealedSegment = sealed
                ) -> View:
                    return _with_sealed(view, frozen, sealed)

                self._state.replace_segments(change)
        # Read again: the replacement changed the capture as well.
        view = self._state.captured[0]
        self._commit(view, self.manifest.next_segment + 1)
        self._state.set_persisted(view)
        self._log.release(view.sequence)

    def _merge(self, sources: Sequence[Source]) -> None:
        name = f"{self.manifest.next_segment:08d}"
        parts = parts_of(sources)
        merged = self._build(name, parts) if any(len(part.rows) for part in parts) else None
        old = self._state.persisted
        self._commit(merged_view(old, sources, merged), self.manifest.next_segment + 1)
        self._state.replace_segments(lambda view: merged_view(view, sources, merged))

    def _build(self, name: str, parts: Sequence[Part]) -> SealedSegment:
        folder = self._folder / "segments" / name
        # A build that was not committed may have left its result.
        shutil.rmtree(folder, ignore_errors=True)
        build_segment(folder, self._schema, parts)
        return SealedSegment(folder, self._schema)

    def _commit(self, view: View, next_segment: int) -> None:
        """Write the manifest of `view` and remove what it no longer names."""
        with full_disk_named("a manifest"):
            entries = tuple(self._entry(part, view.sequence) for part in view.segments)
            manifest = Manifest(self._schema, view.sequence, next_segment, entries)
            manifest.save(self._folder)
        self.manifest = manifest
        remove_leftovers(self._folder, manifest)

    def _entry(self, part: SegmentView, sequence: int) -> SegmentEntry:
        assert isinstance(part.segment, SealedSegment)
        if not part.dead:
            return SegmentEntry(part.segment.name, None)
        name = f"{part.segment.name}-{sequence}"
        for entry in self.manifest.segments:
            # Same segment, same moment: same rows. A file that a manifest names is never rewritten.
            if entry.tombstones is not None and entry.tombstones.file == name:
                return entry
        folder = self._folder / "tombstones"
        size, checksum = write_durably(folder / name, [part.dead.serialize()])
        sync_folder(folder)
        return SegmentEntry(part.segment.name, TombstoneFile(name, checksum, size))


def remove_leftovers(folder: Path, manifest: Manifest) -> None:
    """Remove segments and tombstones that the manifest doesn't name: of older ones, or of work cut short."""
    segments = {entry.name for entry in manifest.segments}
    tombstones = {entry.tombstones.file for entry in manifest.segments if entry.tombstones}
    for path in (folder / "segments").iterdir():
        if path.name not in segments:
            shutil.rmtree(path, ignore_errors=True)
    for path in (folder / "tombstones").iterdir():
        if path.name not in tombstones:
            path.unlink(missing_ok=True)


def _with_sealed(view: View, frozen: GrowingSegment, sealed: SealedSegment) -> View:
    """The sealed copy has the same rows in the same order, so the tombstones hold for it as they are."""
    return View(
        view.sequence,
        tuple(
            SegmentView(sealed, part.rows, part.dead) if part.segment is frozen else part
            for part in view.segments
        ),
    )
