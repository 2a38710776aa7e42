"""Points as shards answer them, as the columns of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from citadel.vector.v1 import shard_pb2
from citadel.vector.v1 import vector_pb2 as pb
from hanax.gateway.merge import Place
from hanax.gateway.provenance import split_provenance
from hanax.gateway.queries import ScrolledPage
from hanax.gateway.records import default_vectors
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
