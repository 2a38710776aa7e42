"""/api/v1/operations: what was asked of vectors, newest first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from hanax.gateway.history import History
from hanax.gateway.renderings.operations import render_history
from hanax.gateway.rest.answers import answer, call_of
from hanax.gateway.rest.openapi import ERRORS
from hanax.gateway.rest.pages import Cursor, Limit, page_to
from hanax.gateway.schemas.envelopes import Envelope
from hanax.gateway.schemas.operations import Operations
from hanax.metadata.operations.operation import Wanted


def operation_routes(history: History) -> APIRouter:
    router = APIRouter(prefix="/api/v1/operations", tags=["operations"], responses=ERRORS)

    @router.get("", response_model=Envelope[Operations])
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
        wanted = Wanted(collection, operation, outcome)
        page = await history.page(call_of(request), wanted, limit, cursor)
        return answer(request, render_history(page), headers=page_to(request, page.next_cursor).headers)

    return router
