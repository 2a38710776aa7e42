"""The manifest of an open shard, and the files that it names or is about to name.

Files are durable before the manifest names them, and nothing is removed before a durable manifest no
longer names it: so a crash is harmless at any point.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from hanax.core.errors import Cancelled, HanaxError
from hanax.engine.segment.drafts import DRAFT_SUFFIX
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.segment.view import SegmentView, View
from hanax.engine.shard.state import ShardState
from hanax.engine.storage.files import full_disk_named, sync_folder, write_durably
from hanax.engine.storage.manifest import Manifest, SegmentEntry, TombstoneFile

log = structlog.get_logger()


class Ledger:
    """`lock` guards the manifest and the set of files: hold it to commit and to remove leftovers."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.lock = threading.Lock()
        self._next_segment = manifest.next_segment
        # Not used again while the shard is open: readers may have the old files mapped.
        names = (name for entry in manifest.segments for name in entry.index_folders)
        self._last_index = max((int(name.rsplit("-")[-1]) for name in names), default=0)
        # Names of segments and indexes that no manifest has yet.
        self._building: set[str] = set()

    @property
    def is_building(self) -> bool:
        return bool(self._building)

    @property
    def names(self) -> Set[str]:
        """Of segments and indexes: those of segments that the manifest has, and what is on its way."""
        return {entry.name for entry in self.manifest.segments} | self._building

    @contextmanager
    def new_segment(self) -> Iterator[Path]:
        """A folder to be written and committed in the block: until then its files are no leftovers."""
        with self.lock:
            name = f"{self._next_segment:08d}"
            self._next_segment += 1
        with self._on_its_way(name):
            folder = self.folder / "segments" / name
            try:
                yield folder
            except BaseException:
                self._discard(folder)
                raise

    @contextmanager
    def new_index(self, segment: str) -> Iterator[Path]:
        """As `new_segment`, for an index of the segment."""
        with self.lock:
            self._last_index += 1
            name = f"{segment}-{self._last_index}"
        with self._on_its_way(name):
            folder = self.folder / "indexes" / name
            try:
                yield folder
            except BaseException:
                # One that a manifest names after all is missed at opening, and built anew.
                shutil.rmtree(folder, ignore_errors=True)
                raise

    def commit(self, view: View) -> None:
        """Write the manifest of `view`. Raises StorageFull."""
        with full_disk_named("a manifest"):
            entries = tuple(self._entry(part, view.sequence) for part in view.segments)
            manifest = Manifest(self.manifest.schema, view.sequence, self._next_segment, entries)
            manifest.save(self.folder)
        self.manifest = manifest

    def remove_leftovers(self) -> None:
        """After a commit, when no picture has the old segments any more. What stays is for the next time."""
        try:
            remove_leftovers(self.folder, self.manifest, self._building)
        except OSError as error:
            log.warning("leftovers stay", folder=str(self.folder), error=str(error))

    @contextmanager
    def amended(self, state: ShardState, segment: SealedSegment) -> Iterator[None]:
        """Commit the indexes that the block gives a segment; on a failure it has again those from before.

        Takes the lock. Raises Cancelled when the segment was merged, StorageFull.
        """
        with self.lock:
            if not any(part.segment is segment for part in state.persisted.segments):
                raise Cancelled("the segment was merged")
            before = segment.indexes, segment.metadata_index
            yield
            try:
                self.commit(state.persisted)
            except BaseException:
                segment.indexes, segment.metadata_index = before
                raise
            self.remove_leftovers()

    @contextmanager
    def _on_its_way(self, name: str) -> Iterator[None]:
        with self.lock:
            self._building.add(name)
        try:
            yield
        finally:
            with self.lock:
                self._building.discard(name)

    def _discard(self, segment: Path) -> None:
        """Give back the space of a segment that was not committed: it may be what is missing.

        A commit that failed late may have put it into the manifest all the same.
        """
        with suppress(HanaxError, OSError):
            if segment.name not in {entry.name for entry in Manifest.load(self.folder).segments}:
                shutil.rmtree(segment, ignore_errors=True)

    def _entry(self, part: SegmentView, sequence: int) -> SegmentEntry:
        segment = part.segment
        assert isinstance(segment, SealedSegment)
        indexes = tuple(index.name for index in segment.indexes.values())
        described = "" if segment.metadata_index is None else segment.metadata_index.name
        return SegmentEntry(segment.name, self._tombstones(part, sequence), indexes, described)

    def _tombstones(self, part: SegmentView, sequence: int) -> TombstoneFile | None:
        if not part.dead:
            return None
        assert isinstance(part.segment, SealedSegment)
        name = f"{part.segment.name}-{sequence}"
        for entry in self.manifest.segments:
            # Same segment, same moment: same rows. A file that a manifest names is never rewritten.
            if entry.tombstones is not None and entry.tombstones.file == name:
                return entry.tombstones
        folder = self.folder / "tombstones"
        size, checksum = write_durably(folder / name, [part.dead.serialize()])
        sync_folder(folder)
        return TombstoneFile(name, checksum, size)


def remove_leftovers(folder: Path, manifest: Manifest, building: Set[str]) -> None:
    """Remove files that no manifest names any more, or that work cut short left.

    building: names of segments and indexes that are on their way.
    """
    segments = {entry.name for entry in manifest.segments}
    indexes = {name for entry in manifest.segments for name in entry.index_folders}
    tombstones = {entry.tombstones.file for entry in manifest.segments if entry.tombstones}
    for kind, named in (("segments", segments), ("indexes", indexes)):
        for path in (folder / kind).iterdir():
            if path.name.removesuffix(DRAFT_SUFFIX) not in named | building:
                shutil.rmtree(path, ignore_errors=True)
    for path in (folder / "tombstones").iterdir():
        if path.name not in tombstones:
            path.unlink(missing_ok=True)
