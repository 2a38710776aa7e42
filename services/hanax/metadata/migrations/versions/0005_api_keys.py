"""API keys that can be rotated, and changes of them that can be followed.

What is written here stays: a database that has run it never sees it again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_api_keys"
down_revision = "0004_libraries"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("api_keys") as table:
        table.add_column(sa.Column("revision", sa.BigInteger, nullable=False, server_default="0"))
        table.add_column(sa.Column("previous_hash", sa.String(128)))
        table.add_column(sa.Column("previous_until_us", sa.BigInteger))
        table.create_index("ix_api_keys_revision", ["revision"])
