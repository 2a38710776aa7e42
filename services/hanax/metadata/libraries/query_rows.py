"""What a query asks of the database: whether points that a search has found are chunks at one moment.

Everything that decides about one search is read in one picture. A point that is no chunk in it, and that no
change under way has written, will never be one again; a point of a change under way may be a chunk by the
time of the next search.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.metadata.database import Database
from hanax.metadata.libraries.document_rows import chunk_from
from hanax.metadata.libraries.library_rows import ready_library
from hanax.metadata.libraries.rows import Chunk, Clock, Library
from hanax.metadata.libraries.tables import CHANGES, CHUNKS, CLOCKS

# Points that are named one by one to be left out of searches; of more, their changes are.
_NAMED_POINTS: Final = 100

# Changes under way of one library that are looked at, and what is left out at once, of each kind.
_LEFT_OUT: Final = 1_000


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a search should not look at.

    under_way: changes whose points are no chunks yet. gone: changes of which no point is a chunk any more,
    and points that are none any more: for good. There may be more than is told.
    """

    under_way: list[str]
    gone: list[str]
    gone_points: list[str]


@dataclass(frozen=True, slots=True)
class Checked:
    """current: the chunks that points are now, by point; points that are none are left out.

    clock: the library's then. left_out: empty where all points are chunks.
    """

    current: dict[str, Chunk]
    clock: Clock
    left_out: LeftOut


class QueryRows:
    """Methods raise what `Database.read` raises, and LibraryNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, library_id: str) -> tuple[Library, Clock]:
        async def work(connection: AsyncConnection) -> tuple[Library, Clock]:
            return await ready_library(connection, library_id), await _clock(connection, library_id)

        return await self._database.read(work)

    async def check(self, library_id: str, point_ids: Collection[str]) -> Checked:
        async def work(connection: AsyncConnection) -> Checked:
            await ready_library(connection, library_id)
            rows = await connection.execute(select(CHUNKS).where(CHUNKS.c.point_id.in_(point_ids)))
            current = {row.point_id: chunk_from(row) for row in rows}
            left_out = LeftOut([], [], [])
            if len(current) < len(point_ids):
                left_out = await _left_out(connection, library_id)
            return Checked(current, await _clock(connection, library_id), left_out)

        return await self._database.read(work)


async def _clock(connection: AsyncConnection, library_id: str) -> Clock:
    parts = select(CLOCKS.c.commits, CLOCKS.c.moves).where(CLOCKS.c.library_id == library_id)
    rows = (await connection.execute(parts.order_by(CLOCKS.c.part))).all()
    return Clock([row.commits for row in rows], sum(row.moves for row in rows))


async def _left_out(connection: AsyncConnection, library_id: str) -> LeftOut:
    found = LeftOut([], [], [])
    rows = select(CHANGES).where(CHANGES.c.library_id == library_id).limit(_LEFT_OUT)
    for row in await connection.execute(rows):
        if row.state != "committed":
            found.under_way.append(row.id)
            continue
        found.gone.extend(row.stale_changes)
        if len(row.stale_points) <= _NAMED_POINTS:
            found.gone_points.extend(row.stale_points)
    return LeftOut(found.under_way, found.gone[:_LEFT_OUT], found.gone_points[:_LEFT_OUT])
