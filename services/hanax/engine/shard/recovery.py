"""Opening a shard's folder: the manifest's state first, then the log's records after it."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from pyroaring import BitMap

from hanax.core.errors import DataLoss, FailedPrecondition, Unavailable
from hanax.engine.schema import Schema
from hanax.engine.segment.indexes import SegmentIndex, open_index
from hanax.engine.segment.metadata_indexes import open_metadata_index
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.segment.view import SegmentView, View
from hanax.engine.shard.budget import MemoryBudget
from hanax.engine.shard.index_making import IndexMaker
from hanax.engine.shard.index_plans import IndexPlans
from hanax.engine.shard.ledger import remove_leftovers
from hanax.engine.shard.maintenance import Maintenance, Parts
from hanax.engine.shard.options import ShardOptions
from hanax.engine.shard.state import ShardState
from hanax.engine.storage import manifest as manifests
from hanax.engine.storage.files import checked_size, full_disk_named
from hanax.engine.storage.log import FileLog
from hanax.engine.storage.manifest import Manifest, SegmentEntry
from hanax.engine.storage.records import decode_record

log = structlog.get_logger()


class FolderLock:
    """One process at a time has a shard open. Raises Unavailable when another one has."""

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder / "LOCK", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise Unavailable(f"{folder} is open elsewhere", path=str(folder)) from None

    def release(self) -> None:
        """May be called again."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


@dataclass(frozen=True, slots=True)
class Recovered:
    """The parts of an open shard. Whoever holds them closes the log and releases the lock."""

    folder: Path
    schema: Schema
    lock: FolderLock
    state: ShardState
    log: FileLog
    maintenance: Maintenance
    plans: IndexPlans


def recover(folder: Path, schema: Schema, options: ShardOptions, memory: MemoryBudget) -> Recovered:
    """Open a folder, new or old. Raises DataLoss, FailedPrecondition for another schema, Unavailable.

    InvalidArgument for indexes that can't be built for such vectors.
    """
    schema = replace(schema, payload_indexes=options.payload_indexes)
    plans = IndexPlans(schema, options.indexing)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder)
    try:
        manifest = _load_manifest(folder, schema)
        state = ShardState(schema, _load_segments(folder, manifest))
        log = FileLog(folder / "log")
        for sequence, payload in log.replay(manifest.covered_sequence):
            state.apply(sequence, decode_record(payload))
        maker = IndexMaker(folder / "indexes", plans, memory, options)
        maintenance = Maintenance(Parts(folder, state, log, manifest, maker))
        return Recovered(folder, schema, lock, state, log, maintenance, plans)
    except BaseException:
        lock.release()
        raise


def _load_manifest(folder: Path, schema: Schema) -> Manifest:
    """Read the manifest, or begin an empty shard."""
    with full_disk_named("a new shard"):
        for name in manifests.FOLDERS:
            (folder / name).mkdir(exist_ok=True)
        if not (folder / manifests.NAME).exists():
            # It is the first thing that is written, so where there is data it has been lost.
            if any((folder / "segments").iterdir()) or any((folder / "log").iterdir()):
                raise DataLoss(f"{folder / manifests.NAME} is missing, but there is data", path=str(folder))
            Manifest(schema).save(folder)
    manifest = Manifest.load(folder)
    if manifest.schema != schema:
        raise FailedPrecondition(
            f"{folder} holds {manifest.schema.to_data()}, it was opened for {schema.to_data()}"
        )
    # The columns are the same; what is said of the metadata is new at every opening.
    return replace(manifest, schema=schema)


def _load_segments(folder: Path, manifest: Manifest) -> View:
    """Map every live segment. Raises DataLoss for a file that is missing or damaged."""
    remove_leftovers(folder, manifest, frozenset())
    return View(
        manifest.covered_sequence,
        tuple(_load_segment(folder, entry, manifest.schema) for entry in manifest.segments),
    )


def _load_segment(folder: Path, entry: SegmentEntry, schema: Schema) -> SegmentView:
    segment = SealedSegment(folder / "segments" / entry.name, schema)
    segment.indexes = _load_indexes(folder, entry, segment)
    _load_metadata_index(folder, entry, segment)
    if entry.tombstones is None:
        return SegmentView(segment, segment.rows)
    path = folder / "tombstones" / entry.tombstones.file
    checked_size(path, entry.tombstones.bytes, entry.tombstones.checksum)
    return SegmentView(segment, segment.rows, BitMap.deserialize(path.read_bytes()))


def _load_indexes(folder: Path, entry: SegmentEntry, segment: SealedSegment) -> dict[str, SegmentIndex]:
    """The indexes that are whole, by column. Others are built anew: nothing is lost with them."""
    indexes: dict[str, SegmentIndex] = {}
    for name in entry.indexes:
        try:
            index = open_index(folder / "indexes" / name, segment.sources)
        except Exception as error:
            log.warning(
                "an index is dropped and built anew", folder=str(folder), index=name, error=str(error)
            )
        else:
            indexes[index.column] = index
    return indexes


def _load_metadata_index(folder: Path, entry: SegmentEntry, segment: SealedSegment) -> None:
    """The one that took the place of the segment's own, which serves where the other is not whole."""
    if not entry.metadata_index:
        return
    try:
        segment.metadata_index = open_metadata_index(folder / "indexes" / entry.metadata_index, segment.rows)
    except Exception as error:
        log.warning(
            "an index of metadata is dropped and built anew",
            folder=str(folder),
            index=entry.metadata_index,
            error=str(error),
        )
