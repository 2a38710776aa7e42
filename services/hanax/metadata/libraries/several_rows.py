"""Several libraries or documents at once: one picture of the database for what would be one for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.metadata.database import Database
from hanax.metadata.libraries.document_rows import CHUNK_COLUMNS, DOCUMENT_COLUMNS, document_from
from hanax.metadata.libraries.library_rows import LIBRARY_COLUMNS, library_from
from hanax.metadata.libraries.rows import Chunk, Document, Library
from hanax.metadata.libraries.tables import CHUNKS, DOCUMENTS, LIBRARIES
from hanax.metadata.pages import newest_first

# A statement names each of them.
MOST_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class SomeChunks:
    """Of one document, by position, as its revision has them."""

    library: Library
    document: Document
    chunks: list[Chunk]


class SeveralRows:
    """Each method takes up to MOST_AT_ONCE ids, and raises what `Database.read` raises. What is not there is
    left out.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def libraries(self, ids: Sequence[str]) -> dict[str, Library]:
        return {row.id: library_from(row) for row in await self._database.ask(_libraries_of(ids))}

    async def documents(self, ids: Sequence[str]) -> dict[str, Document]:
        """Of libraries that are there."""

        async def work(connection: AsyncConnection) -> dict[str, Document]:
            found = await _documents(connection, ids)
            libraries = await _libraries(connection, [one.library_id for one in found.values()])
            return {id: one for id, one in found.items() if one.library_id in libraries}

        return await self._database.read(work)

    async def document_counts(self, library_ids: Sequence[str]) -> dict[str, int]:
        query = (
            select(DOCUMENTS.c.library_id, func.count())
            .where(DOCUMENTS.c.library_id.in_(library_ids))
            .group_by(DOCUMENTS.c.library_id)
        )

        counted = dict.fromkeys(library_ids, 0)
        counted.update({row[0]: row[1] for row in await self._database.ask(query)})
        return counted

    async def newest_documents(self, library_ids: Sequence[str], limit: int) -> dict[str, list[Document]]:
        """The newest of each library, at most `limit` of it."""
        # One look into the index for each: a window over all documents would read all of them.
        parts = [
            select(
                newest_first(
                    select(*DOCUMENT_COLUMNS).where(DOCUMENTS.c.library_id == id), DOCUMENTS, limit
                ).subquery()
            )
            for id in library_ids
        ]

        async def work(connection: AsyncConnection) -> dict[str, list[Document]]:
            there = await _libraries(connection, library_ids)
            found: dict[str, list[Document]] = {id: [] for id in library_ids if id in there}
            for row in await connection.execute(union_all(*parts)):
                if row.library_id in found:
                    found[row.library_id].append(document_from(row))
            for documents in found.values():
                documents.sort(key=lambda one: (one.created_at_us, one.id), reverse=True)
            return found

        return await self._database.read(work)

    async def chunks(self, document_ids: Sequence[str], offset: int, limit: int) -> dict[str, SomeChunks]:
        """Chunks of each document, from the position `offset` on."""
        query = (
            select(*CHUNK_COLUMNS)
            .where(
                CHUNKS.c.document_id.in_(document_ids),
                CHUNKS.c.position >= offset,
                # Positions are dense.
                CHUNKS.c.position < offset + limit,
            )
            .order_by(CHUNKS.c.document_id, CHUNKS.c.position)
        )

        async def work(connection: AsyncConnection) -> dict[str, SomeChunks]:
            documents = await _documents(connection, document_ids)
            libraries = await _libraries(connection, [one.library_id for one in documents.values()])
            found = {
                id: SomeChunks(libraries[one.library_id], one, [])
                for id, one in documents.items()
                if one.library_id in libraries
            }
            for row in await connection.execute(query):
                if row.document_id in found:
                    found[row.document_id].chunks.append(Chunk(*row))
            return found

        return await self._database.read(work)


async def _libraries(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, Library]:
    return {row.id: library_from(row) for row in await connection.execute(_libraries_of(ids))}


def _libraries_of(ids: Sequence[str]) -> Select[Any]:
    return select(*LIBRARY_COLUMNS).where(LIBRARIES.c.id.in_(sorted(set(ids))), LIBRARIES.c.state == "ready")


async def _documents(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, Document]:
    query = select(*DOCUMENT_COLUMNS).where(DOCUMENTS.c.id.in_(sorted(set(ids))))
    return {row.id: document_from(row) for row in await connection.execute(query)}
