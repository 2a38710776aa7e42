"""Writing points: insert, update metadata, delete. Checked whole before anything is sent.

What goes to one shard is stored as a whole or not at all. When one shard fails after its retries
and others have stored their part, the answer is PartialWrite, which names the points that failed;
every write names its ids, so the same request may be sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import HanaxError, InvalidArgument, PartialWrite
from hanax.core.ids import PointId, decode_id, encode_id
from hanax.core.routing import CollectionRoute
from hanax.core.specs import DEFAULT_VECTOR
from hanax.gateway.batches import Batch, parse_batch
from hanax.gateway.calls import Call
from hanax.gateway.metadata import encode_metadata
from hanax.gateway.queries import point_not_found
from hanax.gateway.requests import (
    DeleteRequest,
    InsertRequest,
    MetadataMode,
    encode_filter,
    parse_ids,
)
from hanax.gateway.shards import for_each_shard, refer, rows_by_shard
from hanax.gateway.upstreams import Upstreams
from hanax.gateway.vectors import Matrix

Answer = TypeVar("Answer")

# Numbers of a batch past which it is parsed in a thread: some 2 ms of the event loop.
_PARSE_HERE_UP_TO: Final = 65_536

_MODES: Final[dict[MetadataMode, pb.MetadataMode.ValueType]] = {
    "merge": pb.METADATA_MODE_MERGE,
    "replace": pb.METADATA_MODE_REPLACE,
}


@dataclass(frozen=True, slots=True)
class Inserted:
    """`ids` in the order of the batch; `truncated`: those whose text the model did not read whole."""

    inserted: int
    updated: int
    ids: list[PointId]
    truncated: list[PointId]


class Points:
    """Each method raises CollectionNotFound, an InvalidArgument, PartialWrite, StorageFull,
    Overloaded, Unavailable or DeadlineExceeded.
    """

    def __init__(self, upstreams: Upstreams) -> None:
        self._via = upstreams

    async def insert(self, call: Call, request: InsertRequest) -> Inserted:
        """Store points, durable on return; those whose id is there already are replaced."""
        with self._via.metrics.operation("insert", request.collection):
            route = self._via.routing.collection(request.collection)
            batch = await self._parse(request.vectors, route)
            call.grant(self._via.timeouts.embed_s if batch.texts else self._via.timeouts.request_s)
            vectors, truncated = batch.given, []
            if batch.texts:
                embedded = await self._via.embedding.embed_for(call, route.spec, batch.texts)
                vectors = batch.with_embeddings(embedded.vectors)
                truncated = [batch.ids[batch.text_rows[row]] for row in embedded.truncated]
            rows = rows_by_shard(route, batch.ids)
            orders = {
                shard: _upsert(route, shard, batch, vectors, shard_rows) for shard, shard_rows in rows.items()
            }
            ended = await self._via.shards.tell(call, route, lambda stub: stub.Upsert, orders)
            answers, failures = _split(ended)
            inserted = sum(answer.inserted for answer in answers)
            updated = sum(answer.updated for answer in answers)
            ids = [decode_id(encoded) for encoded in batch.ids]
            if failures:
                failed = _points_of(failures, rows, ids)
                raise PartialWrite(
                    f"{len(ids) - len(failed)} of {len(ids)} points are stored; send the failed "
                    "ones again, or the whole batch with these ids",
                    stored=len(ids) - len(failed),
                    inserted=inserted,
                    updated=updated,
                    failed=failed,
                    ids=ids,
                )
            return Inserted(
                inserted=inserted,
                updated=updated,
                ids=ids,
                truncated=[decode_id(encoded) for encoded in truncated],
            )

    async def _parse(self, points: object, route: CollectionRoute) -> Batch:
        count = len(points) if isinstance(points, list) else 0
        if count * route.spec.dimension <= _PARSE_HERE_UP_TO:
            return parse_batch(points, route.spec)
        return await asyncio.to_thread(parse_batch, points, route.spec)

    async def update_metadata(
        self, call: Call, collection: str, point_id: PointId, metadata: object, mode: MetadataMode
    ) -> None:
        """Merge into one point's metadata, or replace it. Raises PointNotFound."""
        with self._via.metrics.operation("update_metadata", collection):
            route = self._via.routing.collection(collection)
            encoded = encode_id(point_id)
            raw = encode_metadata(metadata, "metadata")
            (shard,) = rows_by_shard(route, [encoded])
            order = pb.UpdateMetadataRequest(
                ref=refer(route, shard), ids=[encoded], metadata=[raw], mode=_MODES[mode]
            )
            call.grant(self._via.timeouts.request_s)
            (answer,) = await self._via.shards.ask(
                call, route, lambda stub: stub.UpdateMetadata, {shard: order}
            )
            if answer.missing:
                raise point_not_found(collection, point_id)

    async def delete_one(self, call: Call, collection: str, point_id: PointId) -> None:
        """Remove one point. Raises PointNotFound; also when a first attempt had removed it unheard."""
        with self._via.metrics.operation("delete", collection):
            route = self._via.routing.collection(collection)
            if await self._delete_ids(call, route, [encode_id(point_id)]) == 0:
                raise point_not_found(collection, point_id)

    async def delete(self, call: Call, request: DeleteRequest) -> int:
        """Remove points by id or by filter; how many there were. Unknown ids are no error."""
        with self._via.metrics.operation("delete", request.collection):
            route = self._via.routing.collection(request.collection)
            if (request.ids is None) == (request.filter is None):
                got = "neither" if request.ids is None else "both"
                raise InvalidArgument(f"expected either ids or filter, got {got}")
            if request.ids is not None:
                return await self._delete_ids(call, route, parse_ids(request.ids))
            return await self._delete_matching(call, route, encode_filter(request.filter))

    async def _delete_ids(self, call: Call, route: CollectionRoute, ids: list[bytes]) -> int:
        rows = rows_by_shard(route, ids)
        orders = {
            shard: pb.DeleteRequest(ref=refer(route, shard), ids=[ids[row] for row in shard_rows])
            for shard, shard_rows in rows.items()
        }
        call.grant(self._via.timeouts.request_s)
        ended = await self._via.shards.tell(call, route, lambda stub: stub.Delete, orders)
        answers, failures = _split(ended)
        deleted = sum(answer.deleted for answer in answers)
        if failures:
            failed = _points_of(failures, rows, [decode_id(encoded) for encoded in ids])
            raise PartialWrite(
                f"{deleted} points are deleted, {len(failed)} could not be reached; send the request again",
                deleted=deleted,
                failed=failed,
            )
        return deleted

    async def _delete_matching(self, call: Call, route: CollectionRoute, filter_json: bytes) -> int:
        orders = for_each_shard(route, lambda ref: pb.DeleteRequest(ref=ref, filter_json=filter_json))
        call.grant(self._via.timeouts.request_s)
        ended = await self._via.shards.tell(call, route, lambda stub: stub.Delete, orders)
        answers, failures = _split(ended)
        deleted = sum(answer.deleted for answer in answers)
        if failures:
            raise PartialWrite(
                f"{deleted} points are deleted, {len(failures)} of {len(ended)} shards could not "
                "be reached; send the request again",
                deleted=deleted,
                failed_shards=[{"shard": shard, "code": error.code} for shard, error in failures.items()],
            )
        return deleted


