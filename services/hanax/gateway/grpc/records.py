"""Points as shards answer them, and as service objects hand them out, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from citadel.vector.v1 import shard_pb2
from citadel.vector.v1 import vector_pb2 as pb
from hanax.core.ids import encode_id
from hanax.gateway.merge import Place
from hanax.gateway.provenance import split_provenance
from hanax.gateway.queries import ScrolledPage
from hanax.gateway.records import Record, default_vectors
from hanax.gateway.vectors import float32_le

_NUMBERS: Final = ("created_at_us", "updated_at_us", "expires_at_us", "versions")


def page_columns(page: ScrolledPage) -> pb.PointColumns:
    """The points of a page, in its order."""
    parts = [answer.points for answer in page.answers]
    columns = pb.PointColumns(ids=_picked([part.ids for part in parts], page.places, b""))
    for name in _NUMBERS:
        column = _picked([getattr(part, name) for part in parts], page.places, 0)
        getattr(columns, name).extend(column)
    _add_metadata(columns, _picked([part.metadata for part in parts], page.places, b"{}"))
    _add_vectors(columns, parts, page.places)
    return columns


def _picked(columns: Sequence[Sequence[Any]], places: Sequence[Place], absent: object) -> Sequence[Any]:
    """One value for each place; none at all where no part has the column."""
    if _is_whole(columns, places) or not any(columns):
        return columns[0] if columns else ()
    return [columns[part][row] if columns[part] else absent for part, row in places]


def _is_whole(columns: Sequence[Sequence[Any]], places: Sequence[Place]) -> bool:
    """Whether the page is the answer of one shard as it came."""
    return len(columns) == 1 and len(columns[0]) == len(places)


def _add_metadata(columns: pb.PointColumns, stored: Sequence[bytes]) -> None:
    told = [split_provenance(raw) for raw in stored]
    columns.metadata.extend(own for own, _ in told)
    if any(provenance for _, provenance in told):
        columns.provenance.extend(provenance or b"" for _, provenance in told)


def _add_vectors(
    columns: pb.PointColumns, parts: Sequence[shard_pb2.Points], places: Sequence[Place]
) -> None:
    matrices = [default_vectors(part) for part in parts]
    known = [matrix for matrix in matrices if matrix is not None]
    if not known or not places:
        return
    picked = known[0]
    if not _is_whole([part.ids for part in parts], places):
        starts = np.cumsum([0, *(0 if matrix is None else len(matrix) for matrix in matrices)])
        picked = np.concatenate(known)[[starts[part] + row for part, row in places]]
    columns.vectors.dimension = picked.shape[1]
    columns.vectors.float32_le = float32_le(picked)


def record_columns(records: Sequence[Record]) -> pb.PointColumns:
    """Points in this order, which were read alike."""
    columns = pb.PointColumns(
        ids=[encode_id(record.id) for record in records],
        created_at_us=[record.created_at_us for record in records],
        updated_at_us=[record.updated_at_us for record in records],
    )
    if not records:
        return columns
    if any(record.expires_at_us for record in records):
        columns.expires_at_us.extend(record.expires_at_us or 0 for record in records)
    if records[0].version is not None:
        columns.versions.extend(record.version or 0 for record in records)
    if records[0].metadata is not None:
        _add_metadata(columns, [record.metadata or b"{}" for record in records])
    vectors = [record.vector for record in records if record.vector is not None]
    if vectors:
        columns.vectors.dimension = len(vectors[0])
        columns.vectors.float32_le = b"".join(map(float32_le, vectors))
    return columns
