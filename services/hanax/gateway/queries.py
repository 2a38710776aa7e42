"""Reading points: get, scroll, count. Every answer is whole, or an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import CollectionNotFound, PointNotFound
from hanax.core.ids import PointId, decode_id, encode_id
from hanax.core.routing import CollectionRoute
from hanax.gateway.cache.answers import Asked, Keeping
from hanax.gateway.cache.codecs import Codec
from hanax.gateway.calls import Call
from hanax.gateway.cursors import OrderedStart, decode_cursor, decode_ordered, encode_cursor, encode_ordered
from hanax.gateway.merge import Place, merge_by_key, merge_in_scroll_order
from hanax.gateway.query_fields import OrderBy
from hanax.gateway.records import Record, RecordColumns
from hanax.gateway.requests import (
    CountRequest,
    GetRequest,
    ScrollRequest,
    encode_filter,
    parse_ids,
)
from hanax.gateway.shards import for_each_shard, refer, rows_by_shard
from hanax.gateway.upstreams import Upstreams
from hanax.gateway.wishes import encode_projection

_COUNT: Final[Codec[int]] = Codec(lambda count, blobs: count, lambda data, blobs: int(data))


@dataclass(frozen=True, slots=True)
class Found:
    """Records in the order asked, and the ids of those that do not exist."""

    model: str | None
    records: list[Record]
    missing: list[PointId]


@dataclass(frozen=True, slots=True)
class Page:
    """`next_cursor` is None on the last page."""

    model: str | None
    records: list[Record]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ScrolledPage:
    """What the shards told, and which of it is on the page, in order. next_cursor: None on the last page."""

    route: CollectionRoute
    answers: list[pb.ScrollResponse]
    places: list[Place]
    next_cursor: str | None


class Queries:
    """Each method raises CollectionNotFound, an InvalidArgument, Unavailable or DeadlineExceeded."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._via = upstreams

    async def get(self, call: Call, request: GetRequest) -> Found:
        """Points by id. Those that do not exist are named, not an error."""
        with self._via.metrics.reading("get", request.collection, call):
            route = self._via.routing.readable(call.caller, request.collection)
            ids = parse_ids(request.ids)
            projection = encode_projection(
                request.include_metadata, request.include_vectors, request.include_version
            )
            return await self._read(call, route, ids, projection)

    async def get_one(self, call: Call, collection: str, point_id: PointId) -> Found:
        """One point with metadata, vector and version. Raises PointNotFound."""
        with self._via.metrics.reading("get", collection, call):
            route = self._via.routing.readable(call.caller, collection)
            projection = pb.Projection(metadata=True, vectors=True, versions=True)
            found = await self._read(call, route, [encode_id(point_id)], projection)
            if not found.records:
                raise point_not_found(collection, point_id)
            return found

    async def _read(
        self, call: Call, route: CollectionRoute, ids: list[bytes], projection: pb.Projection
    ) -> Found:
        call.grant(self._via.timeouts.request_s)
        questions = {
            shard: pb.GetRequest(
                ref=refer(route, shard), ids=[ids[row] for row in rows], projection=projection
            )
            for shard, rows in rows_by_shard(route, ids).items()
        }
        answers = await self._via.shards.ask(call, route, lambda stub: stub.Get, questions)
        record_by_id: dict[bytes, Record] = {}
        for answer in answers:
            columns = RecordColumns(answer.points)
            for row, encoded in enumerate(answer.points.ids):
                record_by_id[encoded] = columns.record(row)
        call.items += len(record_by_id)
        return Found(
            model=route.spec.embedding_model,
            records=[record_by_id[encoded] for encoded in ids if encoded in record_by_id],
            missing=[decode_id(encoded) for encoded in ids if encoded not in record_by_id],
        )

    async def scroll(self, call: Call, request: ScrollRequest) -> Page:
        """One page, ascending by (xxh3_64(id), id), or by a field. Raises InvalidCursor."""
        page = await self.scrolled(call, request)
        columns = [RecordColumns(answer.points) for answer in page.answers]
        records = [columns[place.part].record(place.row) for place in page.places]
        return Page(page.route.spec.embedding_model, records, page.next_cursor)

    async def scrolled(self, call: Call, request: ScrollRequest, uid: str = "") -> ScrolledPage:
        """As `scroll`, in the form in which shards answer. uid: of the collection that is meant; empty:
        whoever has the name. Raises CollectionNotFound where another has it.
        """
        with self._via.metrics.reading("scroll", request.collection, call):
            route = self._via.routing.readable(call.caller, request.collection)
            if uid and uid != route.uid:
                raise another_is_there(request.collection)
            filter_json = encode_filter(request.filter)
            start = _start(request, route.uid)
            projection = encode_projection(
                request.include_metadata, request.include_vectors, request.include_version
            )
            call.grant(self._via.timeouts.request_s)
            questions = for_each_shard(
                route,
                lambda ref: pb.ScrollRequest(
                    ref=ref,
                    after_id=start.id,
                    limit=request.limit,
                    filter_json=filter_json,
                    projection=projection,
                    order_by=_encode_order(request.order_by, start),
                ),
            )
            answers = await self._via.shards.ask(call, route, lambda stub: stub.Scroll, questions)
            places = _merge(answers, request)
            held = sum(len(answer.points.ids) for answer in answers)
            more = held > len(places) or any(answer.has_more for answer in answers)
            cursor = None
            if more and places:
                cursor = _cursor_behind(answers[places[-1].part], places[-1].row, request, route.uid)
            call.items += len(places)
            return ScrolledPage(route, answers, places, cursor)

    async def count(self, call: Call, request: CountRequest) -> int:
        with self._via.metrics.reading("count", request.collection, call):
            route = self._via.routing.readable(call.caller, request.collection)
            filter_json = encode_filter(request.filter)

            async def ask() -> int:
                call.grant(self._via.timeouts.request_s)
                questions = for_each_shard(
                    route, lambda ref: pb.CountRequest(ref=ref, filter_json=filter_json)
                )
                answers = await self._via.shards.ask(call, route, lambda stub: stub.Count, questions)
                for answer in answers:
                    call.ends_at(answer.next_expiry_us)
                return sum(answer.count for answer in answers)

            keeping = Keeping(_COUNT, "metadata", self._via.timeouts.request_s)
            asked = Asked("count", route, request, filter_json, keeping)
            found = await self._via.answers.answer(call, asked, ask)
            call.items += found
            return found


