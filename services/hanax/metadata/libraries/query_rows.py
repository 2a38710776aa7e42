"""What a query asks of the database: whether points that a search has found are chunks at one moment.

Everything that decides about one search is read in one picture. A point that is no chunk in it, and that no
change under way has written, will never be one again; a point of a change under way may be a chunk by the
time of the next search.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import and_, bindparam, case, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.metadata.database import Database
from hanax.metadata.libraries.document_rows import CHUNK_COLUMNS
from hanax.metadata.libraries.library_rows import LIBRARY_COLUMNS, found_library, library_not_found
from hanax.metadata.libraries.rows import Chunk, Clock, Library
from hanax.metadata.libraries.tables import CHANGES, CHUNKS, CLOCKS, LIBRARIES

# Points that are named one by one to be left out of searches; of more, their changes are.
_NAMED_POINTS: Final = 100

# Changes under way of one library that are looked at, and what is left out at once, of each kind.
_LEFT_OUT: Final = 1_000

# Built once: to build a statement takes as long as the database does. A row for each part of the clock; its
# first part has the library's metadata, and a row for each chunk.
_BEGUN: Final = (
    select(
        *(
            case((CLOCKS.c.part == 0, column)) if column is LIBRARIES.c.metadata else column
            for column in LIBRARY_COLUMNS
        ),
        CLOCKS.c.commits,
        CLOCKS.c.moves,
    )
    .join(CLOCKS, CLOCKS.c.library_id == LIBRARIES.c.id)
    .where(LIBRARIES.c.id == bindparam("library"), LIBRARIES.c.state == "ready")
    .order_by(CLOCKS.c.part)
)
_CHECKED: Final = (
    select(CLOCKS.c.part, CLOCKS.c.commits, CLOCKS.c.moves, *CHUNK_COLUMNS)
    .join(CLOCKS, CLOCKS.c.library_id == LIBRARIES.c.id)
    .outerjoin(CHUNKS, and_(CLOCKS.c.part == 0, CHUNKS.c.point_id.in_(bindparam("points", expanding=True))))
    .where(LIBRARIES.c.id == bindparam("library"), LIBRARIES.c.state == "ready")
)


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
        rows = await self._database.ask(_BEGUN, {"library": library_id})
        return found_library(library_id, rows), _clock(row[-2:] for row in rows)

    async def check(self, library_id: str, point_ids: Collection[str]) -> Checked:
        asked = {"library": library_id, "points": _padded(point_ids)}
        checked = _checked(library_id, await self._database.ask(_CHECKED, asked))
        if len(checked.current) == len(point_ids):
            return checked

        async def work(connection: AsyncConnection) -> Checked:
            rows = (await connection.execute(_CHECKED, asked)).all()
            again = _checked(library_id, rows)
            if len(again.current) == len(point_ids):
                return again
            return replace(again, left_out=await _left_out(connection, library_id))

        return await self._database.read(work)


def _checked(library_id: str, rows: Sequence[Sequence[Any]]) -> Checked:
    if not rows:
        raise library_not_found(library_id)
    current = {chunk.point_id: chunk for row in rows if row[3] is not None for chunk in (Chunk(*row[3:]),)}
    parts = {part: (commits, moves) for part, commits, moves, *_ in rows}
    return Checked(current, _clock(parts[part] for part in sorted(parts)), LeftOut([], [], []))


def _clock(parts: Iterable[Sequence[int]]) -> Clock:
    """parts: commits and moves of each, in order."""
    commits, moves = zip(*parts, strict=True)
    return Clock(commits, sum(moves))


def _padded(ids: Collection[str]) -> list[str]:
    """The ids, some of them again, so that there are a power of two: else each number of ids would be another
    statement, to be prepared on each connection.
    """
    padded = list(ids)
    size = 1 << max(0, len(padded) - 1).bit_length()
    return padded + padded[-1:] * (size - len(padded))


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
