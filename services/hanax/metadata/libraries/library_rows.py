"""Libraries in the database, from the first word of one to the last.

creating -> ready -> withdrawn -> forgotten -> no row. A library is there for users while it is ready. In
every other state a lease says until when somebody works on it; whoever comes after that takes over:
creating and withdrawn are brought to an end, and forgotten is a second look for a collection that somebody
who was held up has declared after all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import LibraryExists, LibraryNotFound, RevisionConflict
from hanax.metadata.database import Database
from hanax.metadata.libraries.rows import CLOCK_PARTS, Leases, Library, shown_id
from hanax.metadata.libraries.tables import CHANGES, CHUNKS, CLOCKS, DOCUMENTS, LIBRARIES
from hanax.metadata.pages import Pages, Place

# Rows of one transaction that empties a library, documents with all their chunks.
_DOCUMENTS_AT_ONCE: Final = 20

# A row of these is a `Library`.
LIBRARY_COLUMNS: Final = [LIBRARIES.c[name] for name in Library.__dataclass_fields__]

# Built once: to build a statement takes as long as the database does.
_ONE: Final = select(*LIBRARY_COLUMNS).where(
    LIBRARIES.c.id == bindparam("library"), LIBRARIES.c.state == "ready"
)
_KEPT: Final = _ONE.with_for_update(read=True)
_COUNT_DOCUMENTS: Final = select(func.count()).where(DOCUMENTS.c.library_id == bindparam("library"))
_PAGES: Final = Pages(select(*LIBRARY_COLUMNS).where(LIBRARIES.c.state == "ready"), LIBRARIES)


class LibraryRows:
    """Methods raise what `Database.run` raises."""

    def __init__(self, database: Database, leases: Leases, now_us: Callable[[], int]) -> None:
        self._database = database
        self._leases = leases
        self._now_us = now_us

    async def begin(self, library: Library) -> None:
        """Take the id and the name of a library that is being created. Raises LibraryExists."""

        async def work(connection: AsyncConnection) -> None:
            await self._check_id(connection, library.id)
            await _check_name(connection, library.name, library.id)
            row = {**_columns(library), "lease_until_at_us": self._in(self._leases.work_s)}
            await connection.execute(insert(LIBRARIES).values(row))
            parts = [
                {"library_id": library.id, "part": part, "commits": 0, "moves": 0}
                for part in range(CLOCK_PARTS)
            ]
            await connection.execute(insert(CLOCKS), parts)

        await self._database.run(work)

    async def serve(self, library_id: str, collection_uid: str) -> Library | None:
        """From now on it is there; None: it took too long, and was withdrawn."""

        async def work(connection: AsyncConnection) -> Library | None:
            found = await connection.execute(
                update(LIBRARIES)
                .where(LIBRARIES.c.id == library_id, LIBRARIES.c.state == "creating")
                .values(state="ready", collection_uid=collection_uid, lease_until_at_us=None)
                .returning(*LIBRARY_COLUMNS)
            )
            row = found.one_or_none()
            return None if row is None else library_from(row)

        return await self._database.run(work)

    async def give_up(self, library_id: str) -> None:
        """Of a library that is being created; anybody may take it over."""

        async def work(connection: AsyncConnection) -> None:
            state = select(LIBRARIES.c.state).where(LIBRARIES.c.id == library_id)
            if (await connection.execute(state)).scalar_one_or_none() == "creating":
                await self._move(connection, library_id, "withdrawn", 0.0)

        await self._database.run(work)

    async def get(self, library_id: str) -> Library:
        """Raises LibraryNotFound."""
        return found_library(library_id, await self._database.ask(_ONE, {"library": library_id}))

    async def count_documents(self, library_id: str) -> int:
        ((count,),) = await self._database.ask(_COUNT_DOCUMENTS, {"library": library_id})
        return int(count)

    async def page(self, limit: int, after: Place | None) -> list[Library]:
        """The newest first."""
        rows = await self._database.ask(*_PAGES.at(limit, after))
        return [library_from(row) for row in rows]

    async def change(
        self, library_id: str, if_revision: int | None, values: Callable[[Library], Mapping[str, Any]]
    ) -> Library:
        """values: what shall be other than in the library as it is; nothing: it stays as it is.

        Raises LibraryNotFound, RevisionConflict, LibraryExists.
        """

        async def work(connection: AsyncConnection) -> Library:
            library = await ready_library(connection, library_id)
            check_revision("library", library_id, library.revision, if_revision)
            changed = dict(values(library))
            if not changed:
                return library
            if "name" in changed:
                await _check_name(connection, changed["name"], library_id)
            if "metadata" in changed:
                changed["metadata"] = json.dumps(changed["metadata"])
            found = await connection.execute(
                update(LIBRARIES)
                .where(LIBRARIES.c.id == library_id)
                .values(**changed, revision=library.revision + 1, updated_at_us=self._now_us())
                .returning(*LIBRARY_COLUMNS)
            )
            return library_from(found.one())

        return await self._database.run(work)

    async def withdraw(self, library_id: str, if_revision: int | None) -> Library:
        """From now on it is not there, and anybody may take it over.

        Raises LibraryNotFound, RevisionConflict.
        """

        async def work(connection: AsyncConnection) -> Library:
            library = await ready_library(connection, library_id)
            check_revision("library", library_id, library.revision, if_revision)
            await self._move(connection, library_id, "withdrawn", 0.0)
            return library

        return await self._database.run(work)

    async def take_over(self, limit: int) -> list[Library]:
        """Libraries that somebody has left in the middle, as they were found: from now on the caller's.

        Those that were being created are withdrawn.
        """

        async def work(connection: AsyncConnection) -> list[Library]:
            rows = await connection.execute(
                select(*LIBRARY_COLUMNS).where(LIBRARIES.c.lease_until_at_us < self._now_us()).limit(limit)
            )
            found = [library_from(row) for row in rows]
            for library in found:
                state = "forgotten" if library.state == "forgotten" else "withdrawn"
                await self._move(connection, library.id, state, self._leases.work_s)
            return found

        return await self._database.run(work)

    async def empty(self, library_id: str) -> bool:
        """Remove some documents of a withdrawn library; False when none are left."""

        async def work(connection: AsyncConnection) -> bool:
            some = (
                select(DOCUMENTS.c.id).where(DOCUMENTS.c.library_id == library_id).limit(_DOCUMENTS_AT_ONCE)
            )
            ids = list((await connection.execute(some)).scalars())
            if not ids:
                await connection.execute(delete(CHANGES).where(CHANGES.c.library_id == library_id))
                await connection.execute(delete(CLOCKS).where(CLOCKS.c.library_id == library_id))
                return False
            await connection.execute(delete(CHUNKS).where(CHUNKS.c.document_id.in_(ids)))
            await connection.execute(delete(DOCUMENTS).where(DOCUMENTS.c.id.in_(ids)))
            return True

        return await self._database.run(work)

    async def forget(self, library_id: str) -> None:
        """Its collection and documents are gone: to be looked after once more when the lease ends."""

        async def work(connection: AsyncConnection) -> None:
            await self._move(connection, library_id, "forgotten", self._leases.kept_s)

        await self._database.run(work)

    async def remove(self, library_id: str) -> None:
        """The row of a forgotten library."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                delete(LIBRARIES).where(LIBRARIES.c.id == library_id, LIBRARIES.c.state == "forgotten")
            )

        await self._database.run(work)

    async def _move(self, connection: AsyncConnection, library_id: str, state: str, lease_s: float) -> None:
        await connection.execute(
            update(LIBRARIES)
            .where(LIBRARIES.c.id == library_id)
            .values(state=state, name=None, lease_until_at_us=self._in(lease_s))
        )

    async def _check_id(self, connection: AsyncConnection, library_id: str) -> None:
        query = select(LIBRARIES.c.state).where(LIBRARIES.c.id == library_id)
        state = (await connection.execute(query)).scalar_one_or_none()
        if state is None:
            return
        id = shown_id(library_id)
        if state in ("withdrawn", "forgotten"):
            raise LibraryExists(
                f"library {id} was removed a short while ago, and its id is free some "
                f"{self._leases.kept_s:g} s after that: leave id out, or give another",
                library=id,
            )
        raise LibraryExists(f"there is a library {id} already", library=id)

    def _in(self, seconds: float) -> int:
        return self._now_us() + round(seconds * 1e6)


