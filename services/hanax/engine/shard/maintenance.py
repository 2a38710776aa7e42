"""Turning captured moments into segments and a manifest, and merging segments.

Readers and writers go on meanwhile, and sealing goes on beside a long merge: segments are built
without the lock, which is held to change the manifest. The order makes a crash harmless at any
point: files are durable before the manifest names them, and nothing is removed before a durable
manifest no longer names it.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np
import structlog

from hanax.core.errors import HanaxError
from hanax.engine.schema import Schema
from hanax.engine.segment.builder import DRAFT_SUFFIX, Part, build_segment
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
    """Owns the segment files, the tombstone files and the manifest of a shard.

    `lock` guards the manifest and the set of files. One thread seals and one merges at a time.
    Locks are taken in the order `_sealing` or `_merging`, then `lock`.
    """

    def __init__(self, folder: Path, schema: Schema, state: ShardState, log: Log, manifest: Manifest) -> None:
        self._folder = folder
        self._schema = schema
        self._state = state
        self._log = log
        self.manifest = manifest
        self.lock = threading.Lock()
        self._sealing = threading.Lock()
        self._merging = threading.Lock()
        self._stopped = threading.Event()
        self._next_segment = manifest.next_segment
        # Names of segments that no manifest has yet.
        self._building: set[str] = set()

    def seal_captured(self) -> None:
        """Make every captured moment durable, oldest first."""
        with self._sealing:
            while self._state.captured and not self._stopped.is_set():
                self._seal_oldest()

    def merge(self) -> bool:
        """Merge what should be merged. Returns False when there was nothing to do."""
        with self._merging:
            sources = [] if self._stopped.is_set() else choose_merge(self._state.persisted)
            if sources:
                self._merge(sources)
            return bool(sources)

    def merge_all(self) -> None:
        """Rewrite everything sealed as one segment without dead rows."""
        with self._merging:
            segments = self._state.persisted.segments
            if not self._stopped.is_set() and (len(segments) > 1 or any(part.dead for part in segments)):
                self._merge([Source(part.segment, np.flatnonzero(part.live_flags)) for part in segments])

    def stop(self) -> None:
        """Cut work in progress short and wait for its end. Nothing changes the folder afterwards."""
        self._stopped.set()
        with self._sealing, self._merging, self.lock:
            pass

    def _seal_oldest(self) -> None:
        parts = self._state.captured[0].segments
        for part in parts:
            frozen = part.segment
            if isinstance(frozen, GrowingSegment):
                rows = np.arange(part.rows, dtype=np.int64)
                with self._built([Part(frozen, rows)]) as sealed, self.lock:
                    # Looked at again: a merge may have changed the capture meanwhile.
                    view = _with_sealed(self._state.captured[0], frozen, sealed)
                    self._commit(view)
                    self._state.replace_segments(partial(_with_sealed, frozen=frozen, sealed=sealed))
                    self._state.set_persisted(view)
                    self._remove_leftovers()
                    self._log.release(view.sequence)
                return
        # Only deletes since the capture before.
        with self.lock:
            view = self._state.captured[0]
            self._commit(view)
            self._state.set_persisted(view)
            self._remove_leftovers()
            self._log.release(view.sequence)

    def _merge(self, sources: Sequence[Source]) -> None:
        """Rows of the sources that died since they were chosen become tombstones of the result."""
        if not any(len(source.kept) for source in sources):
            with self.lock:
                self._replace(sources, None)
            return
        with self._built(parts_of(sources)) as merged, self.lock:
            self._replace(sources, merged)

    def _replace(self, sources: Sequence[Source], merged: SealedSegment | None) -> None:
        self._commit(merged_view(self._state.persisted, sources, merged))
        self._state.replace_segments(partial(merged_view, sources=sources, merged=merged))
        self._remove_leftovers()

    @contextmanager
    def _built(self, parts: Sequence[Part]) -> Iterator[SealedSegment]:
        """A new segment, mapped, to be committed in the block: until then its files are no leftovers."""
        with self.lock:
            name = f"{self._next_segment:08d}"
            self._next_segment += 1
            self._building.add(name)
        folder = self._folder / "segments" / name
        try:
            build_segment(folder, self._schema, parts, self._stopped)
            yield SealedSegment(folder, self._schema)
        except BaseException:
            self._discard(folder)
            raise
        finally:
            with self.lock:
                self._building.discard(name)

    def _commit(self, view: View) -> None:
        """Write the manifest of `view`."""
        with full_disk_named("a manifest"):
            entries = tuple(self._entry(part, view.sequence) for part in view.segments)
            manifest = Manifest(self._schema, view.sequence, self._next_segment, entries)
            manifest.save(self._folder)
        self.manifest = manifest

    def _remove_leftovers(self) -> None:
        """After a commit, when no picture has the old segments any more. What stays is for the next time."""
        try:
            remove_leftovers(self._folder, self.manifest, self._building)
        except OSError as error:
            log.warning("leftovers stay", folder=str(self._folder), error=str(error))

    def _discard(self, segment: Path) -> None:
        """Give back the space of a segment that was not committed: it may be what is missing.

        A commit that failed late may have put it into the manifest all the same.
        """
        with suppress(HanaxError, OSError):
            if segment.name not in {entry.name for entry in Manifest.load(self._folder).segments}:
                shutil.rmtree(segment, ignore_errors=True)

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


def remove_leftovers(folder: Path, manifest: Manifest, building: Set[str]) -> None:
    """Remove segments and tombstones that no manifest names any more, or that work cut short left."""
    segments = {entry.name for entry in manifest.segments} | building
    tombstones = {entry.tombstones.file for entry in manifest.segments if entry.tombstones}
    for path in (folder / "segments").iterdir():
        if path.name.removesuffix(DRAFT_SUFFIX) not in segments:
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
