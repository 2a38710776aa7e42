"""Writing points: insert and delete. Checked whole before anything is sent.

What goes to one shard is stored as a whole or not at all. When one shard fails after its retries
and others have stored their part, the answer is PartialWrite, which names the points that failed;
every write names its ids, so the same request may be sent again. When a shard refuses its part because
points have other versions than the request says, the answer is VersionConflict, with the same details.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import HanaxError, InvalidArgument, PartialWrite, TextTooLong
from hanax.core.ids import decode_id, encode_id
from hanax.core.library_names import check_changeable
from hanax.core.routing import CollectionRoute
from hanax.gateway.batches import Batch, parse_batch
from hanax.gateway.calls import Call
from hanax.gateway.columns import ColumnsRequest, check_columns
from hanax.gateway.inserted import Inserted, ToldOfTexts, inserted
from hanax.gateway.jobs.queueing import Queued
from hanax.gateway.metadata_changes import OnePoint, check_conflict
from hanax.gateway.models.embedding import Embedded, listed, more_than_read
from hanax.gateway.models.patterns import is_queued
from hanax.gateway.models.wanted import LongTexts, Purpose, Wanted
from hanax.gateway.outcomes import failed_shards, points_of, refused, split
from hanax.gateway.provenance import add_provenance
from hanax.gateway.queries import another_is_there, point_not_found
from hanax.gateway.requests import (
    DeleteRequest,
    InsertRequest,
    WriteMode,
    encode_filter,
    parse_ids,
)
from hanax.gateway.shards import for_each_shard, refer, rows_by_shard
from hanax.gateway.upsert_orders import encode_upsert
from hanax.gateway.upstreams import Upstreams

# Numbers of a batch past which it is parsed in a thread: some 2 ms of the event loop.
_PARSE_HERE_UP_TO: Final = 65_536


class Points:
    """Each method raises CollectionNotFound, an InvalidArgument, PartialWrite, StorageFull,
    Overloaded, Unavailable or DeadlineExceeded.
    """

    def __init__(self, upstreams: Upstreams, now_us: Callable[[], int]) -> None:
        """now_us: microseconds since 1970 UTC."""
        self._via = upstreams
        self._now_us = now_us

    async def insert(self, call: Call, request: InsertRequest) -> Inserted | Queued:
        """Store points, durable on return, or queue them where the collection's model queues their texts.

        Raises VersionConflict.
        """
        with self._via.metrics.changing("insert", request.collection, call):
            route = self._via.routing.writable(call.caller, request.collection)
            batch = await self._parse(request, route)
            if batch.texts:
                model = self._via.embedding.model_of(route.spec)
                if is_queued(model.route, len(batch.texts), request.urgent):
                    return await self._via.queueing.points(call, route, model, request, batch)
            return await self._embed_and_store(call, request, route, batch)

    async def insert_columns(self, call: Call, request: ColumnsRequest) -> Inserted:
        """Store points that come as columns, durable on return. Their texts are never queued.

        Raises VersionConflict, and CollectionNotFound where another collection than was meant has the name.
        """
        with self._via.metrics.changing("insert", request.collection, call):
            route = self._via.routing.writable(call.caller, request.collection)
            if request.uid and request.uid != route.uid:
                raise another_is_there(request.collection)
            check_changeable(route.spec.name)
            columns, spec = request.columns, route.spec
            if columns.is_small:
                batch = check_columns(columns, spec, self._now_us())
            else:
                batch = await asyncio.to_thread(check_columns, columns, spec, self._now_us())
            _check_mode(batch, request.mode)
            return await self._embed_and_store(call, request, route, batch)

    async def _embed_and_store(
        self, call: Call, request: InsertRequest | ColumnsRequest, route: CollectionRoute, batch: Batch
    ) -> Inserted:
        if not batch.texts:
            call.grant(self._via.timeouts.request_s)
            return await self._store(call, request, route, batch)
        model = self._via.embedding.model_of(route.spec)
        call.grant(self._via.timeouts.embed_s)
        try:
            embedded = await self._via.embedding.embed(call, model, batch.texts, wanted_of(request))
        except TextTooLong as error:
            raise _located(error, batch) from None
        return await self._store(call, request, route, self._embedded(batch, embedded), embedded)

    def _embedded(self, batch: Batch, embedded: Embedded) -> Batch:
        """The batch with all its vectors, and with the provenance of those that were embedded."""
        metadata = list(batch.metadata)
        own = [metadata[row] for row in batch.text_rows]
        stored = add_provenance(own, batch.texts, embedded, self._now_us())
        for row, raw in zip(batch.text_rows, stored, strict=True):
            metadata[row] = raw
        return replace(batch, metadata=metadata, given=batch.with_embeddings(embedded.vectors))

    async def _store(
        self,
        call: Call,
        request: InsertRequest | ColumnsRequest,
        route: CollectionRoute,
        batch: Batch,
        embedded: Embedded | None = None,
    ) -> Inserted:
        """batch: with a vector of each point in `given`."""
        rows = rows_by_shard(route, batch.ids)
        orders = {
            shard: encode_upsert(route, shard, request.mode, batch, shard_rows)
            for shard, shard_rows in rows.items()
        }
        ended = await self._via.writes.tell(call, route, lambda stub: stub.UpsertEncoded, orders)
        told = ToldOfTexts()
        if embedded is not None:
            told.truncated.extend(batch.text_rows[place] for place in embedded.truncated)
            told.split.extend(batch.text_rows[place] for place in embedded.split)
        answered = refused(ended)
        # Also what was stored of a batch that fails.
        call.items += sum(
            end.inserted + end.updated for end in answered.values() if not isinstance(end, HanaxError)
        )
        return inserted(answered, rows, batch.ids, told)

    async def _parse(self, request: InsertRequest, route: CollectionRoute) -> Batch:
        points: object = request.vectors
        count = len(points) if isinstance(points, list) else 0
        if count * route.spec.dimension <= _PARSE_HERE_UP_TO:
            batch = parse_batch(points, route.spec, self._now_us())
        else:
            batch = await asyncio.to_thread(parse_batch, points, route.spec, self._now_us())
        _check_mode(batch, request.mode)
        return batch

    async def delete_one(self, call: Call, point: OnePoint) -> None:
        """Remove one point. Raises VersionConflict, or PointNotFound; also when a first attempt had
        removed it unheard.
        """
        with self._via.metrics.changing("delete", point.collection, call):
            route = self._via.routing.writable(call.caller, point.collection)
            encoded = encode_id(point.id)
            (shard,) = rows_by_shard(route, [encoded])
            order = pb.DeleteRequest(ref=refer(route, shard), ids=[encoded], if_versions=point.if_versions)
            call.grant(self._via.timeouts.request_s)
            answer = await self._via.writes.tell_one(call, route, lambda stub: stub.Delete, {shard: order})
            check_conflict(answer, point)
            call.items += answer.deleted
            if answer.deleted == 0:
                raise point_not_found(point.collection, point.id)

    async def delete(self, call: Call, request: DeleteRequest) -> int:
        """Remove points by id or by filter; how many there were. Unknown ids are no error."""
        with self._via.metrics.changing("delete", request.collection, call):
            route = self._via.routing.writable(call.caller, request.collection)
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
        call.items += deleted
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
        call.items += deleted
        if failures:
            raise PartialWrite(
                f"{deleted} points are deleted, {len(failures)} of {len(ended)} shards could not "
                "be reached; send the request again",
                deleted=deleted,
                failed_shards=failed_shards(failures),
            )
        return deleted


def _check_mode(batch: Batch, mode: WriteMode) -> None:
    if batch.if_versions and mode == "insert":
        raise InvalidArgument(
            "if_version: goes with the modes upsert and update; insert writes none that are there"
        )


def wanted_of(request: InsertRequest | ColumnsRequest) -> Wanted:
    """How the texts of an insert are embedded."""
    return Wanted(Purpose.DOCUMENT, long_texts=LongTexts(request.long_texts), urgent=request.urgent)


def _located(error: TextTooLong, batch: Batch) -> TextTooLong:
    """Of texts by their place among texts: the same by the places of their points."""
    rows = [batch.text_rows[place] for place in error.details.get("indexes", ())]
    if not rows:
        return error
    where = listed([f"vectors[{row}].text" for row in rows])
    return TextTooLong(f"{where}: {more_than_read(error.details)}", **{**error.details, "indexes": rows})
