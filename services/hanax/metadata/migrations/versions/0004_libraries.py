"""Libraries, their documents, the registry of chunks, and the changes of documents under way.

What is written here stays: a database that has run it never sees it again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004_libraries"
down_revision = "0003_jobs"
branch_labels = None
depends_on = None


def _json() -> sa.JSON:
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def upgrade() -> None:
    op.create_table(
        "libraries",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200)),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("model", sa.String(128)),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("metric", sa.String(16), nullable=False),
        sa.Column("index_type", sa.String(16)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("collection_uid", sa.String(64)),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("lease_until_at_us", sa.BigInteger),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_libraries"),
        sa.UniqueConstraint("name", name="uq_libraries_name"),
    )
    _index("libraries", "lease_until_at_us")
    _index("libraries", "created_at_us", "id")
    op.create_table(
        "library_clocks",
        sa.Column("library_id", sa.String(32), nullable=False),
        sa.Column("part", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("commits", sa.BigInteger, nullable=False),
        sa.Column("moves", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("library_id", "part", name="pk_library_clocks"),
        sa.ForeignKeyConstraint(["library_id"], ["libraries.id"], "fk_library_clocks_library_id"),
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("library_id", sa.String(32), nullable=False),
        sa.Column("title", sa.String(1_000), nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("chunking", sa.Text),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        sa.ForeignKeyConstraint(["library_id"], ["libraries.id"], "fk_documents_library_id"),
    )
    _index("documents", "library_id", "created_at_us", "id")
    op.create_table(
        "chunks",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("document_id", sa.String(32), nullable=False),
        sa.Column("library_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("point_id", sa.String(32), nullable=False),
        sa.Column("change_id", sa.String(32), nullable=False),
        sa.Column("stamp", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_chunks"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], "fk_chunks_document_id"),
        sa.UniqueConstraint("point_id", name="uq_chunks_point_id"),
    )
    _index("chunks", "document_id", "position")
    op.create_table(
        "document_changes",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("library_id", sa.String(32), nullable=False),
        sa.Column("document_id", sa.String(32), nullable=False),
        sa.Column("holds", sa.String(32)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("stale_points", _json(), nullable=False),
        sa.Column("stale_changes", _json(), nullable=False),
        sa.Column("lease_until_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_document_changes"),
        sa.ForeignKeyConstraint(["library_id"], ["libraries.id"], "fk_document_changes_library_id"),
        sa.UniqueConstraint("holds", name="uq_document_changes_holds"),
    )
    _index("document_changes", "library_id")
    _index("document_changes", "lease_until_at_us")
