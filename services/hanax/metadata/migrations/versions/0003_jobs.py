"""Batch jobs, their tasks, failed items and parts of results; uploads, and their pieces.

What is written here stays: a database that has run it never sees it again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003_jobs"
down_revision = "0002_migrations"
branch_labels = None
depends_on = None


def _json() -> sa.JSON:
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _job_id(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], f"fk_{table}_job_id", ondelete="CASCADE"),
    ]


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def upgrade() -> None:
    _create_uploads()
    _create_jobs()
    op.create_table(
        "job_tasks",
        sa.Column("id", sa.String(32), nullable=False),
        *_job_id("job_tasks"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("position", _json(), nullable=False),
        sa.Column("cursor", _json()),
        sa.Column("watermark", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.Column("owner", sa.String(128)),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("free_at_us", sa.BigInteger, nullable=False),
        sa.Column("losses", sa.Integer, nullable=False),
        sa.Column("announced_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job_tasks"),
        sa.UniqueConstraint("job_id", "number", name="uq_job_tasks_job_id_number"),
    )
    _index("job_tasks", "job_id", "ended", "number")
    op.create_table(
        "job_parts",
        sa.Column("upload_id", sa.String(32), nullable=False),
        *_job_id("job_parts"),
        sa.Column("task_id", sa.String(32), nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("upload_id", name="pk_job_parts"),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], "fk_job_parts_upload_id"),
    )
    _index("job_parts", "job_id")
    op.create_table(
        "job_failed_items",
        *_job_id("job_failed_items"),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.String(32)),
        sa.Column("line", sa.BigInteger),
        sa.Column("point_id", sa.Text),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_job_failed_items"),
    )
    _index("job_failed_items", "task_id", "number")


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("place", sa.String(16), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("finished", sa.Boolean, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("touched_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sa.CheckConstraint("place IN ('folder', 'database')", name="ck_uploads_place"),
    )
    _index("uploads", "touched_at_us")
    op.create_table(
        "upload_pieces",
        sa.Column("upload_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("upload_id", "number", name="pk_upload_pieces"),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["uploads.id"], "fk_upload_pieces_upload_id", ondelete="CASCADE"
        ),
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("spec", _json(), nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("model", sa.String(128)),
        sa.Column("collection", sa.String(64)),
        sa.Column("collection_uid", sa.String(64)),
        sa.Column("upload_id", sa.String(32)),
        sa.Column("result_upload_id", sa.String(32)),
        sa.Column("total", sa.BigInteger),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("tasks_open", sa.Integer, nullable=False),
        sa.Column("counts", _json(), nullable=False),
        sa.Column("facts", _json(), nullable=False),
        sa.Column("rate", sa.Double, nullable=False),
        sa.Column("rated_at_us", sa.BigInteger),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
        sa.Column("began_at_us", sa.BigInteger),
        sa.Column("ended_at_us", sa.BigInteger),
        sa.Column("error", _json()),
        sa.Column("result", _json()),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], "fk_jobs_upload_id"),
        sa.ForeignKeyConstraint(["result_upload_id"], ["uploads.id"], "fk_jobs_result_upload_id"),
    )
    _index("jobs", "state", "priority", "created_at_us")
    _index("jobs", "created_at_us", "id")
    _index("jobs", "ended_at_us")
    _index("jobs", "upload_id")
    _index("jobs", "result_upload_id")
