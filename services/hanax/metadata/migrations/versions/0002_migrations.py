"""Migrations of collections that were applied, and the lock of whoever applies them.

What is written here stays: a database that has run it never sees it again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002_migrations"
down_revision = "0001_operations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "applied_migrations",
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("checksum", sa.String(64), nullable=False),
        sa.Column("direction", sa.String(4), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("steps", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("began_at_us", sa.BigInteger, nullable=False),
        sa.Column("ended_at_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("name", name="pk_applied_migrations"),
    )
    lock = op.create_table(
        "migration_lock",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_migration_lock"),
    )
    op.bulk_insert(lock, [{"id": 1, "owner": "", "until_us": 0}])
