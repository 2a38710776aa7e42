"""Documents and the registry of chunks, as readers see them: what is committed, and nothing else."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import ChunkNotFound, DocumentNotFound, LibraryNotFound
from hanax.metadata.database import Database
from hanax.metadata.libraries.library_rows import ready_library
from hanax.metadata.libraries.rows import Chunk, Document, Library, shown_id
from hanax.metadata.libraries.tables import CHUNKS, DOCUMENTS
from hanax.metadata.pages import Place, newest_first


class DocumentRows:
    """Each method reads one unchanging picture, and raises what `Database.read` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, document_id: str) -> Document:
        """Raises DocumentNotFound."""

        async def work(connection: AsyncConnection) -> Document:
            _, document = await _document_of(connection, document_id)
            return document

        return await self._database.read(work)

    async def page(self, library_id: str, limit: int, after: Place | None) -> list[Document]:
        """The newest first. Raises LibraryNotFound."""
        query = select(DOCUMENTS).where(DOCUMENTS.c.library_id == library_id)
        query = newest_first(query, DOCUMENTS, limit, after)

        async def work(connection: AsyncConnection) -> list[Document]:
            await ready_library(connection, library_id)
            return [document_from(row) for row in await connection.execute(query)]

        return await self._database.read(work)

    async def chunks(
        self, document_id: str, offset: int, limit: int
    ) -> tuple[Library, Document, list[Chunk]]:
        """Some chunks by position. Raises DocumentNotFound."""

        async def work(connection: AsyncConnection) -> tuple[Library, Document, list[Chunk]]:
            library, document = await _document_of(connection, document_id)
            rows = await connection.execute(
                select(CHUNKS)
                .where(CHUNKS.c.document_id == document_id, CHUNKS.c.position >= offset)
                .order_by(CHUNKS.c.position)
                .limit(limit)
            )
            return library, document, [chunk_from(row) for row in rows]

        return await self._database.read(work)

    async def chunk(self, chunk_id: str) -> tuple[Library, Chunk]:
        """Raises ChunkNotFound."""

        async def work(connection: AsyncConnection) -> tuple[Library, Chunk]:
            rows = await connection.execute(select(CHUNKS).where(CHUNKS.c.id == chunk_id))
            row = rows.one_or_none()
            if row is None:
                raise chunk_not_found(chunk_id)
            try:
                return await ready_library(connection, row.library_id), chunk_from(row)
            except LibraryNotFound:
                raise chunk_not_found(chunk_id) from None

        return await self._database.read(work)


async def find_document(connection: AsyncConnection, document_id: str) -> Document | None:
    rows = await connection.execute(select(DOCUMENTS).where(DOCUMENTS.c.id == document_id))
    row = rows.one_or_none()
    return None if row is None else document_from(row)


async def _document_of(connection: AsyncConnection, document_id: str) -> tuple[Library, Document]:
    """Raises DocumentNotFound, also where its library is not there any more."""
    document = await find_document(connection, document_id)
    if document is None:
        raise document_not_found(document_id)
    try:
        return await ready_library(connection, document.library_id), document
    except LibraryNotFound:
        raise document_not_found(document_id) from None


def document_not_found(document_id: str) -> DocumentNotFound:
    return DocumentNotFound(f"there is no document {shown_id(document_id)}", document=shown_id(document_id))


def chunk_not_found(chunk_id: str) -> ChunkNotFound:
    return ChunkNotFound(f"there is no chunk {shown_id(chunk_id)}", chunk=shown_id(chunk_id))


def document_from(row: Row[Any]) -> Document:
    chunking = None if row.chunking is None else json.loads(row.chunking)
    return Document(**{**row._asdict(), "metadata": json.loads(row.metadata), "chunking": chunking})


def chunk_from(row: Row[Any]) -> Chunk:
    return Chunk(**row._asdict())
