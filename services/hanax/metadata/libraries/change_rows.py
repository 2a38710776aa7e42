"""Changes of documents under way: what makes a change of many points one change.

A change begins by holding its document, so that there is one at a time. Its points have ids of its own and
are no chunks yet. The transaction of `commit` makes them the document's chunks, and names those that are
chunks no longer. What is left then is to remove points: the stale ones of a committed change, the new ones
of a change that was undone. A lease says until when somebody is at it, and is renewed by who is; who comes
later undoes a change that still writes, and removes points where they were left.

A change that was undone is kept for a while, and its points are removed once more then: whoever was held up
in the middle of it may have written some after all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import DocumentBusy, DocumentExists
from hanax.metadata.database import Database
from hanax.metadata.libraries.document_rows import CHUNK_COLUMNS, document_not_found, find_document
from hanax.metadata.libraries.library_rows import check_revision, keep_library
from hanax.metadata.libraries.rows import (
    Change,
    Chunk,
    Document,
    Leases,
    Library,
    Splice,
    shown_id,
)
from hanax.metadata.libraries.splicing import hollow, replace_chunks, tick
from hanax.metadata.libraries.tables import CHANGES, CHUNKS

T = TypeVar("T")

# Most changes end sooner, and who is left by a gateway that is gone is free after a few of these.
_BUSY_FOR_S: Final = 1.0
_MOST_MEETINGS: Final = 8


@dataclass(frozen=True, slots=True)
class Intent:
    """A change that shall begin.

    is_new: whether there must be no such document, or one. if_revision: of a document that there is.
    points: how many it writes; None: as many as the document has chunks. reads: chunks that are wanted of the
    document as it is now, by their ids; None: all.
    """

    id: str
    library_id: str
    document_id: str
    is_new: bool
    points: int | None
    if_revision: int | None = None
    reads: Sequence[str] | None = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A change that has begun, and the document as it is until it ends; None: there is none yet.

    chunks: those that were asked for, by position. undone: changes that were left here by somebody else,
    whose points are to be removed.
    """

    change: Change
    library: Library
    document: Document | None
    chunks: list[Chunk]
    undone: list[Change]


