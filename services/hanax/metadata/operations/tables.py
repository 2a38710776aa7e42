"""The table of the operation log."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from hanax.metadata.tables import INSTANT, TABLES

# Ids ascend with time, as no two gateways share one; they are the order of pages.
OPERATION_LOG: Final = Table(
    "operation_log",
    TABLES,
    # SQLite numbers rows by itself in an INTEGER alone.
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("at_us", INSTANT, nullable=False),
    Column("duration_us", BigInteger, nullable=False),
    Column("operation", String(64), nullable=False),
    Column("collection", String(255), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("outcome", String(64), nullable=False),
    Column("items", BigInteger, nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("instance", String(255), nullable=False),
    # Newest first, of all and of one collection, operation or outcome; the first ends old rows too.
    Index(None, "at_us", "id"),
    Index(None, "collection", "at_us", "id"),
    Index(None, "operation", "at_us", "id"),
    Index(None, "outcome", "at_us", "id"),
)
