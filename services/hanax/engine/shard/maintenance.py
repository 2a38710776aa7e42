"""Turning captured moments into segments and a manifest, merging segments, and indexing them.

Readers and writers go on meanwhile, and sealing goes on beside a long merge or build: files are written
without the lock, which is held to change the manifest. The order makes a crash harmless at any
point: files are durable before the manifest names them, and nothing is removed before a durable
manifest no longer names it. A merged segment has its indexes before it takes the place of its sources,
so that no search falls back to a scan of it.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence, Set
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog

from hanax.core.errors import Cancelled, HanaxError
from hanax.engine.segment.builder import DRAFT_SUFFIX, Part, build_segment
from hanax.engine.segment.growing import GrowingSegment
from hanax.engine.segment.indexes import SegmentIndex
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.segment.view import SegmentView, View
from hanax.engine.shard.index_making import IndexMaker
from hanax.engine.shard.index_plans import Step, Task
from hanax.engine.shard.merging import Source, choose_all, choose_merge, merged_view, parts_of
from hanax.engine.shard.state import ShardState
from hanax.engine.storage.files import full_disk_named, sync_folder, write_durably
from hanax.engine.storage.log import Log
from hanax.engine.storage.manifest import Manifest, SegmentEntry, TombstoneFile

log = structlog.get_logger()


class Parts(NamedTuple):
    """What maintenance works on."""

    folder: Path
    state: ShardState
    log: Log
    manifest: Manifest
    maker: IndexMaker


class Maintenance:
    """Owns the files of segments, indexes and tombstones and the manifest of a shard.

    `lock` guards the manifest and the set of files. One thread seals, one merges and one indexes at a time.
    Locks are taken in the order `_merging`, `_indexing` or `_sealing`, then `lock`.
    """

    def __init__(self, parts: Parts) -> None:
        self._folder = parts.folder
        self._state = parts.state
        self._log = parts.log
        self._maker = parts.maker
        self.manifest = parts.manifest
        self._schema = parts.manifest.schema
        self.lock = threading.Lock()
        self._sealing = threading.Lock()
        self._merging = threading.Lock()
        self._indexing = threading.Lock()
        self._stopped = threading.Event()
        self._next_segment = parts.manifest.next_segment
        # Not used again while the shard is open: readers may have the old files mapped.
        names = (name for entry in parts.manifest.segments for name in entry.indexes)
        self._last_index = max((int(name.rsplit("-")[-1]) for name in names), default=0)
        # Names of segments and indexes that no manifest has yet.
        self._building: set[str] = set()
        # Segments that are being merged, and how to end the build of an index that nobody needs any more.
        self._sources: Sequence[Source] = ()
        self._build: _Build | None = None

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
            quiet = quiet and not self._next_task()
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
        """Build, tune or drop one index. Returns False when there was nothing to do."""
        with self._indexing:
            task = None if self._stopped.is_set() else self._next_task()
            if task is not None:
                self._do(task)
            return task is not None

    def is_settled(self) -> bool:
        """Nothing is captured, merged or built, and nothing of it is due."""
        with self.lock:
            return not (self._state.captured or self._sources or self._building or self._build) and not (
                self._mergeable(quiet=False) or self._next_task()
            )

    def stop(self) -> None:
        """Cut work in progress short and wait for its end. Nothing changes the folder afterwards."""
        self._stopped.set()
        self.cancel_build()
        self._maker.wake()
        with self._merging, self._indexing, self._sealing, self.lock:
            pass

    def cancel_build(self) -> None:
        """End the build that runs apart from merging."""
        if (build := self._build) is not None:
            build.stopped.set()
            self._maker.wake()

    def _is_source(self, task: Task) -> bool:
        return any(source.segment is task.order.segment for source in self._sources)

    def _mergeable(self, quiet: bool) -> list[Source]:
        return choose_merge(self._state.persisted, self._fits, quiet)

    def _fits(self, rows: int) -> bool:
        return self._maker.affords_rows(rows)

    def _seal_oldest(self) -> None:
        parts = self._state.captured[0].segments
        for part in parts:
            frozen = part.segment
            if isinstance(frozen, GrowingSegment):
                rows = np.arange(part.rows, dtype=np.int64)
                with self._built([Part(frozen, rows)], nullcontext()) as sealed, self.lock:
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
        self._sources = sources
        # Not a moment for an index of what is about to go.
        if self._build is not None and self._is_source(self._build.task):
            self.cancel_build()
        try:
            self._merge_into_one(sources)
        finally:
            self._sources = ()

    def _merge_into_one(self, sources: Sequence[Source]) -> None:
        memory = self._maker.merging(sum(len(source.kept) for source in sources), self._stopped)
        with self._built(parts_of(sources), memory) as merged, ExitStack() as indexes:
            for task in list(self._maker.plans.tasks(merged)):
                made = indexes.enter_context(self._made(task, self._stopped))
                merged.indexes = _with_index(merged, task, made)
            with self.lock:
                self._replace(sources, merged)

    def _next_task(self) -> Task | None:
        """What lacks an index comes first. Segments that are to be merged are passed over."""
        passed = {id(source.segment) for source in (*self._sources, *self._mergeable(quiet=False))}
        tasks = [
            task
            for part in self._state.persisted.segments
            if isinstance(part.segment, SealedSegment) and id(part.segment) not in passed
            for task in self._maker.plans.tasks(part.segment)
        ]
        return min(tasks, key=lambda task: bool(task.order.segment.indexes), default=None)

    def _do(self, task: Task) -> None:
        self._build = build = _Build(task, threading.Event())
        try:
            # Looked at again: from now on `cancel_build` sees this one.
            if self._stopped.is_set() or self._is_source(task):
                return
            if task.step is Step.DROP:
                self._attach(task, None)
                return
            with self._made(task, build.stopped) as made:
                if made is not None:
                    self._attach(task, made)
        except Cancelled:
            # Its segment is being merged, or something else was asked for; else the shard is closing.
            if self._stopped.is_set():
                raise
        finally:
            self._build = None

    def _attach(self, task: Task, made: SegmentIndex | None) -> None:
        """Search a segment by this index from now on, and name it in the manifest."""
        segment = task.order.segment
        with self.lock:
            if not any(part.segment is segment for part in self._state.persisted.segments):
                raise Cancelled("the segment was merged")
            before = segment.indexes
            segment.indexes = _with_index(segment, task, made)
            try:
                self._commit(self._state.persisted)
            except BaseException:
                segment.indexes = before
                raise
            self._remove_leftovers()

    def _replace(self, sources: Sequence[Source], merged: SealedSegment | None) -> None:
        self._commit(merged_view(self._state.persisted, sources, merged))
        self._state.replace_segments(partial(merged_view, sources=sources, merged=merged))
        self._remove_leftovers()

    @contextmanager
    def _built(self, parts: Sequence[Part], memory: AbstractContextManager[None]) -> Iterator[SealedSegment]:
        """A new segment, mapped, to be committed in the block: until then its files are no leftovers.

        memory: held while it is written, and let go before its index asks for some: two that hold and
        ask would wait for each other.
        """
        with self.lock:
            name = f"{self._next_segment:08d}"
            self._next_segment += 1
            self._building.add(name)
        folder = self._folder / "segments" / name
        try:
            with memory:
                build_segment(folder, self._schema, parts, self._stopped)
            yield SealedSegment(folder, self._schema)
        except BaseException:
            self._discard(folder)
            raise
        finally:
            with self.lock:
                self._building.discard(name)

    @contextmanager
    def _made(self, task: Task, stopped: threading.Event) -> Iterator[SegmentIndex | None]:
        """A new index, to be committed in the block: until then its files are no leftovers. None: refused."""
        plans = self._maker.plans
        with self.lock:
            self._last_index += 1
            name = f"{task.order.segment.name}-{self._last_index}"
            self._building.add(name)
        plans.building.add(task.place)
        try:
            yield self._maker.make(task, name, stopped)
            plans.settled(task)
        except BaseException:
            # One that a manifest names after all is missed at opening, and built anew.
            shutil.rmtree(self._maker.folder / name, ignore_errors=True)
            raise
        finally:
            plans.building.discard(task.place)
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
            self._maker.plans.forget_others({entry.name for entry in self.manifest.segments} | self._building)
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
        indexes = tuple(index.name for index in part.segment.indexes.values())
        if not part.dead:
            return SegmentEntry(part.segment.name, None, indexes)
        name = f"{part.segment.name}-{sequence}"
        for entry in self.manifest.segments:
            # Same segment, same moment: same rows. A file that a manifest names is never rewritten.
            if entry.tombstones is not None and entry.tombstones.file == name:
                return replace(entry, indexes=indexes)
        folder = self._folder / "tombstones"
        size, checksum = write_durably(folder / name, [part.dead.serialize()])
        sync_folder(folder)
        return SegmentEntry(part.segment.name, TombstoneFile(name, checksum, size), indexes)


class _Build(NamedTuple):
    task: Task
    stopped: threading.Event


def _with_index(segment: SealedSegment, task: Task, made: SegmentIndex | None) -> dict[str, SegmentIndex]:
    others = {column: index for column, index in segment.indexes.items() if column != task.order.column}
    return others if made is None else others | {task.order.column: made}


def remove_leftovers(folder: Path, manifest: Manifest, building: Set[str]) -> None:
    """Remove files that no manifest names any more, or that work cut short left.

    building: names of segments and indexes that are on their way.
    """
    segments = {entry.name for entry in manifest.segments}
    indexes = {name for entry in manifest.segments for name in entry.indexes}
    tombstones = {entry.tombstones.file for entry in manifest.segments if entry.tombstones}
    for kind, named in (("segments", segments), ("indexes", indexes)):
        for path in (folder / kind).iterdir():
            if path.name.removesuffix(DRAFT_SUFFIX) not in named | building:
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