def another_is_there(collection: str) -> CollectionNotFound:
    """The name of the collection that was meant has gone to another."""
    return CollectionNotFound(
        f"the collection {collection!r} that was meant is gone; another has its name", collection=collection
    )


def point_not_found(collection: str, point_id: PointId) -> PointNotFound:
    kind = "integer" if isinstance(point_id, int) else "string"
    return PointNotFound(
        f"collection {collection!r} has no point with the {kind} id {point_id!r}",
        collection=collection,
        id=point_id,
    )


def _start(request: ScrollRequest, uid: str) -> OrderedStart:
    """Behind which point the page begins. Raises InvalidCursor."""
    if request.cursor is None:
        return OrderedStart(b"", b"")
    if request.order_by is None:
        return OrderedStart(b"", decode_cursor(request.cursor, uid))
    return decode_ordered(request.cursor, uid, _name(request.order_by))


def _encode_order(order: OrderBy | None, start: OrderedStart) -> pb.OrderBy | None:
    if order is None:
        return None
    return pb.OrderBy(field=order.field, descending=order.direction == "desc", after_key_json=start.key)


def _merge(answers: list[pb.ScrollResponse], request: ScrollRequest) -> list[Place]:
    if request.order_by is None:
        return merge_in_scroll_order([answer.points.ids for answer in answers], request.limit)
    parts = [(answer.keys_json, answer.points.ids) for answer in answers]
    return merge_by_key(parts, request.order_by.direction == "desc", request.limit)


def _cursor_behind(answer: pb.ScrollResponse, row: int, request: ScrollRequest, uid: str) -> str:
    last = answer.points.ids[row]
    if request.order_by is None:
        return encode_cursor(uid, last)
    return encode_ordered(uid, _name(request.order_by), OrderedStart(answer.keys_json[row], last))


def _name(order: OrderBy) -> str:
    """Tells one order from another."""
    return f"{order.direction} {order.field}"
