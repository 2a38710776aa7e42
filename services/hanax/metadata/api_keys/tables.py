"""The table of API keys. Of a key there is a digest: who reads the database cannot ask in another's name."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, String, Table

from hanax.metadata.tables import ID, INSTANT, JSON_VALUE, TABLES

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
    # Ascends with every change of any key: who has seen them to one number asks for those behind it.
    Column("revision", BigInteger, nullable=False, server_default="0"),
    # Before the latest rotation, and until when it is good.
    Column("previous_hash", String(128)),
    Column("previous_until_us", INSTANT),
    Index(None, "revision"),
)
