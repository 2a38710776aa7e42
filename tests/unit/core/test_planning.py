from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from hanax.core.catalog import CatalogEntry
from hanax.core.distances import Metric
from hanax.core.errors import FailedPrecondition
from hanax.core.index_specs import HnswIndex
from hanax.core.model_routes import ModelRoute
from hanax.core.planning import MAX_DELETED, Observation, plan
from hanax.core.routing import Aliases, DeletedCollection, NodeRoute, RoutingTable
from hanax.core.specs import CollectionSpec, PayloadIndex


def nodes(count: int, port: int = 9000) -> tuple[NodeRoute, ...]:
    return tuple(
        NodeRoute(name=f"shard-{number}", address=f"127.0.0.1:{port + number}") for number in range(count)
    )


def entry(name: str, shards: int = 1, uid: str = "", created_at_us: int = 0) -> CatalogEntry:
    spec = CollectionSpec(name=name, dimension=4, shards=shards)
    return CatalogEntry(uid=uid or f"uid-of-{name}", created_at_us=created_at_us, spec=spec)


def seen(
    *entries: CatalogEntry,
    on: tuple[NodeRoute, ...] = nodes(2),
    damaged: tuple[str, ...] = (),
    models: tuple[ModelRoute, ...] = (),
    aliases: Aliases | None = Aliases(),  # noqa: B008 - it is frozen
) -> Observation:
    return Observation(entries, damaged, on, models, aliases)


def next_table(previous: RoutingTable, observation: Observation) -> RoutingTable:
    table = plan(previous, observation)
    assert table is not None
    return table


def places(table: RoutingTable) -> dict[str, list[str]]:
    return {route.spec.name: [shard.replicas[0] for shard in route.shards] for route in table.collections}


MODEL = ModelRoute(name="m", dimension=4, max_tokens=8, endpoints=("127.0.0.1:1",))


class TestRevision:
    def test_the_first_table_names_the_nodes(self) -> None:
        table = next_table(RoutingTable(), seen())
        assert (table.revision, table.nodes, table.collections) == (1, nodes(2), ())

    def test_nothing_is_planned_when_nothing_changed(self) -> None:
        observation = seen(entry("a", 2), entry("b"), models=(MODEL,))
        table = next_table(RoutingTable(), observation)
        assert plan(table, observation) is None

    @pytest.mark.parametrize(
        "changed",
        [
            seen(entry("a"), entry("b")),
            seen(),
            seen(entry("a", uid="another")),
            seen(entry("a"), on=nodes(2, port=9500)),
            seen(entry("a"), on=nodes(3)),
            seen(entry("a"), models=(MODEL,)),
        ],
        ids=["created", "deleted", "replaced", "moved address", "more nodes", "model"],
    )
    def test_every_change_is_one_revision(self, changed: Observation) -> None:
        table = next_table(RoutingTable(), seen(entry("a")))
        assert next_table(table, changed).revision == table.revision + 1


