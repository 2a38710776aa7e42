"""Writing points: insert and delete. Checked whole before anything is sent.

What goes to one shard is stored as a whole or not at all. When one shard fails after its retries
and others have stored their part, the answer is PartialWrite, which names the points that failed;
every write names its ids, so the same request may be sent again. When a shard refuses its part because
points have other versions than the request says, the answer is VersionConflict, with the same details.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import HanaxError, InvalidArgument, PartialWrite
from hanax.core.ids import PointId, decode_id, encode_id
from hanax.core.routing import CollectionRoute
from hanax.core.specs import DEFAULT_VECTOR
from hanax.core.versions import version_conflict
from hanax.gateway.batches import Batch, parse_batch
from hanax.gateway.calls import Call
from hanax.gateway.metadata_changes import OnePoint, check_conflict
from hanax.gateway.outcomes import all_conflicts, failed_shards, points_of, refused, split
from hanax.gateway.queries import point_not_found
from hanax.gateway.requests import (
    DeleteRequest,
    InsertRequest,
    WriteMode,
    encode_filter,
    parse_ids,
)
from hanax.gateway.shards import for_each_shard, refer, rows_by_shard
from hanax.gateway.upstreams import Upstreams
from hanax.gateway.vectors import Matrix, float32_le

# Numbers of a batch past which it is parsed in a thread: some 2 ms of the event loop.
_PARSE_HERE_UP_TO: Final = 65_536

_MODES: Final[dict[WriteMode, pb.WriteMode.ValueType]] = {
    "upsert": pb.WRITE_MODE_UPSERT,
    "insert": pb.WRITE_MODE_INSERT,
    "update": pb.WRITE_MODE_UPDATE,
}


@dataclass(frozen=True, slots=True)
class Inserted:
    """`ids` in the order of the batch; `truncated`: those whose text the model did not read whole.

    skipped: those that the mode left alone. versions: of each of `ids`, None where nothing was written.
    """

    inserted: int
    updated: int
    ids: list[PointId]
    truncated: list[PointId]
    skipped: list[PointId]
    versions: list[int | None]


class Points:
    """Each method raises CollectionNotFound, an InvalidArgument, PartialWrite, StorageFull,
    Overloaded, Unavailable or DeadlineExceeded.
    """

    def __init__(self, upstreams: Upstreams, now_us: Callable[[], int]) -> None:
        """now_us: microseconds since 1970 UTC."""
        self._via = upstreams
        self._now_us = now_us

    async def insert(self, call: Call, request: InsertRequest) -> Inserted:
        """Store points, durable on return. Raises VersionConflict."""
        with self._via.metrics.operation("insert", request.collection):
            route = self._via.routing.collection(request.collection)
            batch = await self._parse(request.vectors, route)
            if batch.if_versions and request.mode == "insert":
                raise InvalidArgument(
                    "if_version: goes with the modes upsert and update; insert writes none that are there"
                )
            call.grant(self._via.timeouts.embed_s if batch.texts else self._via.timeouts.request_s)
            vectors, truncated = batch.given, list[PointId]()
            if batch.texts:
                embedded = await self._via.embedding.embed_for(call, route.spec, batch.texts)
                vectors = batch.with_embeddings(embedded.vectors)
                truncated = [decode_id(batch.ids[batch.text_rows[row]]) for row in embedded.truncated]
            rows = rows_by_shard(route, batch.ids)
            orders = {
                shard: _upsert(route, shard, batch, vectors, shard_rows) for shard, shard_rows in rows.items()
            }
            for order in orders.values():
                order.mode = _MODES[request.mode]
            ended = await self._via.shards.tell(call, route, lambda stub: stub.Upsert, orders)
            return _inserted(refused(ended), rows, batch.ids, truncated)

    async def _parse(self, points: object, route: CollectionRoute) -> Batch:
        count = len(points) if isinstance(points, list) else 0
        if count * route.spec.dimension <= _PARSE_HERE_UP_TO:
            return parse_batch(points, route.spec, self._now_us())
        return await asyncio.to_thread(parse_batch, points, route.spec, self._now_us())

    async def delete_one(self, call: Call, point: OnePoint) -> None:
        """Remove one point. Raises VersionConflict, or PointNotFound; also when a first attempt had
        removed it unheard.
        """
        with self._via.metrics.operation("delete", point.collection):
            route = self._via.routing.collection(point.collection)
            encoded = encode_id(point.id)
            (shard,) = rows_by_shard(route, [encoded])
            order = pb.DeleteRequest(ref=refer(route, shard), ids=[encoded], if_versions=point.if_versions)
            call.grant(self._via.timeouts.request_s)
            (answer,) = await self._via.shards.ask(call, route, lambda stub: stub.Delete, {shard: order})
            check_conflict(answer, point)
            if answer.deleted == 0:
                raise point_not_found(point.collection, point.id)

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
        answers, failures = split(ended)
        deleted = sum(answer.deleted for answer in answers.values())
        if failures:
            failed = points_of(failures, rows, [decode_id(encoded) for encoded in ids])
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
        answers, failures = split(ended)
        deleted = sum(answer.deleted for answer in answers.values())
        if failures:
            raise PartialWrite(
                f"{deleted} points are deleted, {len(failures)} of {len(ended)} shards could not "
                "be reached; send the request again",
                deleted=deleted,
                failed_shards=failed_shards(failures),
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
                float32_le=float32_le(part),
            )
        ],
        metadata=[batch.metadata[row] for row in rows],
        if_versions=[batch.if_versions[row] for row in rows] if batch.if_versions else (),
        expires_at_us=[batch.expires_at_us[row] for row in rows] if batch.expires_at_us else (),
    )


def _inserted(
    ended: Mapping[int, pb.UpsertResponse | HanaxError],
    rows: Mapping[int, list[int]],
    encoded_ids: list[bytes],
    truncated: list[PointId],
) -> Inserted:
    """What a batch came to. Raises VersionConflict, PartialWrite, or why nothing was stored."""
    failures = {shard: end for shard, end in ended.items() if isinstance(end, HanaxError)}
    conflicts = all_conflicts(failures)
    answers = {shard: end for shard, end in ended.items() if not isinstance(end, HanaxError)}
    if not answers and not conflicts:
        raise next(iter(failures.values()))
    ids = [decode_id(encoded) for encoded in encoded_ids]
    skipped = {encoded for answer in answers.values() for encoded in answer.skipped}
    versions: list[int | None] = [None] * len(ids)
    for shard, answer in answers.items():
        for row in rows[shard]:
            if encoded_ids[row] not in skipped:
                versions[row] = answer.sequence
    done = Inserted(
        inserted=sum(answer.inserted for answer in answers.values()),
        updated=sum(answer.updated for answer in answers.values()),
        ids=ids,
        truncated=truncated,
        skipped=[id_ for id_, encoded in zip(ids, encoded_ids, strict=True) if encoded in skipped],
        versions=versions,
    )
    if not failures:
        return done
    failed = points_of(failures, rows, ids)
    stored = done.inserted + done.updated
    told: dict[str, Any] = {
        "stored": stored,
        "inserted": done.inserted,
        "updated": done.updated,
        "failed": failed,
        "ids": ids,
        "versions": versions,
    }
    if conflicts:
        raise version_conflict(conflicts, f"{stored} of {len(ids)} points are stored", **told)
    raise PartialWrite(
        f"{stored} of {len(ids)} points are stored; send the failed "
        "ones again, or the whole batch with these ids",
        **told,
    )
