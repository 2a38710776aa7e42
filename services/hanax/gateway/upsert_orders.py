"""Upserts in the form in which they travel to a shard, written around the vectors.

Nearly all of a batch is the bytes of its vectors. As a message they would be copied into it, and once more
when it is encoded. Here they are copied once: the fields of an encoded message may come in any order and one
behind another (protobuf's encoding guide), so that what is small is encoded as usual and put around them.
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

Value = TypeVar("Value")

_MODES: Final[dict[WriteMode, pb.WriteMode.ValueType]] = {
    "upsert": pb.WRITE_MODE_UPSERT,
    "insert": pb.WRITE_MODE_INSERT,
    "update": pb.WRITE_MODE_UPDATE,
}

# Of protobuf's encoding: a field whose length is told before it.
_LENGTH_DELIMITED: Final = 2


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
    column += _start(pb.VectorColumn.FLOAT32_LE_FIELD_NUMBER, len(vectors))
    start = _start(pb.UpsertRequest.VECTORS_FIELD_NUMBER, len(column) + len(vectors))
    return b"".join((small.SerializeToString(), start, column, vectors))


def _picked(column: list[Value], rows: Sequence[int]) -> list[Value]:
    """Values of these rows; none of a column that was left out."""
    if not column or len(rows) == len(column):
        return column
    return [column[row] for row in rows]


def _start(field: int, length: int) -> bytes:
    """What stands before the bytes of a field."""
    return _varint(field << 3 | _LENGTH_DELIMITED) + _varint(length)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
