"""What Alembic runs for `hanax.metadata.migrating`: on its connection, inside its transaction."""

from __future__ import annotations

from alembic import context

from hanax.metadata.database import SCHEMA_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=SCHEMA_TABLE,
    # On SQLite a change of a table is a copy of it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
