"""The database's schema brought to the one that this version knows, whoever and however many ask for it.

One transaction holds it all: the lock, every missing migration, and the note of the last one. So who
comes second finds the work done, and a migration that fails, or a process that is killed, leaves the
schema as it was. A service that starts beside others of its version asks once and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.metadata.database import Database, schema_of

MIGRATIONS: Final = Path(__file__).parent / "migrations"

# A long migration of another process is waited for within this, too.
_UPGRADE_TIMEOUT_S: Final = 600.0

# Any number that no one else in this database locks; the digits of "hanax" in base 36.
_LOCK: Final = int("hanax", 36)


async def upgrade(database: Database, migrations: Path = MIGRATIONS) -> None:
    """Run the migrations that the database lacks. Nothing is changed where it lacks none.

    migrations: an Alembic folder, whose files are named by their revisions, in order. Raises DatabaseNewer
    for a database of a newer version, and what `Database.run` raises; a migration that fails is undone and
    named in the log.
    """
    newest = await asyncio.to_thread(_newest, migrations)

    async def work(connection: AsyncConnection) -> None:
        if database.dialect == "postgresql":
            # Held to the end of the transaction. A SQLite transaction that writes is alone as it is.
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        found = await schema_of(connection)
        if found != newest:
            migrate = await asyncio.to_thread(_migrate)
            await connection.run_sync(migrate, migrations, found)

    await database.alone(work, _UPGRADE_TIMEOUT_S)


def _newest(migrations: Path) -> str:
    return max(path.stem for path in (migrations / "versions").glob("*.py"))


def _migrate() -> Callable[[Connection, Path, str | None], None]:
    from hanax.metadata.migrating import migrate

    return migrate
