"""Writing points: insert and delete. Checked whole before anything is sent.

What goes to one shard is stored as a whole or not at all. When one shard fails after its retries
and others have stored their part, the answer is PartialWrite, which names the points that failed;
every write names its ids, so the same request may be sent again. When a shard refuses its part because
points have other versions than the request says, the answer is VersionConflict, with the same details.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import CollectionNotFound, InvalidArgument, PartialWrite, TextTooLong
from hanax.core.ids import decode_id, encode_id
from hanax.core.routing import CollectionRoute
from hanax.core.specs import DEFAULT_VECTOR, CollectionSpec
from hanax.gateway.batches import Batch, parse_batch
from hanax.gateway.calls import Call
from hanax.gateway.inserted import Inserted, ToldOfTexts, inserted
from hanax.gateway.jobs.orders import insert_order
from hanax.gateway.jobs.port import Job
from hanax.gateway.metadata_changes import OnePoint, check_conflict
from hanax.gateway.models.embedding import Embedded, listed, more_than_read
from hanax.gateway.models.patterns import is_queued
from hanax.gateway.models.wanted import LongTexts, Purpose, Wanted
from hanax.gateway.outcomes import failed_shards, points_of, refused, split
from hanax.gateway.provenance import add_provenance
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


# Embeds texts by the collection's model, however long that takes.
Embed = Callable[[CollectionSpec, Sequence[str]], Awaitable[Embedded]]


class Patiently(Protocol):
    """Runs `attempt` until it succeeds or waiting won't help, each time with so many seconds."""

    async def __call__(
        self, call: Call, attempt: Callable[[], Awaitable[Inserted]], seconds: float
    ) -> Inserted: ...


class Points:
    """Each method raises CollectionNotFound, an InvalidArgument, PartialWrite, StorageFull,
    Overloaded, Unavailable or DeadlineExceeded.
    """

    def __init__(self, upstreams: Upstreams, now_us: Callable[[], int]) -> None:
        """now_us: microseconds since 1970 UTC."""
        self._via = upstreams
        self._now_us = now_us

    async def insert(self, call: Call, request: InsertRequest) -> Inserted | Job:
        """Store points, durable on return, or queue them where the collection's model queues their texts.

        Raises VersionConflict.
        """
        with self._via.metrics.operation("insert", request.collection):
            route = self._via.routing.collection(request.collection)
            batch = await self._parse(request, route)
            if not batch.texts:
                call.grant(self._via.timeouts.request_s)
                return await self._store(call, request, route, batch)
            model = self._via.embedding.model_of(route.spec)
            if is_queued(model.route, len(batch.texts), request.urgent):
                ids = [decode_id(encoded) for encoded in batch.ids]
                order = insert_order(model.route.name, route, request, ids, len(batch.texts))
                return await self._via.jobs.submit(order)
            call.grant(self._via.timeouts.embed_s)
            try:
                embedded = await self._via.embedding.embed(call, model, batch.texts, wanted_of(request))
            except TextTooLong as error:
                raise _located(error, batch) from None
            return await self._store(call, request, route, self._embedded(batch, embedded), embedded)

    async def insert_later(
        self, call: Call, request: InsertRequest, uid: str, embed: Embed, patiently: Patiently
    ) -> Inserted:
        """What a job does with points that were queued. uid: of the collection that was meant.

        Raises what `insert` raises.
        """
        with self._via.metrics.operation("insert", request.collection):
            route = self._meant(request, uid)
            batch = await self._parse(request, route)
            try:
                embedded = await embed(route.spec, batch.texts)
            except TextTooLong as error:
                raise _located(error, batch) from None
            whole = self._embedded(batch, embedded)

            async def store() -> Inserted:
                # Where its shards are now.
                return await self._store(call, request, self._meant(request, uid), whole, embedded)

            if not batch.if_versions:
                return await patiently(call, store, self._via.timeouts.request_s)
            # What an attempt has stored unheard would be refused the next time.
            call.grant(self._via.timeouts.request_s)
            return await store()

    def _meant(self, request: InsertRequest, uid: str) -> CollectionRoute:
        """The collection as it is reached now. Raises CollectionNotFound, also when another has its name."""
        route = self._via.routing.collection(request.collection)
        if route.uid != uid:
            raise CollectionNotFound(
                f"the collection {request.collection!r} that was meant is gone; another has its name",
                collection=request.collection,
            )
        return route

    def _embedded(self, batch: Batch, embedded: Embedded) -> Batch:
        """The batch with all its vectors, and with the provenance of those that were embedded."""
        metadata = list(batch.metadata)
        own = [metadata[row] for row in batch.text_rows]
        stored = add_provenance(own, batch.texts, embedded.model, self._now_us())
        for row, raw in zip(batch.text_rows, stored, strict=True):
            metadata[row] = raw
        return replace(batch, metadata=metadata, given=batch.with_embeddings(embedded.vectors))

    async def _store(
        self,
        call: Call,
        request: InsertRequest,
        route: CollectionRoute,
        batch: Batch,
        embedded: Embedded | None = None,
    ) -> Inserted:
        """batch: with a vector of each point in `given`."""
        rows = rows_by_shard(route, batch.ids)
        orders = {
            shard: _upsert(route, shard, batch, batch.given, shard_rows) for shard, shard_rows in rows.items()
        }
        for order in orders.values():
            order.mode = _MODES[request.mode]
        ended = await self._via.writes.tell(call, route, lambda stub: stub.Upsert, orders)
        told: ToldOfTexts = {"truncated": [], "split": []}
        if embedded is not None:
            for kind, places in (("truncated", embedded.truncated), ("split", embedded.split)):
                told[kind] = [decode_id(batch.ids[batch.text_rows[place]]) for place in places]
        return inserted(refused(ended), rows, batch.ids, told)

    async def _parse(self, request: InsertRequest, route: CollectionRoute) -> Batch:
        points: object = request.vectors
        count = len(points) if isinstance(points, list) else 0
        if count * route.spec.dimension <= _PARSE_HERE_UP_TO:
            batch = parse_batch(points, route.spec, self._now_us())
        else:
            batch = await asyncio.to_thread(parse_batch, points, route.spec, self._now_us())
        if batch.if_versions and request.mode == "insert":
            raise InvalidArgument(
                "if_version: goes with the modes upsert and update; insert writes none that are there"
            )
        return batch

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
            answer = await self._via.writes.tell_one(call, route, lambda stub: stub.Delete, {shard: order})
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
        ended = await self._via.writes.tell(call, route, lambda stub: stub.Delete, orders)
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
        ended = await self._via.writes.tell(call, route, lambda stub: stub.Delete, orders)
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


def wanted_of(request: InsertRequest) -> Wanted:
    """How the texts of an insert are embedded."""
    return Wanted(Purpose.DOCUMENT, long_texts=LongTexts(request.long_texts), urgent=request.urgent)


def _located(error: TextTooLong, batch: Batch) -> TextTooLong:
    """Of texts by their place among texts: the same by the places of their points."""
    rows = [batch.text_rows[place] for place in error.details.get("indexes", ())]
    if not rows:
        return error
    where = listed([f"vectors[{row}].text" for row in rows])
    return TextTooLong(f"{where}: {more_than_read(error.details)}", **{**error.details, "indexes": rows})


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
