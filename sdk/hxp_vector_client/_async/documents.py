"""Documents of a library, and their chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Unpack

from hxp_vector_client import operations
from hxp_vector_client._async.calls import AsyncCalls
from hxp_vector_client.arrays import to_vector
from hxp_vector_client.library_options import (
    ChunkChanges,
    DocumentChanges,
    DocumentOptions,
    NewChunk,
    chunks_json,
)
from hxp_vector_client.models import Chunk, ChunkPage, Document, DocumentPage
from hxp_vector_client.options import LongTexts, checked
from hxp_vector_client.requests import Request


class AsyncDocuments:
    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls

    async def create(self, library_id: str, **options: Unpack[DocumentOptions]) -> Document:
        """Store a document with all its chunks, or none of it: from chunks, or a text that is divided.

        Raises LibraryNotFound, DocumentExists, ChunkExists, InvalidArgument.
        """
        body = _with_chunks(checked(DocumentOptions, options))
        request = Request(operations.CREATE_DOCUMENT, body, path={"library_id": library_id})
        return Document.read(await self._calls.call(request))

    async def get(self, document_id: str) -> Document:
        """Raises DocumentNotFound."""
        answer = await self._calls.call(_on(operations.GET_DOCUMENT, document_id))
        return Document.read(answer)

    async def list(self, library_id: str, *, page_size: int = 100) -> AsyncIterator[Document]:
        """The newest first: read page by page as they are taken."""
        cursor: str | None = None
        path = {"library_id": library_id}
        while True:
            query = {"limit": page_size, "cursor": cursor}
            answer = await self._calls.call(Request(operations.LIST_DOCUMENTS, path=path, query=query))
            page = DocumentPage.read(answer)
            for document in page.documents:
                yield document
            cursor = page.next_cursor
            if cursor is None:
                return

    async def update(
        self, document_id: str, *, if_match: int | None = None, **changes: Unpack[DocumentChanges]
    ) -> Document:
        """Change what is given; chunks or text replace all chunks, at one moment.

        if_match: the revision that it must have; else RevisionConflict.
        """
        body = _with_chunks(checked(DocumentChanges, changes))
        request = _on(operations.UPDATE_DOCUMENT, document_id, body, if_match)
        return Document.read(await self._calls.call(request))

    async def delete(self, document_id: str, *, if_match: int | None = None) -> None:
        """Delete a document with all its chunks."""
        await self._calls.call(_on(operations.DELETE_DOCUMENT, document_id, None, if_match))

    async def chunks(
        self, document_id: str, *, include_embeddings: bool = False, page_size: int = 100
    ) -> AsyncIterator[Chunk]:
        """By position: read page by page as they are taken."""
        offset: int | None = 0
        while offset is not None:
            query = {"offset": offset, "limit": page_size, "include_embeddings": include_embeddings}
            request = _on(operations.LIST_CHUNKS, document_id)
            request.query = query
            page = ChunkPage.read(await self._calls.call(request))
            for chunk in page.chunks:
                yield chunk
            offset = page.next_offset

    async def add_chunks(
        self,
        document_id: str,
        chunks: Sequence[NewChunk],
        *,
        position: int | None = None,
        long_texts: LongTexts = "truncate",
        if_match: int | None = None,
    ) -> Document:
        """Put chunks between those of a document, or (position None) behind them."""
        body = {"chunks": chunks_json(chunks), "position": position, "long_texts": long_texts}
        answer = await self._calls.call(_on(operations.ADD_CHUNKS, document_id, body, if_match))
        return Document.read(answer)


class AsyncChunks:
    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls

    async def get(self, chunk_id: str, *, include_embedding: bool = False) -> Chunk:
        """Raises ChunkNotFound."""
        query = {"include_embedding": include_embedding}
        request = Request(operations.GET_CHUNK, path={"chunk_id": chunk_id}, query=query)
        return Chunk.read(await self._calls.call(request))

    async def update(
        self, chunk_id: str, *, if_match: int | None = None, **changes: Unpack[ChunkChanges]
    ) -> Chunk:
        """Change what is given. Raises ChunkNotFound, DocumentBusy, RevisionConflict."""
        body: dict[str, Any] = checked(ChunkChanges, changes)
        if "embedding" in body:
            body["embedding"] = to_vector(body["embedding"], "embedding")
        request = Request(operations.UPDATE_CHUNK, body, path={"chunk_id": chunk_id}, if_match=if_match)
        return Chunk.read(await self._calls.call(request))

    async def delete(self, chunk_id: str, *, if_match: int | None = None) -> None:
        """Delete a chunk; those behind it move up."""
        request = Request(operations.DELETE_CHUNK, path={"chunk_id": chunk_id}, if_match=if_match)
        await self._calls.call(request)


def _on(
    operation: operations.Operation,
    document_id: str,
    body: Mapping[str, Any] | None = None,
    if_match: int | None = None,
) -> Request:
    return Request(operation, body, path={"document_id": document_id}, if_match=if_match)


def _with_chunks(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "chunks": chunks_json(body["chunks"])} if "chunks" in body else body
