"""Points as columns: tables of vectors that are checked as matrices, and sent without an object for each row.

Only what is good as a whole goes this way. Where anything is wrong with a row, its table is taken row by row,
and the row fails alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hanax.batch_processor.made_ids import IdMaker
from hanax.batch_processor.points import PointReader, Shape, Vector
from hanax.batch_processor.sources.opening import vector_field
from hanax.batch_processor.sources.tables import Table
from hanax.core.distances import Metric
from hanax.core.errors import HanaxError
from hanax.core.ids import encode_id
from hanax.core.job_specs import BulkInsert
from hanax.metadata.jobs.job import Job

# Squares of lengths in float32, well between the limits of lengths.
_SURELY_SHORT: Final = 1e30
_SURELY_LONG: Final = 1e-30


@dataclass(frozen=True, slots=True)
class PointColumns:
    """n points of items that follow one another. vectors: float32[n, dimension]. No id is there twice.

    metadata: JSON of each, empty for none; or nothing where none has any.
    """

    ids: list[bytes]
    vectors: Vector
    metadata: list[bytes]

    @property
    def bytes(self) -> int:
        """About as much of a message as they will take."""
        return self.vectors.nbytes + sum(map(len, self.metadata)) + 32 * len(self.ids)


class TableReader:
    """Tables of one job as points. rows: reads the same, one by one."""

    def __init__(self, job: Job, spec: BulkInsert, shape: Shape, rows: PointReader) -> None:
        self._made_id = IdMaker(job.id)
        self.dimension = shape.dimension
        self._shape = shape
        self._content = vector_field(spec)
        self._id_field = spec.id_field
        self._no_metadata = spec.metadata == "none"
        self.rows = rows

    def read(self, table: Table) -> PointColumns | None:
        """None: these have to be read one by one."""
        vectors = table.vectors.get(self._content)
        if vectors is None or table.faults or not _are_good(vectors, self._shape):
            return None
        if len(table.vectors) > 1 and not self._no_metadata:
            return None
        try:
            ids = self._ids(table)
            metadata = [self.rows.metadata(row) for row in table.rows]
        except HanaxError:
            return None
        if len(set(ids)) < len(ids):
            return None
        return PointColumns(ids, vectors, metadata if any(metadata) else [])

    def _ids(self, table: Table) -> list[bytes]:
        """Raises InvalidId."""
        field = self._id_field
        given: list[Any] = [row.get(field) for row in table.rows] if field else []
        made = self._made_id.run(table.first, table.count) if not given or None in given else []
        if not made:
            return [encode_id(value) for value in given]
        return (
            [own if value is None else encode_id(value) for value, own in zip(given, made, strict=True)]
            if given
            else made
        )


def _are_good(vectors: Vector, shape: Shape) -> bool:
    """Whether all are surely fit to be stored: a quick look, which leaves what is near a limit to others."""
    if vectors.shape[1] != shape.dimension:
        return False
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        squares = np.einsum("ij,ij->i", vectors, vectors)
    least = _SURELY_LONG if shape.metric is Metric.COSINE else 0.0
    # NaN fails the comparison.
    return bool(((squares >= least) & (squares <= _SURELY_SHORT)).all())
