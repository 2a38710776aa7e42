"""Pages of what was made, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Table, tuple_


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a list begins: behind this one, in falling order of creation."""

    created_at_us: int
    id: str


def newest_first(query: Select[Any], table: Table, limit: int, after: Place | None) -> Select[Any]:
    """Rows of a table that has `created_at_us` and `id`, and an index that ends in them."""
    place = (table.c.created_at_us, table.c.id)
    if after is not None:
        # As a row: an index is entered at it, and not only read up to it.
        query = query.where(tuple_(*place) < (after.created_at_us, after.id))
    return query.order_by(*(column.desc() for column in place)).limit(limit)
