"""What the tables of all sub-rooms have in common. Each defines its own, on `TABLES`, in its `tables.py`."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import JSON, BigInteger, MetaData, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

# Every constraint has a name that both databases agree on, so that a migration can drop it.
TABLES: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# The 32 hex digits of a UUID.
ID: Final = String(32)

# Microseconds since 1970 UTC; names of such columns end in `_at_us`.
INSTANT: Final = BigInteger()

JSON_VALUE: Final[TypeEngine[Any]] = JSON().with_variant(JSONB(), "postgresql")
