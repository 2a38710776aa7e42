"""/api/v1/libraries: libraries, their indexes, and queries."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from hanax.gateway.bodies import read_request
from hanax.gateway.libraries.ids import parse_id
from hanax.gateway.libraries.pages import cut_page, read_cursor
from hanax.gateway.libraries.query_requests import QueryRequest
from hanax.gateway.libraries.requests import IndexRequest, LibraryPatch, NewLibrary
from hanax.gateway.libraries.room import LibraryRoom, opened_room
from hanax.gateway.renderings.libraries import render_answer, render_index, render_library
from hanax.gateway.rest.answers import call_of
from hanax.gateway.rest.etags import tagged_bare
from hanax.gateway.rest.library_answers import bare, read_revision, revised
from hanax.gateway.rest.openapi import json_body
from hanax.gateway.rest.pages import Cursor, Limit, page_to
from hanax.gateway.schemas import libraries as schemas
from hanax.metadata.libraries.rows import shown_id

LIBRARY_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": schemas.LibraryErrorBody, "description": "The request is refused; see error.code"},
    "5XX": {"model": schemas.LibraryErrorBody, "description": "The request failed; 503 is worth a retry"},
    422: {"model": schemas.LibraryErrorBody, "description": "A field is wrong; see error.details"},
}

_FILTER: Final = {"field": "document.metadata.year", "operator": "gte", "value": 2020}


class Room:
    """The way to the service objects, where there is a database."""

    def __init__(self, room: LibraryRoom | None) -> None:
        self._room = room

    def __call__(self) -> LibraryRoom:
        """Raises DatabaseNotConfigured."""
        return opened_room(self._room)


def library_routes(opened: LibraryRoom | None) -> APIRouter:
    router = APIRouter(prefix="/libraries", tags=["libraries"], responses=LIBRARY_ERRORS)
    room = Room(opened)

    @router.post(
        "",
        status_code=201,
        response_model=schemas.LibraryInfo,
        openapi_extra=json_body(
            NewLibrary,
            for_texts={"name": "handbook", "index": {"type": "auto"}},
            for_vectors={"name": "images", "model": None, "dimension": 512, "metric": "dot"},
        ),
    )
    async def create_library(request: Request) -> Response:
        """Create a library, ready for documents on return.

        Without `index` it can be queried once an index was asked for. 409 library_exists.
        """
        asked = await read_request(request, NewLibrary)
        library = await room().libraries.create(call_of(request), asked)
        place = f"{request.url.path}/{shown_id(library.id)}"
        return revised(render_library(library), library.revision, 201, place)

    @router.get("", response_model=schemas.LibraryPage)
    async def list_libraries(request: Request, limit: Limit = 100, cursor: Cursor = None) -> Response:
        """The newest first."""
        found = await room().libraries.page(call_of(request), limit + 1, read_cursor(cursor))
        page, following = cut_page(found, limit)
        after = page_to(request, following)
        shown = {"libraries": [render_library(one) for one in page], "next_cursor": after.cursor}
        return tagged_bare(request, shown, headers=after.headers)

    @router.get("/{library_id}", response_model=schemas.LibraryDescription)
    async def get_library(request: Request, library_id: str) -> Response:
        """404 library_not_found."""
        found = await room().libraries.get(call_of(request), parse_id(library_id, "library_id"))
        told = {**render_library(found.library), "document_count": found.documents}
        return tagged_bare(request, told, str(found.library.revision))

    @router.patch(
        "/{library_id}",
        response_model=schemas.LibraryInfo,
        openapi_extra=json_body(LibraryPatch, rename={"name": "manual", "metadata": {"draft": None}}),
    )
    async def change_library(request: Request, library_id: str) -> Response:
        """Change its name or metadata. 412 revision_conflict with If-Match; 409 library_exists."""
        id = parse_id(library_id, "library_id")
        asked = await read_request(request, LibraryPatch)
        library = await room().libraries.change(call_of(request), id, asked, read_revision(request))
        return revised(render_library(library), library.revision)

    @router.delete("/{library_id}", status_code=204)
    async def delete_library(request: Request, library_id: str) -> Response:
        """Delete a library and all its documents. 404 library_not_found, 412 revision_conflict."""
        id = parse_id(library_id, "library_id")
        await room().libraries.delete(call_of(request), id, read_revision(request))
        return Response(status_code=204)

    @router.post(
        "/{library_id}/index",
        status_code=202,
        response_model=schemas.LibraryIndex,
        openapi_extra=json_body(
            IndexRequest,
            graph={"type": "hnsw", "parameters": {"m": 24}, "target_recall": 0.98},
            exact={"type": "brute_force"},
        ),
    )
    async def build_index(request: Request, library_id: str) -> Response:
        """Choose how the library is searched; built in the background, as GET tells. Queries are answered
        meanwhile.
        """
        asked = await read_request(request, IndexRequest)
        id = parse_id(library_id, "library_id")
        status = await room().indexes.build(call_of(request), id, asked)
        return bare(render_index(status), 202, {"Location": request.url.path})

    @router.get("/{library_id}/index", response_model=schemas.LibraryIndex)
    async def get_index(request: Request, library_id: str) -> Response:
        """How far the index is built."""
        id = parse_id(library_id, "library_id")
        return bare(render_index(await room().indexes.status(call_of(request), id)))

    @router.post(
        "/{library_id}/query",
        response_model=schemas.QueryResults,
        openapi_extra=json_body(
            QueryRequest,
            by_text={"text": "how do I compute a checksum?", "k": 5, "filter": _FILTER, "min_score": 0.3},
            by_vector={"embedding": [0.1, 0.2, 0.3]},
            diverse={"text": "checksums", "rerank": {"type": "mmr", "diversity": 0.4}},
            read_together={
                "text": "checksums",
                "rerank": {"type": "cross_encoder", "model": "bge-reranker", "on_failure": "skip"},
                "steps": {"rerank": {"timeout_s": 2, "retries": 0}},
            },
        ),
    )
    async def query_library(request: Request, library_id: str) -> Response:
        """The chunks that are nearest to a text or a vector, with their documents, best first.

        412 index_not_built where nobody has asked for an index.
        """
        asked = await read_request(request, QueryRequest)
        id = parse_id(library_id, "library_id")
        answer = await room().queries.query(call_of(request), id, asked)
        return bare(render_answer(answer, asked.include_embeddings))

    return router
