"""Pages of what was made, the newest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Integer, Select, Table, bindparam, tuple_

from hanax.metadata.tables import ID, INSTANT


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a list begins: behind this one, in falling order of creation."""

    created_at_us: int
    id: str


class Pages:
    """The statements of a list, built once: to build one takes as long as the database does."""

    def __init__(
        self,
        query: Select[Any],
        table: Table,
        around: Callable[[Select[Any]], Select[Any]] = lambda page: page,
    ) -> None:
        """query, table: as of `newest_first`. around: makes the statement of a page's query."""
        place = tuple_(table.c.created_at_us, table.c.id)
        after = tuple_(bindparam("after_us", type_=INSTANT), bindparam("after_id", type_=ID))
        limit = bindparam("limit", type_=Integer)
        self._first = around(newest_first(query, table, limit))
        # As a row: an index is entered at it, and not only read up to it.
        self._behind = around(newest_first(query.where(place < after), table, limit))

    def at(self, limit: int, after: Place | None, **parameters: Any) -> tuple[Select[Any], dict[str, Any]]:
        """The statement of one page and its parameters. parameters: of the query."""
        parameters["limit"] = limit
        if after is None:
            return self._first, parameters
        return self._behind, {**parameters, "after_us": after.created_at_us, "after_id": after.id}


def newest_first(query: Select[Any], table: Table, limit: int | BindParameter[int]) -> Select[Any]:
    """Rows of a table that has `created_at_us` and `id`, and an index that ends in them."""
    return query.order_by(table.c.created_at_us.desc(), table.c.id.desc()).limit(limit)
