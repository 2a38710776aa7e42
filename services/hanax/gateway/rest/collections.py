"""/api/v1/collections."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from hanax.core.specs import CollectionChange, CollectionSpec
from hanax.gateway.bodies import read_json, read_request
from hanax.gateway.collections import Collections
from hanax.gateway.list_cursors import cut_by_key
from hanax.gateway.list_requests import MAX_PAGE
from hanax.gateway.renderings.collections import render_described, render_listed
from hanax.gateway.requests import parse_change
from hanax.gateway.rest.answers import answer, call_of
from hanax.gateway.rest.etags import revision_to_match, tagged
from hanax.gateway.rest.openapi import ERRORS, json_body
from hanax.gateway.rest.pages import Cursor, Limit, page_to
from hanax.gateway.schemas import collections as collection_schemas
from hanax.gateway.schemas.envelopes import Envelope

_NEW: Final = {
    "for_texts": {
        "name": "docs",
        "dimension": 384,
        "metric": "cosine",
        "shards": 2,
        "embedding_model": "all-MiniLM-L6-v2",
    },
    "for_vectors": {"name": "images", "dimension": 512, "metric": "dot"},
    "with_an_index": {
        "name": "articles",
        "dimension": 768,
        "index": {"type": "hnsw", "m": 24},
        "quantisation": {"type": "int8"},
        "target_recall": 0.98,
    },
    "with_words": {"name": "notes", "dimension": 384, "payload_indexes": {"title": "text"}},
}
_CHANGES: Final[dict[str, dict[str, Any]]] = {
    "recall": {"target_recall": 0.99},
    "index": {"index": {"type": "ivf"}, "quantisation": {"type": "product", "bits": 4}},
    "chosen_automatically": {"index": {"type": "auto"}, "quantisation": None, "target_recall": None},
    "metadata_fields": {"payload_indexes": {"title": "text", "raw": "none"}},
}


def collection_routes(collections: Collections) -> APIRouter:
    router = APIRouter(prefix="/api/v1/collections", tags=["collections"], responses=ERRORS)

    @router.post(
        "",
        status_code=201,
        response_model=Envelope[collection_schemas.CollectionDescription],
        openapi_extra=json_body(CollectionSpec, **_NEW),
    )
    async def create_collection(request: Request) -> Response:
        """Create a collection, ready for points on return.

        How its vectors and metadata are indexed may change later, see PATCH; all else is fixed for its
        life. 409 collection_exists, 409 alias_exists, 404 model_not_found, 409 model_conflict, 504 when it
        is declared but not served in time.
        """
        spec = await read_request(request, CollectionSpec)
        described = await collections.create(call_of(request), spec)
        return answer(request, render_described(described), 201)

    @router.get("", response_model=Envelope[collection_schemas.CollectionList])
    async def list_collections(request: Request, limit: Limit = MAX_PAGE, cursor: Cursor = None) -> Response:
        """Collections by name."""
        listed = await collections.list(call_of(request))
        page, following = cut_by_key(listed, lambda one: one.spec.name, limit, cursor)
        after = page_to(request, following)
        shown = {"collections": [render_listed(one) for one in page], "next_cursor": after.cursor}
        return tagged(request, shown, headers=after.headers)

    @router.get("/{name}", response_model=Envelope[collection_schemas.CollectionDescription])
    async def describe_collection(request: Request, name: str) -> Response:
        """Points, how they are indexed, and what each shard says. 404 collection_not_found."""
        described = await collections.describe(call_of(request), name)
        return tagged(request, render_described(described), described.listed.revision)

    @router.patch(
        "/{name}",
        response_model=Envelope[collection_schemas.CollectionDescription],
        openapi_extra=json_body(CollectionChange, **_CHANGES),
    )
    async def change_collection(request: Request, name: str) -> Response:
        """Change index, quantisation, target_recall or payload_indexes; what is left out stays.

        Each is replaced whole: payload_indexes is the new mapping, and null is the default of
        quantisation and target_recall. Answered once every shard goes by it. Segments are rebuilt in the
        background: their old indexes serve until then, and `index_totals.settled` says when all indexes
        of vectors are built. 404 collection_not_found, 412 revision_conflict with If-Match.
        """
        change = parse_change(await read_json(request))
        expected = revision_to_match(request)
        described = await collections.update(call_of(request), name, change, expected)
        return tagged(request, render_described(described), described.listed.revision)

    @router.delete("/{name}", response_model=Envelope[collection_schemas.CollectionDeleted])
    async def delete_collection(
        request: Request,
        name: str,
        aliases: Annotated[
            Literal["delete"] | None, Query(description="what becomes of the collection's aliases")
        ] = None,
    ) -> Response:
        """Delete a collection and all its points.

        404 collection_not_found; 409 collection_has_aliases, unless they are to be deleted with it; 412
        revision_conflict with If-Match.
        """
        expected = revision_to_match(request)
        deleted = await collections.delete(call_of(request), name, aliases == "delete", expected)
        return answer(request, {"name": deleted, "deleted": True})

    return router
