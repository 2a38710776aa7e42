"""/api/v1/vectors: points.

An id in a path is text, where a point's id may be a number. All digits, written as JSON would
(no leading zero, below 2^64), mean the integer; `?id_type=string` and `?id_type=integer` say it
outright. The same holds for reading, updating and deleting one point. Ids in bodies need no rule.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from hanax.core.errors import InvalidId
from hanax.core.ids import PointId, decode_id, encode_id
from hanax.core.versions import MAX_VERSION
from hanax.gateway.bodies import read_json, read_request
from hanax.gateway.change_requests import MetadataRequest
from hanax.gateway.insert_streams import InsertStreams
from hanax.gateway.jobs.queueing import Queued
from hanax.gateway.metadata_changes import MetadataChanges, OnePoint
from hanax.gateway.points import Points
from hanax.gateway.queries import Queries
from hanax.gateway.renderings.points import render_inserted, render_record
from hanax.gateway.requests import (
    CountRequest,
    DeleteRequest,
    GetRequest,
    InsertRequest,
    MetadataMode,
    ScrollRequest,
)
from hanax.gateway.rest.accepted import LATER, accepted
from hanax.gateway.rest.answers import answer, call_of
from hanax.gateway.rest.lines import sends_lines, wants_lines
from hanax.gateway.rest.openapi import ERRORS, json_body
from hanax.gateway.rest.streams import insert_lines, scroll_lines
from hanax.gateway.schemas import points as point_schemas
from hanax.gateway.schemas.envelopes import Envelope
from hanax.gateway.scroll_streams import ScrollStreams

_FILTER: Final = {"field": "year", "operator": "gte", "value": 2020}
_METADATA_SCHEMA: Final = {"type": "object", "additionalProperties": True}

_INTEGER_FORM: Final = re.compile(r"0|[1-9][0-9]{0,19}")

PathId = Annotated[
    str, Path(description="a point's id; all digits mean an integer unless id_type says string")
]
IdType = Annotated[
    Literal["integer", "string"] | None,
    Query(description="how to read an id of digits; when missing, as an integer"),
]
IfVersion = Annotated[
    int | None,
    Query(
        ge=0, le=MAX_VERSION, description="the version that the point must have; else 409 version_conflict"
    ),
]


def read_path_id(segment: str, id_type: str | None) -> PointId:
    """The id that a path names, in the form in which it is answered. Raises InvalidId."""
    looks_integer = _INTEGER_FORM.fullmatch(segment) is not None and int(segment) < 2**64
    if id_type == "integer" and not looks_integer:
        raise InvalidId(f"an integer id is between 0 and 2^64 - 1 in digits, got {segment[:40]!r}")
    value: PointId = int(segment) if looks_integer and id_type != "string" else segment
    return decode_id(encode_id(value))


def read_routes(queries: Queries, scrolls: ScrollStreams) -> APIRouter:
    router = APIRouter(prefix="/api/v1/vectors", tags=["vectors"], responses=ERRORS)

    @router.post(
        "/get",
        response_model=Envelope[point_schemas.Vectors],
        openapi_extra=json_body(GetRequest, two={"collection": "docs", "ids": [7, "chapter-1"]}),
    )
    async def get_many(request: Request) -> Response:
        """Points by their ids, in the order asked; those that are missing are named."""
        asked = await read_request(request, GetRequest)
        found = await queries.get(call_of(request), asked)
        records = [render_record(one, asked.collection, found.model) for one in found.records]
        return answer(request, {"vectors": records, "missing": found.missing})

    @router.post(
        "/scroll",
        response_model=Envelope[point_schemas.Page],
        openapi_extra=json_body(
            ScrollRequest,
            first_page={"collection": "docs", "limit": 100},
            filtered={"collection": "docs", "filter": [_FILTER], "include_vectors": True},
            newest_first={"collection": "docs", "order_by": {"field": "year", "direction": "desc"}},
        ),
    )
    async def scroll(request: Request) -> Response:
        """A page of all points, in an order that writes do not disturb, or by a metadata field.

        Go on with next_cursor. With `Accept: application/x-ndjson` all points are answered, a line each, or
        as many as limit says; the last line is `{"done": ...}` or `{"error": ..., "next_cursor": ...}`.
        """
        if wants_lines(request.headers):
            return await scroll_lines(request, scrolls)
        asked = await read_request(request, ScrollRequest)
        page = await queries.scroll(call_of(request), asked)
        records = [render_record(one, asked.collection, page.model) for one in page.records]
        return answer(request, {"vectors": records, "next_cursor": page.next_cursor})

    @router.post(
        "/count",
        response_model=Envelope[point_schemas.Counted],
        openapi_extra=json_body(
            CountRequest,
            all_points={"collection": "docs"},
            filtered={"collection": "docs", "filter": _FILTER},
        ),
    )
    async def count(request: Request) -> Response:
        """How many points there are, or how many match."""
        asked = await read_request(request, CountRequest)
        return answer(request, {"count": await queries.count(call_of(request), asked)})

    @router.get("/{collection}/{id:path}", response_model=Envelope[point_schemas.Vector])
    async def get_one(request: Request, collection: str, id: PathId, id_type: IdType = None) -> Response:
        """One point, with metadata and vector. 404 point_not_found."""
        point_id = read_path_id(id, id_type)
        found = await queries.get_one(call_of(request), collection, point_id)
        return answer(request, render_record(found.records[0], collection, found.model))

    return router


def write_routes(points: Points, changes: MetadataChanges, streams: InsertStreams) -> APIRouter:
    router = APIRouter(prefix="/api/v1/vectors", tags=["vectors"], responses=ERRORS)

    @router.post(
        "/insert",
        response_model=Envelope[point_schemas.Inserted],
        responses=LATER,
        openapi_extra=json_body(
            InsertRequest,
            texts={
                "collection": "docs",
                "vectors": [
                    {"id": "hashlib.md5", "text": "Returns a md5 hash object", "metadata": {"year": 2024}}
                ],
            },
            vectors={"collection": "docs", "vectors": [{"id": 7, "vector": [0.1, 0.2, 0.3]}]},
            new_ones_only={
                "collection": "docs",
                "mode": "insert",
                "vectors": [{"id": 7, "vector": [0.1, 0.2, 0.3]}],
            },
            if_unchanged={
                "collection": "docs",
                "vectors": [{"id": 7, "vector": [0.1, 0.2, 0.3], "if_version": 42}],
            },
        ),
    )
    async def insert(request: Request) -> Response:
        """Store points, durable on return; one whose id is there already is replaced, or see mode.

        Nothing is stored when any point is wrong. What goes to one shard is stored whole or not at
        all: 503 partial_write names the points of shards that failed, 409 version_conflict those of shards
        where a point has another version than its if_version. 202 where the collection's model queues their
        texts: the job then stores all points.

        With `Content-Type: application/x-ndjson` the body is a line for each point, of any length; collection
        and the fields of StreamRequest are in its first line, or in the query. Points are stored batch by
        batch; a line says what is durable, `{"lines": [1, 500], "inserted": 500, ...}`, with the errors of
        lines that are wrong; the last one is `{"done": ...}` or `{"error": ...}`.
        """
        if sends_lines(request.headers):
            return await insert_lines(request, streams)
        asked = await read_request(request, InsertRequest)
        done = await points.insert(call_of(request), asked)
        if isinstance(done, Queued):
            return accepted(request, done)
        return answer(request, render_inserted(done))

    @router.post(
        "/delete",
        response_model=Envelope[point_schemas.Deleted],
        openapi_extra=json_body(
            DeleteRequest,
            by_id={"collection": "docs", "ids": [7, "chapter-1"]},
            by_filter={"collection": "docs", "filter": _FILTER},
        ),
    )
    async def delete_many(request: Request) -> Response:
        """Delete points by id, or all that match a filter."""
        asked = await read_request(request, DeleteRequest)
        return answer(request, {"deleted": await points.delete(call_of(request), asked)})

    @router.delete("/{collection}/{id:path}", response_model=Envelope[point_schemas.Deleted])
    async def delete_one(
        request: Request, collection: str, id: PathId, id_type: IdType = None, if_version: IfVersion = None
    ) -> Response:
        """Delete one point. 404 point_not_found."""
        point = OnePoint(collection, read_path_id(id, id_type), if_version)
        await points.delete_one(call_of(request), point)
        return answer(request, {"deleted": 1})

    @router.post(
        "/metadata",
        response_model=Envelope[point_schemas.MetadataChanged],
        openapi_extra=json_body(
            MetadataRequest,
            by_id={"collection": "docs", "ids": [7, "chapter-1"], "merge": {"reviewed": True}},
            by_filter={"collection": "docs", "filter": _FILTER, "delete": ["draft", "author.mail"]},
            whole={"collection": "docs", "ids": [7], "replace": {"year": 2025}},
        ),
    )
    async def change_metadata(request: Request) -> Response:
        """Set, replace or delete metadata of points, by id or of all that match a filter.

        By filter, points are changed part after part; what was changed before a failure stays, and the
        same request goes on from there. Points whose metadata stay the same keep their version.
        """
        asked = await read_request(request, MetadataRequest)
        done = await changes.change(call_of(request), asked)
        data: dict[str, Any] = {"matched": done.matched, "updated": done.updated}
        if done.versions is not None:
            data |= {
                "ids": list(done.versions),
                "versions": list(done.versions.values()),
                "missing": done.missing,
            }
        return answer(request, data)

    async def update(request: Request, point: OnePoint, mode: MetadataMode) -> Response:
        metadata = await read_json(request)
        version = await changes.update_one(call_of(request), point, metadata, mode)
        return answer(request, {"id": point.id, "updated": 1, "version": version})

    body: dict[str, Any] = json_body(_METADATA_SCHEMA, two_keys={"year": 2025, "tags": ["new"]})

    @router.patch(
        "/{collection}/{id:path}/metadata",
        response_model=Envelope[point_schemas.Updated],
        openapi_extra=body,
    )
    async def merge_metadata(
        request: Request, collection: str, id: PathId, id_type: IdType = None, if_version: IfVersion = None
    ) -> Response:
        """Set the keys given; others stay. 404 point_not_found."""
        return await update(request, OnePoint(collection, read_path_id(id, id_type), if_version), "merge")

    @router.put(
        "/{collection}/{id:path}/metadata",
        response_model=Envelope[point_schemas.Updated],
        openapi_extra=body,
    )
    async def replace_metadata(
        request: Request, collection: str, id: PathId, id_type: IdType = None, if_version: IfVersion = None
    ) -> Response:
        """Replace the metadata object. 404 point_not_found."""
        return await update(request, OnePoint(collection, read_path_id(id, id_type), if_version), "replace")

    return router
