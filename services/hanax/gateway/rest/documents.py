"""/api/v1/libraries/{id}/documents, /api/v1/documents and /api/v1/chunks."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from hanax.core.limits import MAX_DOCUMENT_CHUNKS
from hanax.gateway.bodies import read_request
from hanax.gateway.libraries.ids import parse_id
from hanax.gateway.libraries.pages import cut_page, read_cursor
from hanax.gateway.libraries.requests import ChunkPatch, DocumentPatch, MoreChunks, NewDocument
from hanax.gateway.libraries.room import LibraryRoom
from hanax.gateway.list_cursors import read_number, write_key
from hanax.gateway.renderings.libraries import render_document, render_passage, render_written
from hanax.gateway.rest.answers import call_of
from hanax.gateway.rest.etags import tagged_bare
from hanax.gateway.rest.libraries import LIBRARY_ERRORS, Room
from hanax.gateway.rest.library_answers import read_revision, revised
from hanax.gateway.rest.openapi import json_body
from hanax.gateway.rest.pages import Cursor, Limit, page_to
from hanax.gateway.schemas import libraries as schemas
from hanax.metadata.libraries.rows import shown_id

_CHUNK: Final = {"text": "Checksums are computed with CRC-32C.", "metadata": {"source_page": 3}}

Embeddings = Annotated[bool, Query(description="whether embeddings are answered")]
Offset = Annotated[int, Query(ge=0, le=MAX_DOCUMENT_CHUNKS, description="position of the first")]
ChunkLimit = Annotated[int, Query(ge=1, le=500, description="chunks at most")]


def document_routes(opened: LibraryRoom | None) -> APIRouter:
    router = APIRouter(tags=["libraries"], responses=LIBRARY_ERRORS)
    room = Room(opened)

    @router.post(
        "/libraries/{library_id}/documents",
        status_code=201,
        response_model=schemas.DocumentWritten,
        openapi_extra=json_body(
            NewDocument,
            as_chunks={"title": "Storage", "metadata": {"year": 2024}, "chunks": [_CHUNK]},
            as_text={"title": "Guide", "text": "# Guide\n\n...", "chunking": {"type": "headings"}},
        ),
    )
    async def create_document(request: Request, library_id: str) -> Response:
        """Store a document with all its chunks, or none of it. Those without embedding are embedded.

        404 library_not_found, 409 document_exists, 409 chunk_exists, 422 for a chunk that is wrong.
        """
        asked = await read_request(request, NewDocument)
        id = parse_id(library_id, "library_id")
        written = await room().documents.create(call_of(request), id, asked)
        place = request.url.path.replace(f"/libraries/{library_id}", "") + f"/{shown_id(written.document.id)}"
        return revised(render_written(written), written.document.revision, 201, place)

    @router.get("/libraries/{library_id}/documents", response_model=schemas.DocumentPage)
    async def list_documents(
        request: Request, library_id: str, limit: Limit = 100, cursor: Cursor = None
    ) -> Response:
        """The newest first. 404 library_not_found."""
        id = parse_id(library_id, "library_id")
        found = await room().documents.page(call_of(request), id, limit + 1, read_cursor(cursor, id))
        page, following = cut_page(found, limit, id)
        after = page_to(request, following)
        shown = {"documents": [render_document(one) for one in page], "next_cursor": after.cursor}
        return tagged_bare(request, shown, headers=after.headers)

    @router.get("/documents/{document_id}", response_model=schemas.DocumentInfo)
    async def get_document(request: Request, document_id: str) -> Response:
        """404 document_not_found."""
        id = parse_id(document_id, "document_id")
        document = await room().documents.get(call_of(request), id)
        return tagged_bare(request, render_document(document), str(document.revision))

    @router.patch(
        "/documents/{document_id}",
        response_model=schemas.DocumentWritten,
        openapi_extra=json_body(
            DocumentPatch,
            title={"title": "Storage, second edition", "metadata": {"year": 2025, "draft": None}},
            new_text={"text": "# Storage\n\n...", "chunking": {"type": "headings"}},
        ),
    )
    async def change_document(request: Request, document_id: str) -> Response:
        """Change what is given; chunks or text replace all chunks, at one moment.

        404 document_not_found, 409 document_busy, 412 revision_conflict with If-Match.
        """
        asked = await read_request(request, DocumentPatch)
        id = parse_id(document_id, "document_id")
        written = await room().documents.change(call_of(request), id, asked, read_revision(request))
        return revised(render_written(written), written.document.revision)

    @router.delete("/documents/{document_id}", status_code=204)
    async def delete_document(request: Request, document_id: str) -> Response:
        """Delete a document with all its chunks. 404 document_not_found, 412 revision_conflict."""
        id = parse_id(document_id, "document_id")
        await room().documents.delete(call_of(request), id, read_revision(request))
        return Response(status_code=204)

    @router.get("/documents/{document_id}/chunks", response_model=schemas.ChunkPage)
    async def list_chunks(
        request: Request,
        document_id: str,
        offset: Offset = 0,
        limit: ChunkLimit = 100,
        cursor: Cursor = None,
        include_embeddings: Embeddings = False,
    ) -> Response:
        """Chunks by position, all of one revision of the document. 404 document_not_found."""
        id = parse_id(document_id, "document_id")
        offset = offset if cursor is None else read_number(cursor)
        document, passages = await room().documents.passages(
            call_of(request), id, offset, limit, include_embeddings
        )
        after = offset + len(passages)
        more = passages and after < document.chunks
        following = page_to(request, write_key(str(after)) if more else None)
        told = {
            "document": render_document(document),
            "chunks": [render_passage(one, include_embeddings) for one in passages],
            "next_cursor": following.cursor,
            "next_offset": after if more else None,
        }
        return tagged_bare(request, told, str(document.revision), following.headers)

    @router.post(
        "/documents/{document_id}/chunks",
        status_code=201,
        response_model=schemas.DocumentWritten,
        openapi_extra=json_body(MoreChunks, at_the_end={"chunks": [_CHUNK]}),
    )
    async def add_chunks(request: Request, document_id: str) -> Response:
        """Put chunks between those of a document, or behind them. 404 document_not_found."""
        asked = await read_request(request, MoreChunks)
        id = parse_id(document_id, "document_id")
        written = await room().documents.add(call_of(request), id, asked, read_revision(request))
        return revised(render_written(written), written.document.revision, 201)

    return router


def chunk_routes(opened: LibraryRoom | None) -> APIRouter:
    router = APIRouter(tags=["libraries"], responses=LIBRARY_ERRORS)
    room = Room(opened)

    @router.get("/chunks/{chunk_id}", response_model=schemas.Chunk)
    async def get_chunk(request: Request, chunk_id: str, include_embedding: Embeddings = False) -> Response:
        """404 chunk_not_found."""
        id = parse_id(chunk_id, "chunk_id")
        passage = await room().passages.get(call_of(request), id, include_embedding)
        told = render_passage(passage, include_embedding)
        return tagged_bare(request, told, str(passage.chunk.revision))

    @router.patch(
        "/chunks/{chunk_id}",
        response_model=schemas.Chunk,
        openapi_extra=json_body(
            ChunkPatch, text={"text": "Checksums are CRC-32C.", "metadata": {"checked": True}}
        ),
    )
    async def change_chunk(request: Request, chunk_id: str) -> Response:
        """Change what is given. A new text is embedded, unless its embedding comes with it.

        404 chunk_not_found, 409 document_busy, 412 revision_conflict with If-Match.
        """
        asked = await read_request(request, ChunkPatch)
        id = parse_id(chunk_id, "chunk_id")
        passage = await room().passages.change(call_of(request), id, asked, read_revision(request))
        return revised(render_passage(passage, False), passage.chunk.revision)

    @router.delete("/chunks/{chunk_id}", status_code=204)
    async def delete_chunk(request: Request, chunk_id: str) -> Response:
        """Delete a chunk; those behind it move up. 404 chunk_not_found, 412 revision_conflict."""
        id = parse_id(chunk_id, "chunk_id")
        await room().passages.delete(call_of(request), id, read_revision(request))
        return Response(status_code=204)

    return router
