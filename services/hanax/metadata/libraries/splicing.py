"""What a commit changes in the rows of a document: itself, its chunks, and the library's clock.

All within the transaction of the commit, in as many statements however many chunks there are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import ChunkExists
from hanax.metadata.libraries.document_rows import CHUNK_COLUMNS
from hanax.metadata.libraries.rows import Change, Chunk, Document, Splice, clock_part, shown_id
from hanax.metadata.libraries.tables import CHUNKS, CLOCKS, DOCUMENTS


async def tick(connection: AsyncConnection, change: Change, splice: Splice) -> int:
    """Move the library's clock on; the commits in the document's part of it."""
    moves = bool(splice.removed and splice.chunks)
    found = await connection.execute(
        update(CLOCKS)
        .where(CLOCKS.c.library_id == change.library_id, CLOCKS.c.part == clock_part(change.document_id))
        .values(commits=CLOCKS.c.commits + 1, moves=CLOCKS.c.moves + int(moves))
        .returning(CLOCKS.c.commits)
    )
    commits: int = found.scalar_one()
    return commits


async def replace_chunks(
    connection: AsyncConnection, document_id: str, splice: Splice, document: Document | None
) -> list[Chunk]:
    """Write the document and its chunks; the chunks that were in their places."""
    within = (
        CHUNKS.c.document_id == document_id,
        CHUNKS.c.position >= splice.start,
        CHUNKS.c.position < splice.start + splice.removed,
    )
    old = [Chunk(*row) for row in await connection.execute(select(*CHUNK_COLUMNS).where(*within))]
    await connection.execute(delete(CHUNKS).where(*within))
    if document is None:
        await connection.execute(delete(DOCUMENTS).where(DOCUMENTS.c.id == document_id))
        return old
    await _check_chunk_ids(connection, splice)
    await _write_document(connection, document)
    if moved := len(splice.chunks) - splice.removed:
        await connection.execute(
            update(CHUNKS)
            .where(CHUNKS.c.document_id == document_id, CHUNKS.c.position >= splice.start + splice.removed)
            .values(position=CHUNKS.c.position + moved)
        )
    if splice.chunks:
        rows = [{name: getattr(row, name) for name in Chunk.__dataclass_fields__} for row in splice.chunks]
        await connection.execute(insert(CHUNKS), rows)
    return old


async def _check_chunk_ids(connection: AsyncConnection, splice: Splice) -> None:
    ids = [chunk.id for chunk in splice.chunks]
    taken = select(func.min(CHUNKS.c.id)).where(CHUNKS.c.id.in_(ids))
    if ids and (other := (await connection.execute(taken)).scalar_one()) is not None:
        raise ChunkExists(f"there is a chunk {shown_id(other)} already, elsewhere", chunk=shown_id(other))


async def _write_document(connection: AsyncConnection, document: Document) -> None:
    row = {name: getattr(document, name) for name in Document.__dataclass_fields__}
    row["metadata"] = json.dumps(document.metadata)
    row["chunking"] = None if document.chunking is None else json.dumps(document.chunking)
    changed = await connection.execute(update(DOCUMENTS).where(DOCUMENTS.c.id == document.id).values(row))
    if changed.rowcount == 0:
        await connection.execute(insert(DOCUMENTS).values(row))


async def hollow(connection: AsyncConnection, document_id: str, old: Sequence[Chunk]) -> list[str]:
    """The changes of `old` chunks of which none is left."""
    wrote = {chunk.change_id for chunk in old}
    if not wrote:
        return []
    kept = await connection.execute(
        select(CHUNKS.c.change_id)
        .where(CHUNKS.c.document_id == document_id, CHUNKS.c.change_id.in_(wrote))
        .distinct()
    )
    return sorted(wrote - set(kept.scalars()))
