"""/api/v1/aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanax.gateway.aliases import AliasNames
from hanax.gateway.bodies import read_request
from hanax.gateway.change_requests import AliasSwitchRequest, AliasTarget
from hanax.gateway.list_cursors import cut_by_key
from hanax.gateway.list_requests import MAX_PAGE
from hanax.gateway.requests import parse_request
from hanax.gateway.rest.answers import answer, call_of
from hanax.gateway.rest.etags import tagged
from hanax.gateway.rest.openapi import ERRORS, json_body
from hanax.gateway.rest.pages import Cursor, Limit, page_to
from hanax.gateway.schemas import collections as collection_schemas
from hanax.gateway.schemas.envelopes import Envelope


def alias_routes(aliases: AliasNames) -> APIRouter:
    router = APIRouter(prefix="/api/v1/aliases", tags=["aliases"], responses=ERRORS)

    @router.get("", response_model=Envelope[collection_schemas.AliasList])
    async def list_aliases(request: Request, limit: Limit = MAX_PAGE, cursor: Cursor = None) -> Response:
        """Aliases by name."""
        names = sorted((await aliases.list(call_of(request))).items())
        page, following = cut_by_key(names, lambda one: one[0], limit, cursor)
        after = page_to(request, following)
        return tagged(request, {**_render(dict(page)), "next_cursor": after.cursor}, headers=after.headers)

    # Before the routes with a name: `switch` may be an alias, too, but is not posted to.
    @router.post(
        "/switch",
        response_model=Envelope[collection_schemas.AliasList],
        openapi_extra=json_body(
            AliasSwitchRequest,
            swap={
                "changes": [
                    {"alias": "docs", "collection": "docs-2025"},
                    {"alias": "docs-before", "collection": "docs-2024"},
                ]
            },
        ),
    )
    async def switch_aliases(request: Request) -> Response:
        """Make, move and remove aliases at one moment: a request sees all as before, or all as after.

        One whose collection is null is removed.
        404 collection_not_found, 404 alias_not_found, 409 collection_exists.
        """
        asked = await read_request(request, AliasSwitchRequest)
        now = await aliases.switch(call_of(request), asked)
        return answer(request, {**_render(now), "next_cursor": None})

    @router.get("/{alias}", response_model=Envelope[collection_schemas.Alias])
    async def get_alias(request: Request, alias: str) -> Response:
        """The collection that an alias stands for. 404 alias_not_found."""
        return tagged(request, {"alias": alias, "collection": await aliases.find(call_of(request), alias)})

    @router.put(
        "/{alias}",
        response_model=Envelope[collection_schemas.Alias],
        openapi_extra=json_body(AliasTarget, current={"collection": "docs-2025"}),
    )
    async def put_alias(request: Request, alias: str) -> Response:
        """Make an alias, or point it to another collection.

        404 collection_not_found, 409 collection_exists.
        """
        asked = await read_request(request, AliasTarget)
        now = await aliases.switch(call_of(request), _one(alias, asked.collection))
        return answer(request, {"alias": alias, "collection": now[alias]})

    @router.delete("/{alias}", response_model=Envelope[collection_schemas.AliasDeleted])
    async def delete_alias(request: Request, alias: str) -> Response:
        """Remove an alias; its collection stays. 404 alias_not_found."""
        await aliases.switch(call_of(request), _one(alias, None))
        return answer(request, {"alias": alias, "deleted": True})

    return router


def _one(alias: str, collection: str | None) -> AliasSwitchRequest:
    """Raises InvalidArgument for what can be no alias."""
    return parse_request(AliasSwitchRequest, {"changes": [{"alias": alias, "collection": collection}]})


def _render(collection_by_alias: Mapping[str, str]) -> dict[str, Any]:
    return {
        "aliases": [
            {"alias": alias, "collection": collection}
            for alias, collection in sorted(collection_by_alias.items())
        ]
    }
