"""Pages of what was made, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Table, and_, or_


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a list begins: behind this one, in falling order of creation."""

    created_at_us: int
    id: str


def newest_first(query: Select[Any], table: Table, limit: int, after: Place | None) -> Select[Any]:
    """Rows of a table that has `created_at_us` and `id`."""
    if after is not None:
        same = and_(table.c.created_at_us == after.created_at_us, table.c.id < after.id)
        query = query.where(or_(table.c.created_at_us < after.created_at_us, same))
    return query.order_by(table.c.created_at_us.desc(), table.c.id.desc()).limit(limit)
