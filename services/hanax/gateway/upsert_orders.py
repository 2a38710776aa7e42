"""Upserts in the form in which they travel to a shard, written around the vectors.

Nearly all of a batch is the bytes of its vectors, which are copied once (`rpc.encoding`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.routing import CollectionRoute
from hanax.core.specs import DEFAULT_VECTOR
from hanax.gateway.batches import Batch
from hanax.gateway.requests import WriteMode
from hanax.gateway.shards import refer
from hanax.rpc.encoding import field_start

Value = TypeVar("Value")

_MODES: Final[dict[WriteMode, pb.WriteMode.ValueType]] = {
    "upsert": pb.WRITE_MODE_UPSERT,
    "insert": pb.WRITE_MODE_INSERT,
    "update": pb.WRITE_MODE_UPDATE,
}


def encode_upsert(
    route: CollectionRoute, shard: int, mode: WriteMode, batch: Batch, rows: Sequence[int]
) -> bytes:
    """A citadel.vector.v1.UpsertRequest of these rows of a batch whose points all have vectors."""
    small = pb.UpsertRequest(
        ref=refer(route, shard),
        ids=_picked(batch.ids, rows),
        metadata=_picked(batch.metadata, rows),
        mode=_MODES[mode],
        if_versions=_picked(batch.if_versions, rows),
        expires_at_us=_picked(batch.expires_at_us, rows),
    )
    vectors = batch.rows_le(rows)
    column = pb.VectorColumn(name=DEFAULT_VECTOR, dimension=route.spec.dimension).SerializeToString()
    column += field_start(pb.VectorColumn.FLOAT32_LE_FIELD_NUMBER, len(vectors))
    start = field_start(pb.UpsertRequest.VECTORS_FIELD_NUMBER, len(column) + len(vectors))
    return b"".join((small.SerializeToString(), start, column, vectors))


def _picked(column: list[Value], rows: Sequence[int]) -> list[Value]:
    """Values of these rows; none of a column that was left out."""
    if not column or len(rows) == len(column):
        return column
    return [column[row] for row in rows]
