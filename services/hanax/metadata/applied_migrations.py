"""Migrations of collections that were applied, and the lock of whoever applies them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Column, Integer, String, Table, Text, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import MigrationLocked
from hanax.metadata.database import Database, schema_of
from hanax.metadata.engines import DatabaseOptions, Place
from hanax.metadata.tables import ID, INSTANT, JSON_VALUE, TABLES

APPLIED_MIGRATIONS = Table(
    "applied_migrations",
    TABLES,
    Column("name", String(128), primary_key=True),
    Column("checksum", String(64), nullable=False),
    Column("direction", String(4), nullable=False),
    Column("state", String(16), nullable=False),
    Column("steps", JSON_VALUE, nullable=False),
    Column("error", Text),
    Column("began_at_us", INSTANT, nullable=False),
    Column("ended_at_us", INSTANT),
)
# One row, made with the table.
MIGRATION_LOCK = Table(
    "migration_lock",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("owner", ID, nullable=False),
    Column("until_us", INSTANT, nullable=False),
)

_LOCK = 1
# That has the tables.
_FIRST_SCHEMA = "0002_migrations"
_SERVER_CLOCK_US = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")


@dataclass(frozen=True, slots=True)
class StepNote:
    """memo: JSON values, what taking the step back needs."""

    title: str
    state: Literal["pending", "doing", "done", "undone"]
    memo: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Applied:
    """checksum: of its file then. Instants are microseconds since 1970 UTC."""

    name: str
    checksum: str
    direction: Literal["up", "down"]
    state: Literal["running", "applied", "failed"]
    steps: tuple[StepNote, ...]
    began_at_us: int
    ended_at_us: int | None = None
    error: str | None = None


async def read_applied(options: DatabaseOptions) -> list[Applied]:
    """By name, without changing anything: none where there is no database, or none of these tables yet."""
    path = Place.parse(options.url).path
    if path is not None and not path.exists():
        return []
    database = Database(options)
    try:
        found = await database.read(schema_of)
        if found is None or found < _FIRST_SCHEMA:
            return []
        return await AppliedMigrations(database, lambda: 0).all()
    finally:
        await database.close()


class AppliedMigrations:
    """Each change is durable on return, and made by the holder of the lock alone: else MigrationLocked.

    The lock is another's when another has taken it, not when its time is over: who slept, and was not missed,
    goes on. Its time is that of PostgreSQL's clock, as there may be several machines; a SQLite file is of
    one, whose clock is `now_us`, in microseconds since 1970 UTC.
    """

    def __init__(self, database: Database, now_us: Callable[[], int]) -> None:
        self._database = database
        self._now_us = now_us
        self._owner = uuid.uuid4().hex

    async def all(self) -> list[Applied]:
        """By name."""
        rows = await self._database.ask(select(APPLIED_MIGRATIONS).order_by(APPLIED_MIGRATIONS.c.name))
        return [_applied(row._mapping) for row in rows]

    async def save(self, migration: Applied) -> None:
        row = asdict(migration)

        async def write(connection: AsyncConnection) -> None:
            await self._hold(connection)
            key = APPLIED_MIGRATIONS.c.name == migration.name
            changed = await connection.execute(update(APPLIED_MIGRATIONS).where(key).values(row))
            if not changed.rowcount:
                await connection.execute(insert(APPLIED_MIGRATIONS).values(row))

        await self._database.run(write)

    async def remove(self, name: str) -> None:
        async def write(connection: AsyncConnection) -> None:
            await self._hold(connection)
            await connection.execute(delete(APPLIED_MIGRATIONS).where(APPLIED_MIGRATIONS.c.name == name))

        await self._database.run(write)

    async def lock(self, seconds: float) -> None:
        """Take the lock for so long. Raises MigrationLocked while somebody else has it."""
        until = MIGRATION_LOCK.c.until_us

        async def write(connection: AsyncConnection) -> bool:
            now_us = await self._clock_us(connection)
            end_us = now_us + round(seconds * 1e6)
            taken = await connection.execute(
                update(MIGRATION_LOCK)
                .where(MIGRATION_LOCK.c.id == _LOCK, until <= now_us)
                .values(owner=self._owner, until_us=end_us)
            )
            if not taken.rowcount:
                # Longer than anybody takes it for: the clock has gone back since.
                await connection.execute(update(MIGRATION_LOCK).where(until > end_us).values(until_us=end_us))
            return bool(taken.rowcount)

        if not await self._database.run(write):
            raise MigrationLocked(
                "somebody else migrates; a lock whose holder died is free within half a minute"
            )

    async def renew(self, seconds: float) -> None:
        async def write(connection: AsyncConnection) -> None:
            await self._hold(connection)
            until_us = await self._clock_us(connection) + round(seconds * 1e6)
            await connection.execute(update(MIGRATION_LOCK).values(until_us=until_us))

        await self._database.run(write)

    async def unlock(self) -> None:
        async def write(connection: AsyncConnection) -> None:
            await connection.execute(
                update(MIGRATION_LOCK).where(MIGRATION_LOCK.c.owner == self._owner).values(until_us=0)
            )

        await self._database.run(write)

    async def _hold(self, connection: AsyncConnection) -> None:
        """Raises MigrationLocked where the lock is another's by now."""
        held = (
            await connection.execute(
                update(MIGRATION_LOCK).where(MIGRATION_LOCK.c.owner == self._owner).values(owner=self._owner)
            )
        ).rowcount
        if not held:
            raise MigrationLocked("the lock was not renewed in time, and somebody else has it now")

    async def _clock_us(self, connection: AsyncConnection) -> int:
        if self._database.dialect == "sqlite":
            return self._now_us()
        return int((await connection.execute(_SERVER_CLOCK_US)).scalar_one())


def _applied(row: Any) -> Applied:
    return Applied(**{**row, "steps": tuple(StepNote(**step) for step in row["steps"])})
