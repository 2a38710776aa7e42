"""jobs, job_tasks, job_parts, job_failed_items, job_counts.

A job's row is the lock of all that belongs to it: who changes its tasks, parts or failed items holds it, but
for claims, which change a task's lease alone.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from hanax.metadata.jobs.job import JobState
from hanax.metadata.tables import ID, INSTANT, JSON_VALUE, TABLES
from hanax.metadata.uploads.tables import UPLOADS

# Python's None is SQL's NULL, not JSON's.
_JSON_OR_NULL: Final = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

JOBS: Final = Table(
    "jobs",
    TABLES,
    Column("id", ID, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("spec", JSON_VALUE, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("model", String(128)),
    Column("collection", String(64)),
    Column("collection_uid", String(64)),
    Column("upload_id", ID, ForeignKey(UPLOADS.c.id)),
    Column("result_upload_id", ID, ForeignKey(UPLOADS.c.id)),
    Column("total", BigInteger),
    Column("done", BigInteger, nullable=False, default=0),
    Column("failed", BigInteger, nullable=False, default=0),
    # Tasks that have not ended, the finish left out.
    Column("tasks_open", Integer, nullable=False, default=0),
    Column("counts", JSON_VALUE, nullable=False, default=dict),
    Column("facts", JSON_VALUE, nullable=False, default=dict),
    Column("rate", Double, nullable=False, default=0.0),
    Column("rated_at_us", INSTANT),
    Column("created_at_us", INSTANT, nullable=False),
    Column("updated_at_us", INSTANT, nullable=False),
    Column("began_at_us", INSTANT),
    Column("ended_at_us", INSTANT),
    Column("error", _JSON_OR_NULL),
    Column("result", _JSON_OR_NULL),
    Index(None, "state", "priority", "created_at_us"),
    Index(None, "created_at_us", "id"),
    Index(None, "ended_at_us"),
    Index(None, "upload_id"),
    Index(None, "result_upload_id"),
)

JOB_TASKS: Final = Table(
    "job_tasks",
    TABLES,
    Column("id", ID, primary_key=True),
    Column("job_id", ID, ForeignKey(JOBS.c.id, ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("position", JSON_VALUE, nullable=False),
    Column("cursor", _JSON_OR_NULL),
    Column("watermark", BigInteger, nullable=False, default=0),
    Column("ended", Boolean, nullable=False, default=False),
    # The lease. owner: none after it was given back; fence: grows with every claim.
    Column("owner", String(128)),
    Column("fence", BigInteger, nullable=False, default=0),
    Column("free_at_us", INSTANT, nullable=False, default=0),
    # Leases in a row that ran out, without a step in between.
    Column("losses", Integer, nullable=False, default=0),
    Column("announced_at_us", INSTANT, nullable=False, default=0),
    UniqueConstraint("job_id", "number"),
    Index(None, "job_id", "ended", "number"),
)

JOB_PARTS: Final = Table(
    "job_parts",
    TABLES,
    Column("upload_id", ID, ForeignKey(UPLOADS.c.id), primary_key=True),
    Column("job_id", ID, ForeignKey(JOBS.c.id, ondelete="CASCADE"), nullable=False),
    Column("task_id", ID, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Index(None, "job_id"),
)

JOB_FAILED_ITEMS: Final = Table(
    "job_failed_items",
    TABLES,
    Column("job_id", ID, ForeignKey(JOBS.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    # The task that tries it again; none: it counts as failed.
    Column("task_id", ID),
    Column("line", BigInteger),
    # JSON: an integer and a string of the same digits are two ids.
    Column("point_id", Text),
    Column("code", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("item", Text, nullable=False),
    Index(None, "task_id", "number"),
)

# How many jobs there are of each state, and how many tasks of those that are queued or run have not ended:
# the sums of all parts. Triggers keep them (migration 0006_job_counts); nobody else writes here.
JOB_COUNTS: Final = Table(
    "job_counts",
    TABLES,
    Column("part", Integer, primary_key=True, autoincrement=False),
    *(Column(state, BigInteger, nullable=False) for state in JobState),
    Column("tasks", BigInteger, nullable=False),
)