def _upsert(
    route: CollectionRoute, shard: int, batch: Batch, vectors: Matrix, rows: list[int]
) -> pb.UpsertRequest:
    part = vectors if len(rows) == len(vectors) else vectors[rows]
    return pb.UpsertRequest(
        ref=refer(route, shard),
        ids=[batch.ids[row] for row in rows],
        vectors=[
            pb.VectorColumn(
                name=DEFAULT_VECTOR,
                dimension=route.spec.dimension,
                float32_le=part.astype("<f4", copy=False).tobytes(),
            )
        ],
        metadata=[batch.metadata[row] for row in rows],
    )


def _split(
    ended: Mapping[int, Answer | HanaxError],
) -> tuple[list[Answer], dict[int, HanaxError]]:
    """The answers, and the failures by shard. Raises the first failure when nothing succeeded."""
    failures = {shard: end for shard, end in ended.items() if isinstance(end, HanaxError)}
    if len(failures) == len(ended):
        raise next(iter(failures.values()))
    return [end for end in ended.values() if not isinstance(end, HanaxError)], failures


def _points_of(
    failures: Mapping[int, HanaxError], rows: Mapping[int, list[int]], ids: list[PointId]
) -> list[dict[str, Any]]:
    return [
        {"id": ids[row], "shard": shard, "code": error.code}
        for shard, error in failures.items()
        for row in rows[shard]
    ]
