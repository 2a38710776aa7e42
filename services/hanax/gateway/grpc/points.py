"""InsertVectors and ScrollVectors: batches of points as columns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, cast

import orjson

from citadel.vector.v1 import vector_pb2 as pb
from hanax.core.errors import InvalidFilter
from hanax.core.limits import MAX_FILTER_BYTES
from hanax.gateway.calls import Call
from hanax.gateway.columns import Columns, ColumnsRequest
from hanax.gateway.grpc.edge import Streamed, Unary
from hanax.gateway.grpc.records import page_columns
from hanax.gateway.grpc.words import INSERT_MODE, LONG_TEXTS
from hanax.gateway.inserted import Inserted
from hanax.gateway.points import Points
from hanax.gateway.queries import Queries
from hanax.gateway.requests import ScrollRequest, WriteMode, parse_request

# Points of a page, where the client does not say.
_PAGE_SIZE: Final = 100


def insert_vectors(points: Points) -> Unary[Any, Any]:
    async def answer(call: Call, question: pb.InsertVectorsRequest) -> pb.InsertVectorsResponse:
        were_given = len(question.ids) > 0 and all(question.ids)
        return _told(await points.insert_columns(call, _insertion(question)), were_given)

    return Unary(pb.InsertVectorsRequest, answer)


def scroll_vectors(queries: Queries) -> Streamed[Any, Any]:
    async def answers(
        call: Call, question: pb.ScrollVectorsRequest
    ) -> AsyncIterator[pb.ScrollVectorsResponse]:
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

    return Streamed(pb.ScrollVectorsRequest, answers)


def _insertion(question: pb.InsertVectorsRequest) -> ColumnsRequest:
    return ColumnsRequest(
        collection=question.collection,
        columns=Columns(
            ids=list(question.ids),
            dimension=question.vectors.dimension,
            float32_le=question.vectors.float32_le,
            texts=question.texts,
            metadata=question.metadata,
            if_versions=question.if_versions,
            expires_at_us=question.expires_at_us,
        ),
        uid=question.collection_uid,
        mode=cast("WriteMode", INSERT_MODE.read(question.mode, "mode")),
        long_texts=cast("str", LONG_TEXTS.read(question.long_texts, "long_texts")),
        urgent=question.urgent,
    )


def _told(done: Inserted, were_given: bool) -> pb.InsertVectorsResponse:
    return pb.InsertVectorsResponse(
        inserted=done.inserted,
        updated=done.updated,
        ids=() if were_given else done.encoded_ids,
        versions=[version or 0 for version in done.versions],
        skipped=done.skipped_rows,
        truncated=done.texts.truncated,
        split=done.texts.split,
    )


def _scroll(question: pb.ScrollVectorsRequest) -> ScrollRequest:
    fields = question.fields
    return parse_request(
        ScrollRequest,
        {
            "collection": question.collection,
            "filter": read_filter(question.filter_json),
            "limit": question.page_size or _PAGE_SIZE,
            "cursor": question.cursor or None,
            "include_metadata": fields.metadata,
            "include_vectors": fields.vectors,
            "include_version": fields.versions,
        },
    )


def read_filter(raw: bytes) -> object:
    """A filter as decoded JSON; None for none. Raises InvalidFilter."""
    if not raw:
        return None
    if len(raw) > MAX_FILTER_BYTES:
        raise InvalidFilter(f"a filter has at most {MAX_FILTER_BYTES} bytes, got {len(raw)}")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidFilter(f"filter_json: expected JSON: {error}") from None