class ChangeRows:
    """Methods raise what `Database.run` raises.

    Rows order them, so that many documents of one library may be changed at once: a change's row is locked by
    whoever ends it, its document is held by that row, and a library stays while changes begin or commit.
    """

    def __init__(self, database: Database, leases: Leases, now_us: Callable[[], int]) -> None:
        self._database = database
        self._leases = leases
        self._now_us = now_us

    async def begin(self, intent: Intent) -> Held:
        """Raises LibraryNotFound, DocumentNotFound, DocumentExists, RevisionConflict, DocumentBusy."""

        async def work(connection: AsyncConnection) -> Held:
            library = await keep_library(connection, intent.library_id)
            undone = await self._free(connection, intent)
            await connection.execute(
                insert(CHANGES).values(
                    id=intent.id,
                    library_id=intent.library_id,
                    document_id=intent.document_id,
                    holds=intent.document_id,
                    state="writing",
                    points=intent.points or 0,
                    stale_points=[],
                    stale_changes=[],
                    lease_until_at_us=self._in(self._leases.held_s),
                )
            )
            # From now on nobody else changes it.
            document = await find_document(connection, intent.document_id)
            _check_document(intent, document)
            points = intent.points
            if points is None:
                points = 0 if document is None else document.chunks
                mine = CHANGES.c.id == intent.id
                await connection.execute(update(CHANGES).where(mine).values(points=points))
            change = Change(intent.id, intent.library_id, intent.document_id, "writing", points)
            return Held(change, library, document, await _read_chunks(connection, intent), undone)

        return await self._by_locks(work)

    async def commit(self, held: Held, document: Document | None, splice: Splice) -> Change | None:
        """The document is `document` from now on, with these chunks; None: there is none, and none are.

        The change as it is now, or None where it was undone meanwhile. Raises LibraryNotFound, ChunkExists.
        """
        change = held.change

        async def work(connection: AsyncConnection) -> Change | None:
            if not await self._is_writing(connection, change.id):
                return None
            await keep_library(connection, change.library_id)
            stamp = await tick(connection, change, splice)
            stamped = replace(splice, chunks=[replace(chunk, stamp=stamp) for chunk in splice.chunks])
            old = await replace_chunks(connection, change.document_id, stamped, document)
            stale_points = sorted({row.point_id for row in old} - {row.point_id for row in splice.chunks})
            stale_changes = await hollow(connection, change.document_id, old)
            await connection.execute(
                update(CHANGES)
                .where(CHANGES.c.id == change.id)
                .values(
                    state="committed",
                    holds=None,
                    stale_points=stale_points,
                    stale_changes=stale_changes,
                    lease_until_at_us=self._in(self._leases.work_s),
                )
            )
            return Change(
                change.id,
                change.library_id,
                change.document_id,
                "committed",
                change.points,
                stale_points,
                stale_changes,
            )

        return await self._by_locks(work)

    async def renew(self, change_id: str) -> None:
        """Hold the document on. One that was undone, or has ended, is as it was."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                update(CHANGES)
                .where(CHANGES.c.id == change_id, CHANGES.c.state == "writing")
                .values(lease_until_at_us=self._in(self._leases.held_s))
            )

        await self._database.run_by_locks(work)

    @property
    def renew_each_s(self) -> float:
        """How often a change is to be renewed: three of these in a row may fail."""
        return self._leases.held_s / 4

    async def undo(self, change_id: str) -> Change | None:
        """Give up a change that still writes: as it is now, or None where it has ended. Its points are
        removed by the caller, and once more when its lease ends.
        """

        async def work(connection: AsyncConnection) -> Change | None:
            found = await connection.execute(
                update(CHANGES)
                .where(CHANGES.c.id == change_id, CHANGES.c.state == "writing")
                .values(**self._undone())
                .returning(*CHANGES.c)
            )
            row = found.one_or_none()
            return None if row is None else change_from(row)

        return await self._database.run_by_locks(work)

    async def find(self, change_id: str) -> Change | None:
        async def work(connection: AsyncConnection) -> Change | None:
            row = (await connection.execute(select(CHANGES).where(CHANGES.c.id == change_id))).one_or_none()
            return None if row is None else change_from(row)

        return await self._database.read(work)

    async def forget(self, change_id: str) -> None:
        """Nothing is left to be done for it."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                delete(CHANGES).where(CHANGES.c.id == change_id, CHANGES.c.state != "writing")
            )

        await self._database.run_by_locks(work)

    async def take_over(self, limit: int) -> list[Change]:
        """Changes whose lease has ended, as they were found: from now on the caller's. Those that still
        wrote are undone.
        """

        async def work(connection: AsyncConnection) -> list[Change]:
            late = select(CHANGES).where(CHANGES.c.lease_until_at_us < self._now_us()).limit(limit)
            found = [change_from(row) for row in await connection.execute(late)]
            for change in found:
                await self._lease(connection, change)
            return found

        return await self._database.run(work)

    async def _by_locks(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Two that insert the same, one beside the other, are told of it by what they look for: whoever
        was second looks again, and a third one may have come in between.
        """
        for _ in range(_MOST_MEETINGS - 1):
            with suppress(IntegrityError):
                return await self._database.run_by_locks(work)
        return await self._database.run_by_locks(work)

    async def _free(self, connection: AsyncConnection, intent: Intent) -> list[Change]:
        """Undo a change of the document that was left in the middle.

        Raises DocumentBusy for one that is under way, and what would be in the way after it.
        """
        holder = select(CHANGES).where(CHANGES.c.holds == intent.document_id).with_for_update()
        row = (await connection.execute(holder)).one_or_none()
        if row is None:
            return []
        if row.lease_until_at_us >= self._now_us():
            _check_document(intent, await find_document(connection, intent.document_id))
            raise DocumentBusy(
                f"document {shown_id(intent.document_id)} is being changed by another request",
                document=shown_id(intent.document_id),
                retry_after_s=_BUSY_FOR_S,
            )
        change = change_from(row)
        await self._lease(connection, change)
        return [change]

    async def _lease(self, connection: AsyncConnection, change: Change) -> None:
        values = {"lease_until_at_us": self._in(self._leases.work_s)}
        if change.state == "writing":
            values = self._undone()
        await connection.execute(update(CHANGES).where(CHANGES.c.id == change.id).values(values))

    def _undone(self) -> dict[str, Any]:
        return {"state": "undone", "holds": None, "lease_until_at_us": self._in(self._leases.kept_s)}

    def _in(self, seconds: float) -> int:
        return self._now_us() + round(seconds * 1e6)

    async def _is_writing(self, connection: AsyncConnection, change_id: str) -> bool:
        state = select(CHANGES.c.state).where(CHANGES.c.id == change_id).with_for_update()
        return (await connection.execute(state)).scalar_one_or_none() == "writing"


def _check_document(intent: Intent, document: Document | None) -> None:
    if intent.is_new:
        if document is not None:
            raise DocumentExists(
                f"there is a document {shown_id(intent.document_id)} already",
                document=shown_id(intent.document_id),
                library=shown_id(document.library_id),
            )
        return
    if document is None or document.library_id != intent.library_id:
        raise document_not_found(intent.document_id)
    check_revision("document", document.id, document.revision, intent.if_revision)


async def _read_chunks(connection: AsyncConnection, intent: Intent) -> list[Chunk]:
    if intent.reads is not None and not intent.reads:
        return []
    query = select(*CHUNK_COLUMNS).where(CHUNKS.c.document_id == intent.document_id)
    if intent.reads is not None:
        query = query.where(CHUNKS.c.id.in_(intent.reads))
    return [Chunk(*row) for row in await connection.execute(query.order_by(CHUNKS.c.position))]


def change_from(row: Row[Any]) -> Change:
    columns = row._asdict()
    return Change(**{name: columns[name] for name in Change.__dataclass_fields__})
