"""What the table is planned from. Data is given up only for a collection that asked for it on its way out."""

from __future__ import annotations

from typing import Any

from hanax.core.planning import Observation, plan
from hanax.core.resources.collections import Collection
from hanax.core.resources.models import Model
from hanax.core.routing import Aliases, RoutingTable
from hanax_operator.objects import Manifest
from hanax_operator.plan.routing import Declared, observation, pool_nodes, told_revision
from tests.unit.operator.samples import child, collection, collection_object, model, model_object, release

GONE = "2026-01-02T00:00:00Z"


def pool_of(pods: int) -> Manifest:
    return child("StatefulSet", "hx-pool", "apps/v1", spec={"replicas": pods, "serviceName": "hx-pool"})


def declared(
    *collections: Collection, models: tuple[Model, ...] = (), unreadable: tuple[Manifest, ...] = ()
) -> Declared:
    return Declared(collections, models, unreadable, (), Aliases())


def seen(previous: RoutingTable, found: Declared, pods: int = 2) -> Observation:
    return observation(previous, found, pool_nodes(pool_of(pods), release()), release())


def planned(previous: RoutingTable, found: Declared, pods: int = 2) -> RoutingTable:
    return plan(previous, seen(previous, found, pods)) or previous


def shared(name: str, **more: Any) -> Collection:
    return collection(name, {"placement": "shared", "deletionPolicy": "Delete"}, **more)


def places(table: RoutingTable) -> dict[str, list[tuple[str, ...]]]:
    return {route.spec.name: [shard.replicas for shard in route.shards] for route in table.collections}


def test_the_pool_is_as_large_as_it_is_asked_to_be() -> None:
    assert [(node.name, node.address) for node in pool_nodes(pool_of(2), release())] == [
        ("hx-pool-0", "hx-pool-0.hx-pool.team.svc.cluster.local:9101"),
        ("hx-pool-1", "hx-pool-1.hx-pool.team.svc.cluster.local:9101"),
    ]
    assert pool_nodes(None, release()) == ()


def test_shared_collections_go_to_the_pool_and_dedicated_ones_to_their_own_pods() -> None:
    own = collection("docs", {"shards": 2})
    table = planned(RoutingTable(), declared(own, shared("small"), shared("tiny")))
    assert places(table) == {
        "docs": [("vc-docs-0-0",), ("vc-docs-1-0",)],
        "small": [("hx-pool-0",)],
        "tiny": [("hx-pool-1",)],
    }
    assert table.address_by_node["vc-docs-1-0"] == "vc-docs-1-0.vc-docs.team.svc.cluster.local:9101"


def test_a_collection_without_finalizer_waits_unless_it_is_in_the_table_already() -> None:
    bare = shared("small", finalizers=[])
    assert planned(RoutingTable(), declared(bare)).collections == ()
    before = planned(RoutingTable(), declared(shared("small")))
    after = planned(before, declared(bare))
    assert after.collection_by_name.keys() == {"small"}
    assert after.deleted == ()


def test_only_what_asked_for_it_is_deleted() -> None:
    before = planned(RoutingTable(), declared(shared("a"), shared("b"), shared("c")))
    kept = collection("b", {"placement": "shared"}, deletionTimestamp=GONE)
    after = planned(before, declared(shared("a", deletionTimestamp=GONE), kept))
    assert after.collections == ()
    # b is retained; c vanished, and nobody knows what was meant.
    assert [item.name for item in after.deleted] == ["a"]
    assert [item.name for item in planned(after, declared()).deleted] == ["a"]


def test_what_can_not_be_read_or_is_paused_stays_as_it_is() -> None:
    before = planned(RoutingTable(), declared(shared("a"), collection("docs")))
    broken = collection_object("a", {"dimensions": "many"})
    paused = collection("docs", {"paused": True, "targetRecall": 0.5}, generation=2)
    assert planned(before, declared(paused, unreadable=(broken,))) == before
    leaving = collection("docs", {"paused": True}, deletionTimestamp=GONE)
    assert planned(before, declared(leaving, unreadable=(broken,))) == before


def test_a_pool_that_shrinks_keeps_the_nodes_that_hold_data() -> None:
    before = planned(RoutingTable(), declared(shared("a"), shared("b")))
    after = planned(before, declared(shared("a"), shared("b"), shared("c")), pods=1)
    assert places(after) == {"a": [("hx-pool-0",)], "b": [("hx-pool-1",)], "c": [("hx-pool-0",)]}
    none = planned(before, declared(shared("a"), shared("b"), shared("c")), pods=0)
    assert places(none) == {"a": [("hx-pool-0",)], "b": [("hx-pool-1",)]}


def test_a_lost_table_is_restored_from_what_collections_were_told() -> None:
    told = collection(
        "a",
        {"placement": "shared"},
        {"shards": [{"shard": 0, "pods": ["hx-pool-1"], "revision": 41}]},
    )
    foreign = collection(
        "b", {"placement": "shared"}, {"shards": [{"shard": 0, "pods": ["other-1"], "revision": 7}]}
    )
    assert told_revision([told, foreign]) == 41
    table = planned(RoutingTable(revision=41), declared(told, foreign))
    assert table.revision == 42
    assert places(table) == {"a": [("hx-pool-1",)], "b": [("hx-pool-0",)]}
    # Also when the pool is smaller by now.
    assert places(planned(RoutingTable(), declared(told), pods=1)) == {"a": [("hx-pool-1",)]}


def test_the_status_does_not_move_what_the_table_places() -> None:
    before = planned(RoutingTable(), declared(shared("a")))
    stale = collection(
        "a", {"placement": "shared"}, {"shards": [{"shard": 0, "pods": ["hx-pool-1"], "revision": 41}]}
    )
    assert places(planned(before, declared(stale))) == {"a": [("hx-pool-0",)]}


def test_suspended_collections_keep_their_places() -> None:
    before = planned(RoutingTable(), declared(collection("docs")))
    after = planned(before, declared(collection("docs", {"suspend": True}, generation=2)))
    assert after.collections[0].suspended
    assert places(after) == places(before)


def test_models_are_routed_and_unreadable_ones_keep_their_route() -> None:
    before = planned(RoutingTable(), declared(models=(model("a"), model("b"))))
    assert [route.name for route in before.models] == ["a", "b"]
    broken = Declared((), (model("b", deletionTimestamp=GONE),), (), (model_object("a"),), Aliases())
    after = planned(before, broken)
    assert after.models == before.models[:1]


def test_nothing_changes_when_nothing_changed() -> None:
    found = declared(shared("a"), collection("docs"), models=(model(),))
    table = planned(RoutingTable(), found)
    assert plan(table, seen(table, found)) is None


# --- pods of models -------------------------------------------------------------------------


SERVED: dict[str, Any] = {"endpoint": None, "serve": {"model": "all-MiniLM-L6-v2"}}


def test_a_served_model_is_reached_at_its_pods() -> None:
    pods = {"minilm": ("10.0.0.1", "fd00::3"), "other": ("10.0.0.5",)}
    found = Declared((), (model("minilm", SERVED),), (), (), Aliases(), pods)
    (route,) = planned(RoutingTable(), found).models
    assert route.addresses == ("10.0.0.1:9301", "[fd00::3]:9301")
    # While it has none, gateways know the Service.
    (route,) = planned(RoutingTable(), declared(models=(model("minilm", SERVED),))).models
    assert route.addresses == ("xm-minilm.team.svc.cluster.local:9301",)
