"""GetVector, GetVectors, CountVectors and ScrollVectors."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from citadel.vector.v1 import vector_pb2 as pb
from hanax.core.ids import encode_id
from hanax.gateway.calls import Call
from hanax.gateway.grpc.methods import Methods, Streamed, Unary
from hanax.gateway.grpc.readings import read_fields, read_filter, read_id, read_ids
from hanax.gateway.grpc.records import page_columns, record_columns
from hanax.gateway.queries import Queries
from hanax.gateway.requests import CountRequest, GetRequest, ScrollRequest, parse_request

# Points of a page, where the client does not say.
_PAGE_SIZE: Final = 100


def read_methods(queries: Queries) -> Methods:
    async def get_one(call: Call, question: pb.GetVectorRequest) -> pb.GetVectorResponse:
        found = await queries.get_one(call, question.collection, read_id(question.id, "id"))
        return pb.GetVectorResponse(points=record_columns(found.records), model=found.model or "")

    async def get(call: Call, question: pb.GetVectorsRequest) -> pb.GetVectorsResponse:
        asked = {
            "collection": question.collection,
            "ids": read_ids(question.ids),
            **read_fields(question.fields),
        }
        found = await queries.get(call, parse_request(GetRequest, asked))
        return pb.GetVectorsResponse(
            points=record_columns(found.records),
            missing=map(encode_id, found.missing),
            model=found.model or "",
        )

    async def count(call: Call, question: pb.CountVectorsRequest) -> pb.CountVectorsResponse:
        asked = {"collection": question.collection, "filter": read_filter(question.filter_json)}
        return pb.CountVectorsResponse(count=await queries.count(call, parse_request(CountRequest, asked)))

    async def scroll(
        call: Call, question: pb.ScrollVectorsRequest
    ) -> AsyncGenerator[pb.ScrollVectorsResponse]:
        request, uid = _scroll(question), question.collection_uid
        left = question.limit or None
        while True:
            if left is not None and left < request.limit:
                request = request.model_copy(update={"limit": left})
            page = await queries.scrolled(call, request, uid)
            yield pb.ScrollVectorsResponse(points=page_columns(page), next_cursor=page.next_cursor or "")
            if left is not None:
                left -= len(page.places)
            if page.next_cursor is None or left == 0:
                return
            # By its own name: an alias may have gone to another by now.
            uid, name = page.route.uid, page.route.spec.name
            request = request.model_copy(update={"cursor": page.next_cursor, "collection": name})

    return {
        "GetVector": Unary(pb.GetVectorRequest, get_one),
        "GetVectors": Unary(pb.GetVectorsRequest, get),
        "CountVectors": Unary(pb.CountVectorsRequest, count),
        "ScrollVectors": Streamed(pb.ScrollVectorsRequest, scroll),
    }


def _scroll(question: pb.ScrollVectorsRequest) -> ScrollRequest:
    order = None
    if question.HasField("order_by"):
        direction = "desc" if question.order_by.descending else "asc"
        order = {"field": question.order_by.field, "direction": direction}
    return parse_request(
        ScrollRequest,
        {
            "collection": question.collection,
            "filter": read_filter(question.filter_json),
            "limit": question.page_size or _PAGE_SIZE,
            "cursor": question.cursor or None,
            "order_by": order,
            **read_fields(question.fields),
        },
    )