async def ready_library(connection: AsyncConnection, library_id: str) -> Library:
    """Raises LibraryNotFound."""
    return found_library(library_id, (await connection.execute(_ONE, {"library": library_id})).all())


async def keep_library(connection: AsyncConnection, library_id: str) -> Library:
    """As `ready_library`; it stays as it is until the transaction ends, which others may hold it for, too."""
    found = await connection.execute(_KEPT, {"library": library_id})
    return found_library(library_id, found.all())


def found_library(library_id: str, rows: Sequence[Sequence[Any]]) -> Library:
    """Of the first row, which begins with LIBRARY_COLUMNS. Raises LibraryNotFound where there is none."""
    if not rows:
        raise library_not_found(library_id)
    return library_from(rows[0])


def library_not_found(library_id: str) -> LibraryNotFound:
    return LibraryNotFound(f"there is no library {shown_id(library_id)}", library=shown_id(library_id))


def check_revision(kind: str, id: str, found: int, expected: int | None) -> None:
    """Raises RevisionConflict unless the revision is the expected one; None: any is."""
    if expected is not None and found != expected:
        raise RevisionConflict(
            f"{kind} {shown_id(id)} has revision {found}, the request is for {expected}",
            id=shown_id(id),
            expected=expected,
            found=found,
        )


async def _check_name(connection: AsyncConnection, name: str | None, library_id: str) -> None:
    taken = select(LIBRARIES.c.id).where(LIBRARIES.c.name == name, LIBRARIES.c.id != library_id)
    if (other := (await connection.execute(taken)).scalar_one_or_none()) is not None:
        raise LibraryExists(f"there is a library {name!r} already", name=name, library=shown_id(other))


def library_from(row: Sequence[Any]) -> Library:
    """row: begins with LIBRARY_COLUMNS."""
    id, name, metadata, *others = row[: len(LIBRARY_COLUMNS)]
    return Library(id, name, json.loads(metadata), *others)


def _columns(library: Library) -> dict[str, Any]:
    return {
        name: json.dumps(library.metadata) if name == "metadata" else getattr(library, name)
        for name in Library.__dataclass_fields__
    }
