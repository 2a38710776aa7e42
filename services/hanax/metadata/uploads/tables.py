"""uploads: a row for all bytes of jobs that are kept anywhere; upload_pieces: those kept in the database."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
)

from hanax.metadata.tables import ID, INSTANT, TABLES

UPLOADS: Final = Table(
    "uploads",
    TABLES,
    Column("id", ID, primary_key=True),
    Column("place", String(16), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("finished", Boolean, nullable=False),
    Column("created_at_us", INSTANT, nullable=False),
    # When its writer, or who removes it, was last heard of.
    Column("touched_at_us", INSTANT, nullable=False),
    CheckConstraint("place IN ('folder', 'database')", name="place"),
    Index(None, "touched_at_us"),
)

# In order, as they were flushed: each at most a piece's size, but for none empty.
UPLOAD_PIECES: Final = Table(
    "upload_pieces",
    TABLES,
    Column("upload_id", ID, ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