class TestPlacement:
    def test_shards_of_a_collection_go_to_different_nodes(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a", 3), on=nodes(3)))
        assert sorted(places(table)["a"]) == ["shard-0", "shard-1", "shard-2"]

    def test_they_do_so_even_where_one_node_is_emptier(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a"), entry("b"), entry("c"), on=nodes(1)))
        table = next_table(table, seen(*(entry(name) for name in "abc"), entry("d", 2)))
        assert sorted(places(table)["d"]) == ["shard-0", "shard-1"]

    def test_the_least_loaded_node_is_taken(self) -> None:
        entries = [entry(f"c{number}", created_at_us=number) for number in range(9)]
        table = next_table(RoutingTable(), seen(*entries, on=nodes(3)))
        load = Counter(node for found in places(table).values() for node in found)
        assert load == {"shard-0": 3, "shard-1": 3, "shard-2": 3}

    def test_a_new_node_is_filled_first_and_nothing_moves(self) -> None:
        before = next_table(RoutingTable(), seen(entry("a", 2), entry("b", 2)))
        after = next_table(before, seen(entry("a", 2), entry("b", 2), entry("c"), on=nodes(3)))
        assert {name: places(after)[name] for name in "ab"} == places(before)
        assert places(after)["c"] == ["shard-2"]

    def test_more_shards_than_nodes_share_them(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a", 5)))
        assert Counter(places(table)["a"]) == {"shard-0": 3, "shard-1": 2}

    def test_slots_are_covered(self) -> None:
        route = next_table(RoutingTable(), seen(entry("a", 3))).collections[0]
        assert [(shard.first_slot, shard.last_slot) for shard in route.shards] == [
            (0, 340),
            (341, 681),
            (682, 1023),
        ]

    def test_the_order_of_creation_decides_not_the_name(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a", created_at_us=2), entry("b", created_at_us=1)))
        assert places(table) == {"b": ["shard-0"], "a": ["shard-1"]}

    def test_deleting_frees_a_node(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a"), entry("b", created_at_us=1)))
        table = next_table(table, seen(entry("b")))
        table = next_table(table, seen(entry("b"), entry("c")))
        assert places(table) == {"b": ["shard-1"], "c": ["shard-0"]}

    def test_no_entry_changes_the_dimension_of_a_collection_that_lives(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a")))
        other = CatalogEntry(
            uid="uid-of-a", created_at_us=0, spec=CollectionSpec(name="a", dimension=9, shards=2)
        )
        assert plan(table, seen(other)) is None


class TestFewerNodes:
    def test_is_refused_while_the_missing_ones_hold_data(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a", 3), entry("b"), on=nodes(3)))
        with pytest.raises(FailedPrecondition) as refusal:
            plan(table, seen(entry("a", 3), entry("b"), on=nodes(1)))
        assert refusal.value.details["nodes"] == ["shard-1", "shard-2"]
        assert "shard-1 and shard-2" in refusal.value.message
        assert "a" in refusal.value.details["collections"]

    def test_is_taken_when_they_hold_none(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a"), on=nodes(3)))
        assert next_table(table, seen(entry("a"), on=nodes(1))).nodes == nodes(1)

    def test_is_taken_when_their_collections_are_gone(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a", 3), on=nodes(3)))
        after = next_table(table, seen(on=nodes(1)))
        assert [gone.name for gone in after.deleted] == ["a"]


class TestDeleted:
    def test_a_withdrawn_collection_is_listed(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a"), entry("b")))
        table = next_table(table, seen(entry("b")))
        assert table.deleted == (DeletedCollection(name="a", uid="uid-of-a"),)
        assert list(places(table)) == ["b"]

    def test_one_that_was_replaced_is_listed_and_the_new_one_placed(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a", uid="first")))
        table = next_table(table, seen(entry("a", uid="second")))
        assert table.deleted == (DeletedCollection(name="a", uid="first"),)
        assert table.collections[0].uid == "second"

    def test_one_that_came_back_is_not_listed(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a")))
        table = next_table(table, seen())
        table = next_table(table, seen(entry("a")))
        assert (table.deleted, list(places(table))) == ((), ["a"])

    def test_the_last_thousand_are_kept(self) -> None:
        old = tuple(DeletedCollection(name="x", uid=str(number)) for number in range(MAX_DELETED))
        table = RoutingTable(revision=5, deleted=old)
        table = next_table(table, seen(entry("a")))
        table = next_table(table, seen())
        assert len(table.deleted) == MAX_DELETED
        assert table.deleted[0].uid == "1"
        assert table.deleted[-1].uid == "uid-of-a"


class TestDamaged:
    def test_a_damaged_entry_keeps_its_route(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a", 2), entry("b")))
        assert plan(table, seen(entry("b"), damaged=("a",))) is None

    def test_one_that_never_was_routed_gets_none(self) -> None:
        table = next_table(RoutingTable(), seen(entry("b"), damaged=("a",)))
        assert list(places(table)) == ["b"]


class TestChange:
    def test_a_spec_is_followed_in_the_same_places(self) -> None:
        first = entry("a", 2)
        table = next_table(RoutingTable(), seen(first, entry("b")))
        spec = first.spec.model_copy(update={"index": HnswIndex(m=8), "target_recall": 0.9})
        spec = spec.model_copy(update={"payload_indexes": {"title": PayloadIndex.TEXT}})
        changed = first.model_copy(update={"spec": spec, "generation": 2})
        following = next_table(table, seen(changed, entry("b")))
        route = following.collection_by_name["a"]
        assert (route.spec, route.generation, route.uid) == (spec, 2, first.uid)
        assert route.shards == table.collection_by_name["a"].shards
        assert following.collection_by_name["b"] == table.collection_by_name["b"]
        assert following.deleted == ()

    @pytest.mark.parametrize("fixed", [{"dimension": 8}, {"metric": Metric.DOT}, {"shards": 3}])
    def test_what_is_fixed_for_life_is_kept(self, fixed: dict[str, object]) -> None:
        """A catalog edited by hand does not make shards of another shape."""
        first = entry("a", 2)
        table = next_table(RoutingTable(), seen(first))
        edited = first.model_copy(update={"spec": first.spec.model_copy(update=fixed), "generation": 2})
        assert plan(table, seen(edited)) is None


def dedicated(name: str, *nodes_of_shards: tuple[str, ...], **more: Any) -> CatalogEntry:
    made = entry(name, len(nodes_of_shards))
    return made.model_copy(update={"nodes": nodes_of_shards, **more})


OWN = (
    *nodes(2),
    NodeRoute(name="own-0", address="own-0:9101"),
    NodeRoute(name="own-1", address="own-1:9101"),
)
POOL = ("shard-0", "shard-1")


class TestPool:
    def test_only_nodes_of_the_pool_are_filled(self) -> None:
        entries = [entry(f"c{number}", created_at_us=number) for number in range(4)]
        table = next_table(RoutingTable(), replace(seen(*entries, on=OWN), pool=POOL))
        assert Counter(node for found in places(table).values() for node in found) == {
            "shard-0": 2,
            "shard-1": 2,
        }

    def test_a_node_that_leaves_the_pool_keeps_what_it_has_and_gets_no_more(self) -> None:
        table = next_table(RoutingTable(), replace(seen(entry("a", 2), on=OWN), pool=POOL))
        observed = replace(seen(entry("a", 2), entry("b", 2), on=OWN), pool=("shard-1",))
        assert places(next_table(table, observed)) == {"a": list(POOL), "b": ["shard-1", "shard-1"]}

    def test_without_a_pool_the_others_are_planned(self) -> None:
        own = dedicated("own", ("own-0",))
        observed = replace(seen(entry("a"), own, on=OWN), pool=())
        assert list(places(next_table(RoutingTable(), observed))) == ["own"]


class TestNodesOfOnesOwn:
    def test_shards_are_where_the_entry_says_and_count_for_no_pool(self) -> None:
        own = dedicated("own", ("own-0",), ("own-1", "shard-0"))
        table = next_table(RoutingTable(), replace(seen(own, entry("z"), on=OWN), pool=POOL))
        assert [shard.replicas for shard in table.collection_by_name["own"].shards] == list(own.nodes or ())
        assert places(table)["z"] == ["shard-1"], "the load of a node is counted, whoever put it there"

    def test_they_are_followed(self) -> None:
        table = next_table(RoutingTable(), replace(seen(dedicated("own", ("own-0",)), on=OWN), pool=POOL))
        moved = replace(seen(dedicated("own", ("own-0", "own-1")), on=OWN), pool=POOL)
        assert next_table(table, moved).collection_by_name["own"].shards[0].replicas == ("own-0", "own-1")

    def test_what_lies_on_the_pool_stays_there_and_comes_back_there(self) -> None:
        """A status tells late where a shard is; it is good for a table that was lost."""
        table = next_table(RoutingTable(), replace(seen(entry("a"), on=OWN), pool=POOL))
        told = replace(seen(dedicated("a", ("shard-1",)), on=OWN), pool=POOL)
        assert plan(table, told) is None
        assert places(next_table(RoutingTable(), told)) == {"a": ["shard-1"]}

    def test_places_of_several_shards_stay_on_the_pool_and_are_followed_elsewhere(self) -> None:
        own = dedicated("own", ("own-0",), ("own-1",))
        table = next_table(RoutingTable(), replace(seen(entry("a", 2), own, on=OWN), pool=POOL))
        swapped = dedicated("a", ("shard-1",), ("shard-0",)), dedicated("own", ("own-1",), ("own-0",))
        after = next_table(table, replace(seen(*swapped, on=OWN), pool=POOL))
        assert places(after) == {"a": places(table)["a"], "own": ["own-1", "own-0"]}

    def test_a_node_that_is_not_there_is_refused(self) -> None:
        with pytest.raises(FailedPrecondition) as refusal:
            plan(RoutingTable(), seen(dedicated("own", ("own-7",)), on=OWN))
        assert refusal.value.details["nodes"] == ["own-7"]

    def test_every_shard_has_nodes(self) -> None:
        with pytest.raises(ValidationError, match="of 1 shards, expected 2"):
            CatalogEntry(uid="u", created_at_us=0, spec=entry("a", 2).spec, nodes=(("own-0",),))


class TestSuspended:
    def test_a_suspended_collection_keeps_its_places(self) -> None:
        first = entry("a", 2)
        table = next_table(RoutingTable(), seen(first))
        suspended = next_table(table, seen(first.model_copy(update={"suspended": True, "generation": 2})))
        route = suspended.collection_by_name["a"]
        assert (route.suspended, route.generation, route.shards) == (True, 2, table.collections[0].shards)
        assert list(suspended.assigned_to("shard-0")) == []
        assert next_table(suspended, seen(first)).collections == table.collections


class TestKept:
    def test_data_that_is_kept_is_not_listed_as_deleted(self) -> None:
        table = next_table(RoutingTable(), seen(entry("a"), entry("b")))
        after = next_table(table, replace(seen(), kept=frozenset({"uid-of-a"})))
        assert after.deleted == (DeletedCollection(name="b", uid="uid-of-b"),)
        assert plan(after, seen()) is None, "nor later, when nobody remembers it"
