"""Tables of the operation log, and of the keys that will say who asks."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from hanax.metadata.tables import ID, INSTANT, JSON_VALUE, TABLES

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

# Keys are kept as a hash: who reads the database cannot ask in another's name.
API_KEYS: Final = Table(
    "api_keys",
    TABLES,
    Column("id", ID, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("hash", String(128), nullable=False, unique=True),
    Column("rights", JSON_VALUE, nullable=False),
    Column("created_at_us", INSTANT, nullable=False),
    Column("expires_at_us", INSTANT),
    Column("revoked_at_us", INSTANT),
    Column("last_used_at_us", INSTANT),
)
