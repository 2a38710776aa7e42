"""Points as services hand them out: what a shard answered in columns, one point at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import Internal
from hanax.core.ids import PointId, decode_id
from hanax.core.specs import DEFAULT_VECTOR


@dataclass(frozen=True, slots=True)
class Record:
    """`metadata` is a JSON object as stored, `vector` float32[dimension]; None where not asked for.

    expires_at_us: None when it never does.
    """

    id: PointId
    metadata: bytes | None
    vector: NDArray[np.float32] | None
    created_at_us: int
    updated_at_us: int
    version: int | None
    expires_at_us: int | None

    def without_vector(self) -> Record:
        return replace(self, vector=None)


class RecordColumns:
    """Reads rows of one answer without copying the others."""

    def __init__(self, points: pb.Points) -> None:
        self._points = points
        self._vectors = default_vectors(points)

    def record(self, row: int) -> Record:
        points = self._points
        return Record(
            id=decode_id(points.ids[row]),
            metadata=points.metadata[row] if points.metadata else None,
            vector=None if self._vectors is None else self._vectors[row],
            created_at_us=points.created_at_us[row],
            updated_at_us=points.updated_at_us[row],
            version=points.versions[row] if points.versions else None,
            expires_at_us=(points.expires_at_us[row] or None) if points.expires_at_us else None,
        )


def default_vectors(points: pb.Points) -> NDArray[np.float32] | None:
    """float32[n, dimension], a view; None where they were not asked for."""
    for column in points.vectors:
        if column.name == DEFAULT_VECTOR:
            if len(column.float32_le) != 4 * column.dimension * len(points.ids):
                raise Internal(f"a shard answered {len(column.float32_le)} bytes of vectors")
            return np.frombuffer(column.float32_le, "<f4").reshape(-1, column.dimension)
    return None
