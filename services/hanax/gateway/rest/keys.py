"""/api/v1/keys: API keys, for administrators."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from hanax.gateway.bodies import read_request
from hanax.gateway.guard.key_desk import KeyDesk
from hanax.gateway.guard.rights import NewKey, RotateKey
from hanax.gateway.renderings.keys import render_key
from hanax.gateway.rest.answers import answer, call_of
from hanax.gateway.rest.openapi import ERRORS, json_body
from hanax.gateway.schemas.envelopes import Envelope
from hanax.gateway.schemas.keys import Key, KeyList, ToldKey

# It holds a secret.
_UNKEPT: Final = {"Cache-Control": "no-store"}


def key_routes(desk: KeyDesk) -> APIRouter:
    router = APIRouter(prefix="/api/v1/keys", tags=["keys"], responses=ERRORS)

    @router.post(
        "",
        status_code=201,
        response_model=Envelope[ToldKey],
        openapi_extra=json_body(
            NewKey,
            reader={"name": "web", "grants": [{"scopes": ["read"], "collections": ["docs", "docs-*"]}]},
            tenant={
                "name": "acme",
                "grants": [{"scopes": ["read", "write"], "collections": ["notes"]}],
                "filter": {"tenant": "acme"},
                "expires_at": "2030-01-01T00:00:00Z",
                "rate": {"requests_per_s": 50, "burst": 100},
            },
        ),
    )
    async def create_key(request: Request) -> Response:
        """Make a key. The answer is the only one that holds it."""
        asked = await read_request(request, NewKey)
        told = await desk.create(call_of(request), asked)
        place = {**_UNKEPT, "Location": f"{request.url.path}/{told.kept.id}"}
        return answer(request, render_key(told), 201, place)

    @router.get("", response_model=Envelope[KeyList])
    async def list_keys(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=1_000, description="keys at most")] = 100,
        cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
    ) -> Response:
        """The newest first, also those that ended in the last 30 days."""
        page = await desk.page(call_of(request), limit, cursor)
        shown = {"keys": [render_key(one) for one in page.keys], "next_cursor": page.next_cursor}
        return answer(request, shown)

    @router.get("/{key_id}", response_model=Envelope[Key])
    async def get_key(request: Request, key_id: str) -> Response:
        """404 key_not_found."""
        return answer(request, render_key(await desk.get(call_of(request), key_id)))

    @router.post(
        "/{key_id}/rotate",
        response_model=Envelope[ToldKey],
        openapi_extra=json_body(RotateKey, an_hour={"grace_s": 3600}, at_once={"grace_s": 0}),
    )
    async def rotate_key(request: Request, key_id: str) -> Response:
        """Give the key another secret; the one before stays good for `grace_s`. 409 failed_precondition: it
        has ended.
        """
        asked = await read_request(request, RotateKey)
        told = await desk.rotate(call_of(request), key_id, asked)
        return answer(request, render_key(told), 200, _UNKEPT)

    @router.delete("/{key_id}", response_model=Envelope[Key])
    async def revoke_key(request: Request, key_id: str) -> Response:
        """Revoke the key for good: every gateway refuses it within seconds. 404 key_not_found."""
        return answer(request, render_key(await desk.revoke(call_of(request), key_id)))

    return router
