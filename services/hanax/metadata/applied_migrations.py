"""Migrations of collections that were applied, and the lock of whoever applies them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Column, Integer, String, Table, Text, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import MigrationLocked
from hanax.metadata.database import Database
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


class AppliedMigrations:
    """Each change is durable on return, and made by the holder of the lock alone: else MigrationLocked."""

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
        now_us = self._now_us()

        async def write(connection: AsyncConnection) -> None:
            taken = await connection.execute(
                update(MIGRATION_LOCK)
                .where(MIGRATION_LOCK.c.id == _LOCK, MIGRATION_LOCK.c.until_us <= now_us)
                .values(owner=self._owner, until_us=now_us + round(seconds * 1e6))
            )
            if not taken.rowcount:
                raise MigrationLocked(
                    "somebody else migrates; a lock whose holder died is free within half a minute"
                )

        await self._database.run(write)

    async def renew(self, seconds: float) -> None:
        async def write(connection: AsyncConnection) -> None:
            await self._hold(connection)
            until_us = self._now_us() + round(seconds * 1e6)
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
                update(MIGRATION_LOCK)
                .where(MIGRATION_LOCK.c.owner == self._owner, MIGRATION_LOCK.c.until_us > self._now_us())
                .values(owner=self._owner)
            )
        ).rowcount
        if not held:
            raise MigrationLocked("the lock was not renewed in time; somebody else may migrate now")


def _applied(row: Any) -> Applied:
    return Applied(**{**row, "steps": tuple(StepNote(**step) for step in row["steps"])})
