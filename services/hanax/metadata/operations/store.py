"""The operation log in the database: adding, reading newest first, and forgetting what is old."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from typing import Any, Final

from sqlalchemy import Integer, Select, bindparam, delete, func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.metadata.database import Database
from hanax.metadata.operations.operation import Noted, Operation, Place, Wanted
from hanax.metadata.operations.tables import OPERATION_LOG

_C: Final = OPERATION_LOG.c
_ADD: Final = insert(OPERATION_LOG)
# A row of these is an `Operation`.
_OF_OPERATION: Final = [_C[name] for name in Operation.__dataclass_fields__]


class OperationStore:
    """Each method is one transaction, and raises what `Database.run` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, operations: Sequence[Operation], instance: str) -> None:
        """All or none. Called again after an error it may add them twice: a log, no ledger."""
        rows = [
            {
                "at_us": noted.at_us,
                "duration_us": noted.duration_us,
                "operation": _storable(noted.operation, 64),
                "collection": _storable(noted.collection, 255),
                "actor": _storable(noted.actor, 128),
                "outcome": _storable(noted.outcome, 64),
                "items": noted.items,
                "request_id": _storable(noted.request_id, 128),
                "instance": _storable(instance, 255),
            }
            for noted in operations
        ]
        if rows:
            await self._database.put(_ADD, rows)

    async def page(self, wanted: Wanted, limit: int, after: Place | None = None) -> list[Noted]:
        """At most `limit` lines, newest first, of those behind `after`."""
        values = {name: value for name, value in asdict(wanted).items() if value is not None}
        question = _page(tuple(values), after is not None)
        place = {} if after is None else {"after_us": after.at_us, "after_id": after.id}
        rows = await self._database.ask(question, {**values, **place, "limit": limit})
        return [Noted(id, instance, Operation(*told)) for id, instance, *told in rows]

    async def forget(self, before_us: int, limit: int) -> int:
        """Remove the oldest lines from before an instant, `limit` at most; how many there were."""
        return await self._remove(
            select(_C.id).where(_C.at_us < before_us).order_by(_C.at_us, _C.id).limit(limit)
        )

    async def forget_up_to(self, last: int, limit: int) -> int:
        """Remove the oldest lines up to the one with this id, `limit` at most; how many there were."""
        return await self._remove(select(_C.id).where(_C.id <= last).order_by(_C.id).limit(limit))

    async def newest(self) -> int:
        """The id of the newest line; 0: there is none. With those below it there are no more lines than that,
        as ids are numbered one by one.
        """
        ((newest,),) = await self._database.ask(select(func.max(_C.id)))
        return newest or 0

    async def _remove(self, oldest: Select[tuple[int]]) -> int:
        async def work(connection: AsyncConnection) -> int:
            gone = await connection.execute(delete(OPERATION_LOG).where(_C.id.in_(oldest)))
            return gone.rowcount

        return await self._database.run(work)

    async def count(self) -> int:
        """All lines there are. Reads them all."""
        ((count,),) = await self._database.ask(select(func.count()).select_from(OPERATION_LOG))
        return int(count)


@cache
def _page(wanted: tuple[str, ...], behind: bool) -> Select[Any]:
    """Built once: to build a statement takes as long as the database does. wanted: some of three columns."""
    query = select(_C.id, _C.instance, *_OF_OPERATION).where(
        *(_C[name] == bindparam(name) for name in wanted)
    )
    if behind:
        after = tuple_(bindparam("after_us", type_=_C.at_us.type), bindparam("after_id", type_=_C.id.type))
        query = query.where(tuple_(_C.at_us, _C.id) < after)
    newest_first = query.order_by(_C.at_us.desc(), _C.id.desc())
    return newest_first.limit(bindparam("limit", type_=Integer))


def _storable(text: str, length: int) -> str:
    """A user wrote it, perhaps with what PostgreSQL takes in no text: NUL, half a surrogate pair."""
    return text[:length].encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
