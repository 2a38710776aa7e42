"""/api/v1/operations: what was asked of vectors, newest first."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from hanax.core.errors import InvalidCursor
from hanax.gateway.history import History
from hanax.gateway.rest import schemas
from hanax.gateway.rest.answers import answer, call_of, render_instant
from hanax.gateway.rest.openapi import ERRORS
from hanax.gateway.rest.pages import Cursor, Limit, page_to
from hanax.metadata.operations.operation import Noted, Place, Wanted


class Operation(BaseModel):
    """`at`: when it ended."""

    id: int
    at: datetime
    duration_ms: float
    operation: Annotated[
        str,
        Field(
            examples=["insert", "search"],
            description="log_dropped: `items` operations before this one were not noted, as too many waited",
        ),
    ]
    collection: Annotated[str | None, Field(description="its name, no alias; null: of none")]
    actor: Annotated[str, Field(examples=["address 10.1.2.3", "job 2f0c9d", "anonymous"])]
    outcome: Annotated[str, Field(examples=["ok", "collection_not_found"])]
    items: Annotated[int, Field(description="points that were written, removed or answered")]
    request_id: str
    instance: Annotated[str, Field(description="the gateway that noted it")]


class Operations(BaseModel):
    """dropped, waiting: of the gateway that answers, since its start, and now."""

    operations: list[Operation]
    next_cursor: str | None
    dropped: int
    waiting: int


def operation_routes(history: History) -> APIRouter:
    router = APIRouter(prefix="/api/v1/operations", tags=["operations"], responses=ERRORS)

    @router.get("", response_model=schemas.Envelope[Operations])
    async def list_operations(
        request: Request,
        collection: Annotated[str | None, Query(max_length=255, description="on this one alone")] = None,
        operation: Annotated[str | None, Query(max_length=64, examples=["insert"])] = None,
        outcome: Annotated[str | None, Query(max_length=64, examples=["ok"])] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Operations on vectors and collections, newest first; noted about a second after they end.

        409 database_not_configured without a metadata database, 503 while it is away.
        """
        after = None if cursor is None else _decode(cursor)
        wanted = Wanted(collection, operation, outcome)
        # One more tells whether there is a next page.
        found, log = await history.page(call_of(request), wanted, limit + 1, after)
        page = found[:limit]
        after_it = page_to(request, _encode(page[-1]) if len(found) > limit else None)
        shown = {
            "operations": [_render(noted) for noted in page],
            "next_cursor": after_it.cursor,
            "dropped": log.dropped,
            "waiting": log.waiting,
        }
        return answer(request, shown, headers=after_it.headers)

    return router


def _render(noted: Noted) -> dict[str, Any]:
    operation = noted.operation
    return {
        "id": noted.id,
        "at": render_instant(operation.at_us),
        "duration_ms": operation.duration_us / 1e3,
        "operation": operation.operation,
        "collection": operation.collection or None,
        "actor": operation.actor,
        "outcome": operation.outcome,
        "items": operation.items,
        "request_id": operation.request_id,
        "instance": noted.instance,
    }


def _encode(last: Noted) -> str:
    place = last.operation.at_us.to_bytes(8, "big") + last.id.to_bytes(8, "big")
    return urlsafe_b64encode(place).decode().rstrip("=")


def _decode(cursor: str) -> Place:
    try:
        place = urlsafe_b64decode(cursor + "==")
    except ValueError:
        place = b""
    if len(place) != 16 or place[0] & 0x80 or place[8] & 0x80:
        raise InvalidCursor("cursor: expected `next_cursor` of a page of operations")
    return Place(int.from_bytes(place[:8], "big"), int.from_bytes(place[8:], "big"))
