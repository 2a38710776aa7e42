"""One shard: durable writes, and reads of an immutable view.

A write is validated, logged (one fsync for all writers that wait), applied and answered, in that
order, so nothing is acknowledged or seen before it is durable. A read takes the current view and no lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hanax.core.filters import Filter
from hanax.core.index_specs import Indexing, SearchParameters
from hanax.core.specs import DEFAULT_VECTOR, PayloadIndex
from hanax.engine.points import METADATA_ONLY, Hits, Points, Projection
from hanax.engine.query import reading
from hanax.engine.query.planning import Explanation
from hanax.engine.query.searching import Search, search
from hanax.engine.schema import Schema
from hanax.engine.segment.protocol import NEVER_US
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.segment.view import View
from hanax.engine.shard.background import Background, Job
from hanax.engine.shard.checks import check_pins, check_text_indexes
from hanax.engine.shard.committer import Committer
from hanax.engine.shard.conditions import ANY_VERSION, UNCONDITIONAL, Conditions, IfVersions
from hanax.engine.shard.expiry import Expiry
from hanax.engine.shard.live_recall import LiveRecall
from hanax.engine.shard.metadata_changes import MetadataChanges
from hanax.engine.shard.options import ShardOptions
from hanax.engine.shard.point_writes import PointWrites
from hanax.engine.shard.reads import Reads
from hanax.engine.shard.recovery import Recovered, recover
from hanax.engine.shard.results import Deleted, MetadataUpdated, ShardStats, Upserted, metadata_stats
from hanax.engine.shard.snapshot import link_snapshot
from hanax.engine.storage.records import Record

DEFAULT_PARAMETERS = SearchParameters()


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
        self._plans = recovered.plans
        self._clock_us = clock_us
        self._committer = Committer(recovered, options, background, self._applied)
        self._upkeep = self._committer.upkeep
        self._live = LiveRecall(self._schema, self._plans)
        submit = self._committer.submit
        self._writes = PointWrites(self._schema, self._view_at, submit, clock_us)
        # Facets, groups, orders and recommendations.
        self.reads = Reads(self._schema, self._view)
        # The same change of many points.
        self.metadata_changes = MetadataChanges(self._view_at, submit, clock_us)
        self._expiry = Expiry(
            lambda: self._state.current, submit, clock_us, background, self._upkeep.seal_soon
        )
        self._live_job = Job(background, f"recall {recovered.folder}", self._compare_live, long=True)
        self._committer.capture_if_full()
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
        return self._writes.upsert(ids, vectors, metadata, conditions, expires_at_us)

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
        return self._writes.update_metadata(ids, metadata, replace, if_versions)

    def delete(self, ids: Sequence[bytes], if_versions: IfVersions = ANY_VERSION) -> Deleted:
        """Ids that don't exist are passed over. Raises VersionConflict."""
        return self._writes.delete(ids, if_versions)

    def delete_matching(self, expression: Filter) -> Deleted:
        """Delete the points that match at the moment the write takes its turn."""
        return self._writes.delete_matching(expression)

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

    def next_expiry_us(self) -> int:
        """When the next point expires, microseconds since 1970 UTC; 0 for never."""
        next_us = self._state.current.next_expiry_us(self._clock_us())
        return 0 if next_us == NEVER_US else next_us

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
            read_only_reason=self._committer.read_only_reason(),
            indexes=indexes,
            index_memory_bytes=sum(stats.memory_bytes for stats in indexes),
            live_recall=self._live.recall,
            live_recall_samples=self._live.samples,
            metadata=metadata_stats(segments),
        )

    # Upkeep

    def seal(self) -> None:
        """Make everything written so far a sealed segment, now."""
        self._upkeep.seal(self._committer.capture())

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
        self._committer.check_usable()
        self._plans.change(indexing)
        self._upkeep.reindex()

    def set_payload_indexes(self, payload_indexes: Mapping[str, PayloadIndex]) -> None:
        """Index other fields of the metadata; returns at once. payload_indexes: all pins, by dotted path.

        Segments that are sealed get new metadata indexes in the background, and `wait_until_indexed` waits
        for those. No answer changes but this: from now on conditions on words are taken for fields that are
        pinned as text here, and NoTextIndex for others. Rows that no new index tells of yet are read
        one by one. The pins are not stored: `ShardOptions.payload_indexes` says them at the next opening.
        Raises InvalidArgument for a pin that is none, and changes nothing.
        """
        self._committer.check_usable()
        self._plans.pin(check_pins(payload_indexes))
        self._state.go_by(self._plans.schema)
        self._upkeep.reindex_metadata()

    def wait_until_indexed(self, timeout_s: float) -> bool:
        """Return when nothing that was sealed waits to be merged or indexed; False when time is up.

        Rows that are not sealed yet are not waited for, nor what is merged when writes have paused.
        """
        self._committer.check_usable()
        return self._upkeep.wait_until_indexed(timeout_s)

    def snapshot(self, target: Path) -> None:
        """Make `target` a copy of this moment. Writers go on meanwhile."""
        log_files: list[Path] = []
        # Under the lock no manifest changes, and no file is removed that this one needs.
        with self._maintenance.ledger.lock:
            self._committer.end_log_file(lambda: log_files.extend(self._log.closed_files()))
            link_snapshot(self._folder, target, self._maintenance.ledger.manifest, log_files)

    def close(self) -> None:
        """Wait for the writes that wait already, cut maintenance short, and let the folder go.

        Reads that run keep what they look at.
        """
        self._committer.close()
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
        self._committer.check_usable()
        if expression is not None:
            check_text_indexes(expression, self._plans.schema.payload_indexes)
        return self._state.current.at(now_us)

    def _applied(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.expires_at_us is not None:
                self._expiry.await_next(record.time_us)

    def _compare_live(self) -> bool:
        """The job that measures the recall of live queries."""
        if self._committer.failure is None and self._live.compare(self._state.current):
            self._upkeep.reindex()
        return False
