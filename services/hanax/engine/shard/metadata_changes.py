"""The same change of the metadata of many points: by their ids, or of all that match.

Points that match may be more than one record should hold. They are changed in parts, each durable before the
next, and writers have their turn in between: a point is changed if it matched at the start and still does
when its part is written. A change that ended half-way may be asked for again: points whose metadata would
stay the same are not written, so that it goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from hanax.core.errors import Cancelled, MetadataTooLarge
from hanax.core.field_values import Path
from hanax.core.filters import Filter
from hanax.core.ids import decode_id
from hanax.core.limits import MAX_BATCH_POINTS
from hanax.core.provenance import most_bytes, with_provenance_of
from hanax.engine.filters.evaluation import compile_filter
from hanax.engine.points import Projection
from hanax.engine.query import reading
from hanax.engine.segment.view import View
from hanax.engine.shard.checks import check_expiries, check_ids, check_metadata
from hanax.engine.shard.results import MetadataChanged
from hanax.engine.shard.state import Applied
from hanax.engine.shard.writes import Write
from hanax.engine.storage.records import Kind, Record

_READ = Projection(metadata=True, versions=True)

Matches = Callable[[dict[str, Any], bytes], bool]


@dataclass(frozen=True, slots=True)
class MetadataChange:
    """Fields are deleted first; then the keys of `values` are set, or `values` replace the whole object
    but for the provenance of the point's vector.

    values: a JSON object. delete: fields as filters name them; those that are missing are passed over.
    expires_at_us: when the points expire from now on, microseconds since 1970 UTC, 0: never; None: as it was.
    """

    values: bytes = b"{}"
    replace: bool = False
    delete: tuple[Path, ...] = ()
    expires_at_us: int | None = None

    def apply(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """The metadata after the change; the object given may be changed."""
        values: dict[str, Any] = orjson.loads(self.values)
        if self.replace:
            return with_provenance_of(metadata, values)
        for path in self.delete:
            delete_field(metadata, path)
        return metadata | values


def delete_field(metadata: dict[str, Any], path: Path) -> None:
    """Take out the field that a filter would find: a top-level key that has the dots comes first."""
    spelt = ".".join(path)
    if spelt in metadata:
        del metadata[spelt]
        return
    inner: Any = metadata
    for name in path[:-1]:
        inner = inner.get(name)
        if not isinstance(inner, dict):
            return
    inner.pop(path[-1], None)


@dataclass(slots=True)
class _Part:
    """What one record's worth of points comes to. versions: as they were, 0 where there is no point."""

    versions: list[int]
    matched: int = 0
    updated: list[bytes] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)


class MetadataChanges:
    """view: the current picture as of a time, checked to be one that a filter can be asked of."""

    def __init__(
        self,
        view: Callable[[Filter | None, int], View],
        submit: Callable[[Write], tuple[int, Applied]],
        clock_us: Callable[[], int],
    ) -> None:
        self._view = view
        self._submit = submit
        self._clock_us = clock_us

    def by_ids(self, ids: Sequence[bytes], change: MetadataChange) -> MetadataChanged:
        """All or none; durable on return.

        Raises DuplicateId, InvalidMetadata, MetadataTooLarge, InvalidExpiry.
        """
        check_ids(ids)
        _check(change)
        return self._change(ids, change, None)

    def matching(
        self, expression: Filter, change: MetadataChange, wanted: Callable[[], bool]
    ) -> MetadataChanged:
        """All that match, in parts. wanted: asked before each part whether to go on.

        Raises NoTextIndex, InvalidMetadata, MetadataTooLarge, InvalidExpiry, Overloaded, StorageFull and
        Cancelled; what was changed before stays.
        """
        _check(change)
        view = self._view(expression, self._clock_us())
        ids = reading.matching_ids(view, expression)
        matches = compile_filter(expression)
        sequence, matched, updated = view.sequence, 0, 0
        for first in range(0, len(ids), MAX_BATCH_POINTS):
            if not wanted():
                raise Cancelled(f"{updated} points are changed, the others are not wanted any more")
            done = self._change(ids[first : first + MAX_BATCH_POINTS], change, matches)
            sequence = done.sequence
            matched += done.matched
            updated += done.updated
        return MetadataChanged(sequence, matched, updated, [])

    def _change(
        self, ids: Sequence[bytes], change: MetadataChange, matches: Matches | None
    ) -> MetadataChanged:
        part = _Part([])

        def prepare() -> Record | None:
            nonlocal part
            now_us = self._clock_us()
            part = _decide(self._view(None, now_us), ids, change, matches)
            if not part.updated:
                return None
            expiries = None if change.expires_at_us is None else [change.expires_at_us] * len(part.updated)
            return Record(
                Kind.METADATA,
                now_us,
                part.updated,
                part.blobs,
                {},
                None if expiries is None else np.array(expiries, np.int64),
            )

        sequence, _ = self._submit(Write(prepare=prepare, depends_on=ids))
        written = frozenset(part.updated)
        versions = [
            sequence if id_ in written else version for id_, version in zip(ids, part.versions, strict=True)
        ]
        return MetadataChanged(sequence, part.matched, len(written), versions)


def _check(change: MetadataChange) -> None:
    check_metadata([change.values], 1)
    if change.expires_at_us is not None:
        check_expiries(np.array([change.expires_at_us], np.int64), 1)


def _decide(view: View, ids: Sequence[bytes], change: MetadataChange, matches: Matches | None) -> _Part:
    points = reading.get(view, ids, _READ, 0)
    assert points.metadata is not None
    assert points.versions is not None
    version_by_id = dict(zip(points.ids, points.versions.tolist(), strict=True))
    part = _Part([version_by_id.get(id_, 0) for id_ in ids])
    expiries = [0] * len(points) if points.expires_at_us is None else points.expires_at_us.tolist()
    for id_, old, expires_at_us in zip(points.ids, points.metadata, expiries, strict=True):
        metadata = orjson.loads(old)
        if matches is not None and not matches(metadata, id_):
            continue
        part.matched += 1
        before = orjson.dumps(metadata)
        after = orjson.dumps(change.apply(metadata))
        if after == before and change.expires_at_us in (None, expires_at_us):
            continue
        if len(after) > (most := most_bytes(metadata)):
            raise MetadataTooLarge(
                f"metadata have at most {most} bytes, those of {decode_id(id_)!r} would have {len(after)}",
                id=decode_id(id_),
            )
        part.updated.append(id_)
        part.blobs.append(after)
    return part
