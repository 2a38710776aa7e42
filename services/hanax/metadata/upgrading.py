"""The database's schema brought to the one that this version knows, whoever and however many ask for it.

One transaction holds it all: the lock, every missing migration, and the note of the last one. So who
comes second finds the work done, and a migration that fails, or a process that is killed, leaves the
schema as it was. A service that starts beside others of its version asks once and changes nothing.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import DatabaseNewer
from hanax.metadata.database import SCHEMA_TABLE, Database

log = structlog.get_logger()

MIGRATIONS: Final = Path(__file__).parent / "migrations"

# A long migration of another process is waited for within this, too.
_UPGRADE_TIMEOUT_S: Final = 600.0

# Any number that no one else in this database locks; the digits of "hanax" in base 36.
_LOCK: Final = int("hanax", 36)


async def upgrade(database: Database, migrations: Path = MIGRATIONS) -> None:
    """Run the migrations that the database lacks. Nothing is changed where it lacks none.

    migrations: an Alembic folder. Raises DatabaseNewer for a database of a newer version, and what
    `Database.run` raises; a migration that fails is undone and named in the log.
    """
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    scripts = await asyncio.to_thread(ScriptDirectory.from_config, config)

    async def work(connection: AsyncConnection) -> None:
        if database.dialect == "postgresql":
            # Held to the end of the transaction. A SQLite transaction that writes is alone as it is.
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(_upgrade, config, scripts)

    await database.alone(work, _UPGRADE_TIMEOUT_S)


def _upgrade(connection: Connection, config: Config, scripts: ScriptDirectory) -> None:
    found = MigrationContext.configure(
        connection, opts={"version_table": SCHEMA_TABLE}
    ).get_current_revision()
    newest = scripts.get_current_head()
    if found == newest:
        return
    known = {script.revision for script in scripts.walk_revisions()}
    if found is not None and found not in known:
        raise DatabaseNewer(
            f"the metadata database has the schema {found}, and this version knows {newest}: "
            "it was upgraded by a newer version, which has to serve it",
            found=found,
            newest=newest,
        )
    log.info("upgrading the metadata database", found=found, newest=newest)
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except Exception:
        # The traceback names the migration's file; statements come without their values.
        log.exception("the upgrade of the metadata database failed and is undone", found=found, newest=newest)
        raise
    log.info("upgraded the metadata database", revision=newest)
