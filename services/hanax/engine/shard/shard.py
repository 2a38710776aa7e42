"""One shard: durable writes, and reads of an immutable view.

A write is validated, logged (one fsync for all writers that wait), applied and answered, in that
order, so nothing is acknowledged or seen before it is durable. A read takes the current view and no lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from numpy.typing import NDArray

from hanax.core.errors import (
    HanaxError,
    Internal,
    Overloaded,
    StorageFull,
    Unavailable,
)
from hanax.core.filters import Filter
from hanax.core.index_specs import Indexing, SearchParameters
from hanax.core.specs import DEFAULT_VECTOR
from hanax.engine.points import METADATA_ONLY, Hits, Points, Projection
from hanax.engine.query import reading
from hanax.engine.query.planning import Explanation
from hanax.engine.query.searching import Search, search
from hanax.engine.schema import Schema
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.segment.view import View
from hanax.engine.shard.background import Background, Job
from hanax.engine.shard.checks import (
    check_columns,
    check_expiries,
    check_ids,
    check_metadata,
    check_text_indexes,
    merge_metadata,
)
from hanax.engine.shard.conditions import (
    ANY_VERSION,
    UNCONDITIONAL,
    Conditions,
    IfVersions,
    locate_unchanged,
    narrow_upsert,
)
from hanax.engine.shard.expiry import Expiry
from hanax.engine.shard.live_recall import LiveRecall
from hanax.engine.shard.metadata_changes import MetadataChanges
from hanax.engine.shard.options import ShardOptions
from hanax.engine.shard.reads import Reads
from hanax.engine.shard.recovery import Recovered, recover
from hanax.engine.shard.results import Deleted, MetadataUpdated, ShardStats, Upserted, metadata_stats
from hanax.engine.shard.snapshot import link_snapshot
from hanax.engine.shard.state import Applied
from hanax.engine.shard.upkeep import Upkeep
from hanax.engine.shard.writes import Write, WriteQueue
from hanax.engine.storage.records import Kind, Record, encode_record

log = structlog.get_logger()

DEFAULT_PARAMETERS = SearchParameters()

# Moments that wait to be sealed: bounds the memory that writers may run ahead of the disk.
_MAX_CAPTURED = 3
# Records that opening may have to replay: each costs some 30 us, however small it is.
_MAX_LOG_RECORDS = 65_536
# How long a writer waits for sealing to catch up before it is told to come back.
_SEALING_WAIT_S = 5.0


class Shard:
    """Use `Shard.open`. Every method may be called from any thread."""

    @classmethod
    def open(
        cls,
        folder: Path,
        schema: Schema,
        options: ShardOptions,
        background: Background,
        clock_us: Callable[[], int],
    ) -> Shard:
        """Create the shard, or bring back what was durable. clock_us: microseconds since 1970 UTC.

        Raises DataLoss for damage, FailedPrecondition for another schema, Unavailable when it is
        open elsewhere, InvalidArgument for indexes that can't be built for such vectors.
        """
        recovered = recover(folder, schema, options, background.memory)
        return cls(recovered, options, background, clock_us)

    def __init__(
        self,
        recovered: Recovered,
        options: ShardOptions,
        background: Background,
        clock_us: Callable[[], int],
    ) -> None:
        self._folder = recovered.folder
        self._schema = recovered.schema
        self._lock = recovered.lock
        self._state = recovered.state
        self._log = recovered.log
        self._maintenance = recovered.maintenance
        self._options = options
        self._clock_us = clock_us
        self._queue = WriteQueue(self._commit)
        self._failure: HanaxError | None = None
        # Why the log takes no writes.
        self._read_only: str = ""
        # Where the log was at the last capture.
        self._captured_bytes = 0
        self._captured_sequence = self._state.persisted.sequence
        self._plans = recovered.plans
        self._upkeep = Upkeep(str(recovered.folder), self._maintenance, background, self._capture_now)
        self._live = LiveRecall(self._schema, self._plans)
        # Facets, groups, orders and recommendations.
        self.reads = Reads(self._schema, self._view)
        # The same change of many points.
        self.metadata_changes = MetadataChanges(self._view_at, self._submit, self._clock_us)
        self._expiry = Expiry(
            lambda: self._state.current, self._submit, self._clock_us, background, self._upkeep.seal_soon
        )
        self._live_job = Job(background, f"recall {recovered.folder}", self._compare_live, long=True)
        self._capture_if_full()
        self._upkeep.begin()
        self._expiry.await_next(clock_us())

    # Writes

    def upsert(
        self,
        ids: Sequence[bytes],
        vectors: Mapping[str, NDArray[Any]],
        metadata: Sequence[bytes],
        conditions: Conditions = UNCONDITIONAL,
        expires_at_us: NDArray[Any] | None = None,
    ) -> Upserted:
        """Write n points, all or none, but for those that the mode leaves alone; durable on return.

        ids: encoded, no two alike. vectors: float32[n, dimension] for each column of the schema.
        metadata: n JSON objects. expires_at_us: int64[n], microseconds since 1970 UTC from which on a point
        is no more, 0: never; None: none expires. Raises DuplicateId, DimensionMismatch, NonFiniteVector,
        ZeroVector, InvalidMetadata, MetadataTooLarge, VersionConflict, Overloaded, StorageFull.
        """
        columns = check_columns(self._schema, vectors, len(ids))
        check_ids(ids)
        check_metadata(metadata, len(ids))
        expiries = check_expiries(expires_at_us, len(ids))
        record = Record(Kind.UPSERT, self._clock_us(), ids, metadata, columns, expiries)
        skipped: list[bytes] = []

        def prepare() -> Record | None:
            narrowed, left_alone = narrow_upsert(self._view_at(None, record.time_us), record, conditions)
            skipped.extend(left_alone)
            return narrowed

        plain = conditions is UNCONDITIONAL or conditions == UNCONDITIONAL
        sequence, applied = self._submit(Write(record) if plain else Write(prepare=prepare))
        return Upserted(sequence, inserted=applied.unknown, updated=applied.known, skipped=skipped)

    def update_metadata(
        self,
        ids: Sequence[bytes],
        metadata: Sequence[bytes],
        replace: bool,
        if_versions: IfVersions = ANY_VERSION,
    ) -> MetadataUpdated:
        """Set the keys given, or replace the whole object. Ids that don't exist come back as missing.

        Raises VersionConflict, also for those that don't exist.
        """
        check_ids(ids)
        check_metadata(metadata, len(ids))
        missing: list[bytes] = []

        def prepare() -> Record | None:
            now_us = self._clock_us()
            view = self._view_at(None, now_us)
            places = locate_unchanged(view, ids, if_versions)
            points = reading.get(view, ids, Projection(), 0)
            missing.extend(id_ for id_, found in zip(ids, places.found.tolist(), strict=True) if not found)
            patch_by_id = dict(zip(ids, metadata, strict=True))
            assert points.metadata is not None
            patches = [patch_by_id[id_] for id_ in points.ids]
            if not replace:
                patches = [
                    merge_metadata(old, new) for old, new in zip(points.metadata, patches, strict=True)
                ]
            if not points.ids:
                return None
            return Record(Kind.METADATA, now_us, points.ids, patches, {})

        sequence, applied = self._submit(Write(prepare=prepare))
        return MetadataUpdated(sequence, applied.known, missing)

    def delete(self, ids: Sequence[bytes], if_versions: IfVersions = ANY_VERSION) -> Deleted:
        """Ids that don't exist are passed over. Raises VersionConflict."""
        check_ids(ids)
        record = Record(Kind.DELETE, self._clock_us(), ids, [], {})

        def prepare() -> Record:
            locate_unchanged(self._view_at(None, record.time_us), ids, if_versions)
            return record

        sequence, applied = self._submit(Write(prepare=prepare) if if_versions else Write(record))
        return Deleted(sequence, applied.known)

    def delete_matching(self, expression: Filter) -> Deleted:
        """Delete the points that match at the moment the write takes its turn."""
        self._view(expression)

        def prepare() -> Record | None:
            now_us = self._clock_us()
            ids = reading.matching_ids(self._view_at(expression, now_us), expression)
            return Record(Kind.DELETE, now_us, ids, [], {}) if ids else None

        sequence, applied = self._submit(Write(prepare=prepare))
        return Deleted(sequence, applied.known)

    # Reads

    # All but two have defaults and are given by name.
    def search(  # noqa: PLR0913
        self,
        queries: NDArray[Any],
        limit: int,
        *,
        expression: Filter | None = None,
        max_distance: float | None = None,
        projection: Projection = METADATA_ONLY,
        vector_name: str = DEFAULT_VECTOR,
        parameters: SearchParameters = DEFAULT_PARAMETERS,
        explain: list[Explanation] | None = None,
    ) -> Sequence[Hits]:
        """The nearest matching points of each query, float32[q, dimension]; k come back whenever k match.

        parameters: in place of the effort that was measured to hold the collection's recall. explain: gets
        the plan of each segment, oldest first. Raises NoTextIndex for a text condition on a field that is
        not pinned as text.
        """
        field = self._schema.field(vector_name)
        checked = field.check(queries, "query")
        asked = Search(vector_name, field, limit, expression, max_distance, projection, parameters)
        hits = search(self._view(expression), checked, asked, explain)
        if expression is None and parameters.states_nothing and self._live.offer(vector_name, checked, limit):
            self._live_job.ask()
        return hits

    def get(self, ids: Sequence[bytes], projection: Projection = METADATA_ONLY) -> Points:
        """Those that exist, in the order asked."""
        return reading.get(self._view(), ids, projection, self._dimension)

    def scroll(
        self,
        after: bytes | None,
        limit: int,
        expression: Filter | None = None,
        projection: Projection = METADATA_ONLY,
    ) -> tuple[Points, bool]:
        """Matching points behind `after` in the order of (xxh3_64(id), id), and whether more follow."""
        view = self._view(expression)
        places, has_more = reading.scroll(view, after, limit, expression)
        return reading.read_points(view, places, projection, self._dimension), has_more

    def count(self, expression: Filter | None = None) -> int:
        return reading.count(self._view(expression), expression)

    def stats(self) -> ShardStats:
        # Before the view, so that it is never ahead of it.
        covered = self._state.persisted.sequence
        view = self._view()
        sealed = [part for part in view.segments if isinstance(part.segment, SealedSegment)]
        segments = [part.segment for part in sealed if isinstance(part.segment, SealedSegment)]
        indexes = [stats for segment in segments for stats in self._plans.stats(segment)]
        log_bytes = self._log.size_bytes
        return ShardStats(
            points=view.live_count,
            deleted_rows=sum(len(part.dead) for part in view.segments),
            segments=len(sealed),
            growing_rows=sum(part.rows for part in view.segments) - sum(part.rows for part in sealed),
            last_sequence=view.sequence,
            covered_sequence=covered,
            disk_bytes=log_bytes + sum(segment.disk_bytes for segment in segments),
            log_bytes=log_bytes,
            read_only_reason=self._read_only_reason(),
            indexes=indexes,
            index_memory_bytes=sum(stats.memory_bytes for stats in indexes),
            live_recall=self._live.recall,
            live_recall_samples=self._live.samples,
            metadata=metadata_stats(segments),
        )

    # Upkeep

    def seal(self) -> None:
        """Make everything written so far a sealed segment, now."""
        self._upkeep.seal(self._capture_now())

    def compact(self) -> None:
        """Rewrite everything as one segment without dead rows and index it, now.

        There are several segments where one could not be made within the memory allowed for builds.
        """
        self._expiry.delete_expired()
        self.seal()
        self._upkeep.compact()

    def set_indexing(self, indexing: Indexing) -> None:
        """Index segments differently: they are rebuilt in the background, and old indexes serve until then.

        Raises InvalidArgument for what can't be built for the shard's vectors.
        """
        self._check_usable()
        self._plans.change(indexing)
        self._upkeep.reindex()

    def wait_until_indexed(self, timeout_s: float) -> bool:
        """Return when nothing that was sealed waits to be merged or indexed; False when time is up.

        Rows that are not sealed yet are not waited for, nor what is merged when writes have paused.
        """
        self._check_usable()
        return self._upkeep.wait_until_indexed(timeout_s)

    def snapshot(self, target: Path) -> None:
        """Make `target` a copy of this moment. Writers go on meanwhile."""
        log_files: list[Path] = []

        def end_file() -> None:
            self._log.rotate()
            log_files.extend(self._log.closed_files())

        # Under the lock no manifest changes, and no file is removed that this one needs.
        with self._maintenance.lock:
            self._queue.submit(Write(prepare=end_file))
            link_snapshot(self._folder, target, self._maintenance.manifest, log_files)

    def close(self) -> None:
        """Wait for the writes that wait already, cut maintenance short, and let the folder go.

        Reads that run keep what they look at.
        """
        self._queue.close()
        self._failure = Unavailable("the shard is closed")
        self._upkeep.close()
        self._log.close()
        self._state.forget()
        self._lock.release()

    @property
    def _dimension(self) -> int:
        return self._schema.field(DEFAULT_VECTOR).dimension

    def _view(self, expression: Filter | None = None) -> View:
        return self._view_at(expression, self._clock_us())

    def _view_at(self, expression: Filter | None, now_us: int) -> View:
        """The picture to read, less what has expired. Raises NoTextIndex for a filter that it can't be asked.

        A write that depends on what is there is decided by the picture at the time that it is logged with.
        """
        self._check_usable()
        if expression is not None:
            check_text_indexes(expression, self._options.payload_indexes)
        return self._state.current.at(now_us)

    def _check_usable(self) -> None:
        if self._failure is not None:
            # A new one each time: an exception collects the frames, and their arrays, of all who raise it.
            raise type(self._failure)(self._failure.message)

    def _submit(self, write: Write) -> tuple[int, Applied]:
        self._wait_for_sealing()
        result: tuple[int, Applied] = self._queue.submit(write)
        return result

    def _commit(self, group: Sequence[Write]) -> None:
        """The one place where the log and the state change; one group at a time."""
        self._check_usable()
        for write in group:
            if write.prepare is not None:
                write.record = write.prepare()
                write.result = (self._state.current.sequence, Applied(0, 0))
        writes = [(write, write.record) for write in group if write.record is not None]
        if not writes:
            return
        try:
            first = self._log.append([encode_record(record) for _, record in writes])
        except (StorageFull, Unavailable) as error:
            self._read_only = error.message
            raise
        self._read_only = ""
        try:
            for sequence, (write, record) in enumerate(writes, first):
                write.result = (sequence, self._state.apply(sequence, record))
        except BaseException as error:
            # The log has what the state has not: only a replay can tell what is true.
            log.exception("a durable write could not be applied", folder=str(self._folder))
            self._failure = Internal(f"the shard must be reopened: {error!r}")
            raise Internal(self._failure.message) from error
        for _, record in writes:
            if record.expires_at_us is not None:
                self._expiry.await_next(record.time_us)
        self._capture_if_full()

    def _capture_if_full(self) -> None:
        growing, options = self._state.growing, self._options
        if (
            growing.rows >= options.segment_max_rows
            or growing.bytes >= options.segment_max_bytes
            or self._log.record_bytes - self._captured_bytes >= options.log_max_bytes
            or self._state.current.sequence - self._captured_sequence >= _MAX_LOG_RECORDS
        ):
            self._capture_everything()
            self._upkeep.seal_job.ask()
        else:
            self._upkeep.grown(growing.rows)

    def _capture_everything(self) -> None:
        if self._state.capture():
            self._log.rotate()
            self._captured_bytes = self._log.record_bytes
            self._captured_sequence = self._state.current.sequence

    def _capture_now(self) -> int:
        """Returns the last sequence captured."""
        sequence, _ = self._queue.submit(Write(prepare=self._capture_everything))
        return int(sequence)

    def _compare_live(self) -> bool:
        """The job that measures the recall of live queries."""
        if self._failure is None and self._live.compare(self._state.current):
            self._upkeep.reindex()
        return False

    def _read_only_reason(self) -> str:
        has_room = self._state.wait_for_room(_MAX_CAPTURED, 0.0)
        return self._read_only or ("" if has_room else self._upkeep.stuck)

    def _wait_for_sealing(self) -> None:
        """Hold writers back while too many moments wait: memory is bounded by them."""
        if not self._state.wait_for_room(_MAX_CAPTURED, 0.0 if self._upkeep.stuck else _SEALING_WAIT_S):
            if self._upkeep.stuck:
                raise StorageFull(self._upkeep.stuck)
            raise Overloaded("the shard is still writing earlier segments to disk; try again")
