"""Documents and the registry of chunks, as readers see them: what is committed, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Integer, Select, bindparam, case, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import ChunkNotFound, DocumentNotFound
from hanax.metadata.database import Database
from hanax.metadata.libraries.library_rows import LIBRARY_COLUMNS, library_from, library_not_found
from hanax.metadata.libraries.rows import Chunk, Document, Library, shown_id
from hanax.metadata.libraries.tables import CHUNKS, DOCUMENTS, LIBRARIES
from hanax.metadata.pages import Pages, Place

# Rows of these are a `Document` and a `Chunk`.
DOCUMENT_COLUMNS: Final = [DOCUMENTS.c[name] for name in Document.__dataclass_fields__]
CHUNK_COLUMNS: Final = [CHUNKS.c[name] for name in Chunk.__dataclass_fields__]

_LIBRARY_END: Final = len(LIBRARY_COLUMNS)
_DOCUMENT_END: Final = _LIBRARY_END + len(DOCUMENT_COLUMNS)

# Built once: to build a statement takes as long as the database does. Each asks for all at once that has to
# be of one picture.
_FIND: Final = select(*DOCUMENT_COLUMNS).where(DOCUMENTS.c.id == bindparam("document"))
_ONE: Final = _FIND.join(LIBRARIES, LIBRARIES.c.id == DOCUMENTS.c.library_id).where(
    LIBRARIES.c.state == "ready"
)
_CHUNK: Final = (
    select(*LIBRARY_COLUMNS, *CHUNK_COLUMNS)
    .join(CHUNKS, CHUNKS.c.library_id == LIBRARIES.c.id)
    .where(CHUNKS.c.id == bindparam("chunk"), LIBRARIES.c.state == "ready")
)


def _of_ready_library(query: Select[Any]) -> Select[Any]:
    """The same documents, if the library is there: without any there is a row, too, with none in it."""
    page = query.subquery()
    return (
        select(*page.c)
        .select_from(LIBRARIES.outerjoin(page, true()))
        .where(LIBRARIES.c.id == bindparam("library"), LIBRARIES.c.state == "ready")
        .order_by(page.c.created_at_us.desc(), page.c.id.desc())
    )


_PAGES: Final = Pages(
    select(*DOCUMENT_COLUMNS).where(DOCUMENTS.c.library_id == bindparam("library")),
    DOCUMENTS,
    _of_ready_library,
)


def _chunks_page() -> Select[Any]:
    """A document with its library and some chunks: a row for each, or one where there are none.

    Positions are dense: the first of the page is at its offset, and that row alone has what may be large.
    """
    page = (
        select(*CHUNK_COLUMNS)
        .where(
            CHUNKS.c.document_id == bindparam("document"),
            CHUNKS.c.position >= bindparam("offset", type_=Integer),
        )
        .order_by(CHUNKS.c.position)
        .limit(bindparam("limit", type_=Integer))
        .subquery()
    )
    is_first = or_(page.c.position.is_(None), page.c.position == bindparam("offset", type_=Integer))
    large = {LIBRARIES.c.metadata, DOCUMENTS.c.metadata, DOCUMENTS.c.chunking}
    once = [
        case((is_first, column)) if column in large else column
        for column in (*LIBRARY_COLUMNS, *DOCUMENT_COLUMNS)
    ]
    return (
        select(*once, *page.c)
        .select_from(DOCUMENTS.join(LIBRARIES).outerjoin(page, true()))
        .where(DOCUMENTS.c.id == bindparam("document"), LIBRARIES.c.state == "ready")
        .order_by(page.c.position)
    )


_CHUNKS_PAGE: Final = _chunks_page()


class DocumentRows:
    """Each method reads one unchanging picture, and raises what `Database.read` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, document_id: str) -> Document:
        """Raises DocumentNotFound."""
        rows = await self._database.ask(_ONE, {"document": document_id})
        if not rows:
            raise document_not_found(document_id)
        return document_from(rows[0])

    async def page(self, library_id: str, limit: int, after: Place | None) -> list[Document]:
        """The newest first. Raises LibraryNotFound."""
        rows = await self._database.ask(*_PAGES.at(limit, after, library=library_id))
        if not rows:
            raise library_not_found(library_id)
        return [document_from(row) for row in rows if row[0] is not None]

    async def chunks(
        self, document_id: str, offset: int, limit: int
    ) -> tuple[Library, Document, list[Chunk]]:
        """Some chunks by position. Raises DocumentNotFound."""
        asked = {"document": document_id, "offset": offset, "limit": limit}
        rows = await self._database.ask(_CHUNKS_PAGE, asked)
        if not rows:
            raise document_not_found(document_id)
        first = rows[0]
        found = [Chunk(*chunk) for row in rows if (chunk := row[_DOCUMENT_END:])[0] is not None]
        return library_from(first), document_from(first[_LIBRARY_END:]), found

    async def chunk(self, chunk_id: str) -> tuple[Library, Chunk]:
        """Raises ChunkNotFound."""
        rows = await self._database.ask(_CHUNK, {"chunk": chunk_id})
        if not rows:
            raise chunk_not_found(chunk_id)
        return library_from(rows[0]), Chunk(*rows[0][_LIBRARY_END:])


async def find_document(connection: AsyncConnection, document_id: str) -> Document | None:
    row = (await connection.execute(_FIND, {"document": document_id})).one_or_none()
    return None if row is None else document_from(row)


def document_not_found(document_id: str) -> DocumentNotFound:
    return DocumentNotFound(f"there is no document {shown_id(document_id)}", document=shown_id(document_id))


def chunk_not_found(chunk_id: str) -> ChunkNotFound:
    return ChunkNotFound(f"there is no chunk {shown_id(chunk_id)}", chunk=shown_id(chunk_id))


def document_from(row: Sequence[Any]) -> Document:
    """row: begins with DOCUMENT_COLUMNS."""
    id, library_id, title, metadata, chunking, *others = row[: len(DOCUMENT_COLUMNS)]
    rule = None if chunking is None else json.loads(chunking)
    return Document(id, library_id, title, json.loads(metadata), rule, *others)
