"""/api/v1/keys: API keys, for administrators."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from hanax.core.errors import InvalidCursor
from hanax.gateway.guard.key_desk import KeyDesk, Told
from hanax.gateway.guard.rights import GrantBody, NewKey, RateBody, RotateKey
from hanax.gateway.rest import schemas
from hanax.gateway.rest.answers import answer, call_of, render_instant
from hanax.gateway.rest.bodies import read_request
from hanax.gateway.rest.openapi import ERRORS, json_body
from hanax.metadata.pages import Place

_CURSOR: Final = re.compile(r"([0-9]{1,18})\.([0-9a-f]{16})")
# It holds a secret.
_UNKEPT: Final = {"Cache-Control": "no-store"}


class Key(BaseModel):
    """`previous_until`: until when the secret before the latest rotation is good."""

    id: str
    name: str
    grants: list[GrantBody]
    filter: dict[str, str | int] | None
    rate: RateBody | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: Annotated[datetime | None, Field(description="to a minute or so")]
    previous_until: datetime | None


class ToldKey(Key):
    key: Annotated[str, Field(description="the whole key, told this once")]


class KeyList(BaseModel):
    keys: list[Key]
    next_cursor: str | None


def key_routes(desk: KeyDesk) -> APIRouter:
    router = APIRouter(prefix="/api/v1/keys", tags=["keys"], responses=ERRORS)

    @router.post(
        "",
        status_code=201,
        response_model=schemas.Envelope[ToldKey],
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
        return answer(request, _render(told), 201, place)

    @router.get("", response_model=schemas.Envelope[KeyList])
    async def list_keys(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=1_000, description="keys at most")] = 100,
        cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
    ) -> Response:
        """The newest first, also those that ended in the last 30 days."""
        found = await desk.list(call_of(request), limit + 1, _read_cursor(cursor))
        page = found[:limit]
        following = None
        if len(found) > limit:
            last = page[-1].kept
            following = f"{last.created_at_us}.{last.id}"
        return answer(request, {"keys": [_render(one) for one in page], "next_cursor": following})

    @router.get("/{key_id}", response_model=schemas.Envelope[Key])
    async def get_key(request: Request, key_id: str) -> Response:
        """404 key_not_found."""
        return answer(request, _render(await desk.get(call_of(request), key_id)))

    @router.post(
        "/{key_id}/rotate",
        response_model=schemas.Envelope[ToldKey],
        openapi_extra=json_body(RotateKey, an_hour={"grace_s": 3600}, at_once={"grace_s": 0}),
    )
    async def rotate_key(request: Request, key_id: str) -> Response:
        """Give the key another secret; the one before stays good for `grace_s`. 409 failed_precondition: it
        has ended.
        """
        asked = await read_request(request, RotateKey)
        told = await desk.rotate(call_of(request), key_id, asked)
        return answer(request, _render(told), 200, _UNKEPT)

    @router.delete("/{key_id}", response_model=schemas.Envelope[Key])
    async def revoke_key(request: Request, key_id: str) -> Response:
        """Revoke the key for good: every gateway refuses it within seconds. 404 key_not_found."""
        return answer(request, _render(await desk.revoke(call_of(request), key_id)))

    return router


def _render(told: Told) -> dict[str, Any]:
    kept, rights = told.kept, told.rights
    shown = {
        "id": kept.id,
        "name": kept.name,
        "grants": [grant.model_dump() for grant in rights.grants],
        "filter": rights.filter,
        "rate": None if rights.rate is None else rights.rate.model_dump(),
        "created_at": render_instant(kept.created_at_us),
        "expires_at": _instant(kept.expires_at_us),
        "revoked_at": _instant(kept.revoked_at_us),
        "last_used_at": _instant(kept.last_used_at_us),
        "previous_until": _instant(kept.previous_until_us),
    }
    return shown if told.key is None else {**shown, "key": told.key}


def _read_cursor(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidCursor("cursor: expected next_cursor of a page of keys")
    return Place(int(found[1]), found[2])


def _instant(at_us: int | None) -> datetime | None:
    return None if at_us is None else render_instant(at_us)
