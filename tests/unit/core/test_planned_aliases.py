"""Aliases in the routing table: as declared, never without their collection, kept through damage."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hanax.core.planning import plan
from hanax.core.routing import Aliases, RoutingTable
from tests.unit.core.test_planning import entry, next_table, seen


def aliases(generation: int, **collections: str) -> Aliases:
    return Aliases(generation=generation, collection_by_alias=collections)


def test_a_switch_of_several_is_one_revision() -> None:
    both = (entry("a"), entry("b"))
    table = next_table(RoutingTable(), seen(*both, aliases=aliases(1, live="a", spare="b")))
    assert (table.resolve("live"), table.resolve("spare"), table.resolve("a")) == ("a", "b", "a")
    switched = next_table(table, seen(*both, aliases=aliases(2, live="b", spare="a")))
    assert switched.revision == table.revision + 1
    assert (switched.resolve("live"), switched.resolve("spare")) == ("b", "a")
    assert plan(switched, seen(*both, aliases=aliases(2, live="b", spare="a"))) is None


def test_aliases_that_can_not_be_read_stay() -> None:
    table = next_table(RoutingTable(), seen(entry("a"), aliases=aliases(1, live="a")))
    assert next_table(table, seen(entry("a"), entry("b"), aliases=None)).aliases == table.aliases


def test_an_alias_whose_collection_is_gone_is_left_out() -> None:
    table = next_table(RoutingTable(), seen(entry("a"), aliases=aliases(1, live="a", other="gone")))
    assert table.aliases == aliases(1, live="a")
    assert next_table(table, seen(aliases=aliases(1, live="a"))).aliases == aliases(1)


def test_a_table_with_an_alias_that_is_no_name_or_leads_nowhere_is_refused() -> None:
    table = next_table(RoutingTable(), seen(entry("a"), aliases=aliases(1, live="a")))
    good = table.model_dump()
    assert RoutingTable.model_validate(good) == table
    for wrong, why in (({"a": "a"}, "both"), ({"live": "b"}, "unknown"), ({"No": "a"}, "pattern")):
        with pytest.raises(ValidationError, match=why):
            RoutingTable.model_validate({**good, "aliases": {"generation": 2, "collection_by_alias": wrong}})


def test_tables_from_before_there_were_aliases_are_read() -> None:
    table = next_table(RoutingTable(), seen(entry("a")))
    old = table.model_dump(exclude={"aliases"})
    assert RoutingTable.model_validate(old) == table
