"""Migrations of the database's schema, run by Alembic: for `upgrading`, where some are missing.

Apart, as Alembic costs a third of a second to import, and most starts have no use for it.
"""

from __future__ import annotations

import logging
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from hanax.core.errors import DatabaseNewer

log = structlog.get_logger()

# It tells at each start what it takes a dialect to be able to do, which is not what is done here.
logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)


def migrate(connection: Connection, migrations: Path, found: str | None) -> None:
    """From the schema `found` to the newest, in the connection's transaction. migrations: an Alembic folder.

    Raises DatabaseNewer for a schema that is none of these; what a migration raises is logged.
    """
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
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
