"""Upserts, deletes and updates of metadata: from what a caller gives to a record of the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from hanax.core.filters import Filter
from hanax.engine.points import Projection
from hanax.engine.query import reading
from hanax.engine.schema import Schema
from hanax.engine.segment.view import View
from hanax.engine.shard.checks import (
    check_columns,
    check_expiries,
    check_ids,
    check_metadata,
    merge_metadata,
    replace_metadata,
)
from hanax.engine.shard.conditions import (
    UNCONDITIONAL,
    Conditions,
    IfVersions,
    locate_unchanged,
    narrow_upsert,
)
from hanax.engine.shard.results import Deleted, MetadataUpdated, Upserted
from hanax.engine.shard.state import Applied
from hanax.engine.shard.writes import Write
from hanax.engine.storage.records import Kind, Record


class PointWrites:
    """The calls of `Shard` with the same names.

    view: the current picture as of a time, checked to be one that a filter can be asked of.
    """

    def __init__(
        self,
        schema: Schema,
        view: Callable[[Filter | None, int], View],
        submit: Callable[[Write], tuple[int, Applied]],
        clock_us: Callable[[], int],
    ) -> None:
        self._schema = schema
        self._view = view
        self._submit = submit
        self._clock_us = clock_us

    def upsert(
        self,
        ids: Sequence[bytes],
        vectors: Mapping[str, NDArray[Any]],
        metadata: Sequence[bytes],
        conditions: Conditions,
        expires_at_us: NDArray[Any] | None,
    ) -> Upserted:
        columns = check_columns(self._schema, vectors, len(ids))
        check_ids(ids)
        check_metadata(metadata, len(ids))
        expiries = check_expiries(expires_at_us, len(ids))
        record = Record(Kind.UPSERT, self._clock_us(), ids, metadata, columns, expiries)
        skipped: list[bytes] = []

        def prepare() -> Record | None:
            narrowed, left_alone = narrow_upsert(self._view(None, record.time_us), record, conditions)
            skipped.extend(left_alone)
            return narrowed

        plain = conditions is UNCONDITIONAL or conditions == UNCONDITIONAL
        sequence, applied = self._submit(Write(record) if plain else Write(record, prepare, ids))
        return Upserted(sequence, inserted=applied.unknown, updated=applied.known, skipped=skipped)

    def update_metadata(
        self, ids: Sequence[bytes], metadata: Sequence[bytes], replace: bool, if_versions: IfVersions
    ) -> MetadataUpdated:
        check_ids(ids)
        check_metadata(metadata, len(ids))
        missing: list[bytes] = []

        def prepare() -> Record | None:
            now_us = self._clock_us()
            view = self._view(None, now_us)
            places = locate_unchanged(view, ids, if_versions)
            points = reading.get(view, ids, Projection(), 0)
            missing.extend(id_ for id_, found in zip(ids, places.found.tolist(), strict=True) if not found)
            patch_by_id = dict(zip(ids, metadata, strict=True))
            assert points.metadata is not None
            change = replace_metadata if replace else merge_metadata
            patches = [
                change(old, patch_by_id[id_]) for id_, old in zip(points.ids, points.metadata, strict=True)
            ]
            if not points.ids:
                return None
            return Record(Kind.METADATA, now_us, points.ids, patches, {})

        sequence, applied = self._submit(Write(prepare=prepare, depends_on=ids))
        return MetadataUpdated(sequence, applied.known, missing)

    def delete(self, ids: Sequence[bytes], if_versions: IfVersions) -> Deleted:
        check_ids(ids)
        record = Record(Kind.DELETE, self._clock_us(), ids, [], {})

        def prepare() -> Record:
            locate_unchanged(self._view(None, record.time_us), ids, if_versions)
            return record

        sequence, applied = self._submit(Write(record, prepare, ids) if if_versions else Write(record))
        return Deleted(sequence, applied.known)

    def delete_matching(self, expression: Filter) -> Deleted:
        self._view(expression, self._clock_us())

        def prepare() -> Record | None:
            now_us = self._clock_us()
            ids = reading.matching_ids(self._view(expression, now_us), expression)
            return Record(Kind.DELETE, now_us, ids, [], {}) if ids else None

        sequence, applied = self._submit(Write(prepare=prepare))
        return Deleted(sequence, applied.known)
