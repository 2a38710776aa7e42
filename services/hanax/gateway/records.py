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
    """Reads rows of one answer."""

    def __init__(self, points: pb.Points) -> None:
        # As lists: a column of a message costs as much for one entry as a list of it for ten.
        self._ids = list(points.ids)
        self._metadata = list(points.metadata)
        self._created_at_us = list(points.created_at_us)
        self._updated_at_us = list(points.updated_at_us)
        self._versions = list(points.versions)
        self._expires_at_us = list(points.expires_at_us)
        self._vectors = default_vectors(points)

    def record(self, row: int) -> Record:
        return Record(
            decode_id(self._ids[row]),
            self._metadata[row] if self._metadata else None,
            None if self._vectors is None else self._vectors[row],
            self._created_at_us[row],
            self._updated_at_us[row],
            self._versions[row] if self._versions else None,
            (self._expires_at_us[row] or None) if self._expires_at_us else None,
        )


def default_vectors(points: pb.Points) -> NDArray[np.float32] | None:
    """float32[n, dimension], a view; None where they were not asked for."""
    for column in points.vectors:
        if column.name == DEFAULT_VECTOR:
            if len(column.float32_le) != 4 * column.dimension * len(points.ids):
                raise Internal(f"a shard answered {len(column.float32_le)} bytes of vectors")
            return np.frombuffer(column.float32_le, "<f4").reshape(-1, column.dimension)
    return None
