"""The routing table: every slot in one shard, every name once, every node known."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hanax.core.ids import encode_id, slot_of
from hanax.core.index_specs import FlatIndex, Indexing
from hanax.core.limits import MAX_SHARDS, SLOTS
from hanax.core.model_routes import ModelRoute
from hanax.core.routing import (
    CollectionRoute,
    DeletedCollection,
    NodeRoute,
    RoutingTable,
    ShardRoute,
    spread_slots,
)
from hanax.core.specs import CollectionSpec

NODES = (NodeRoute(name="a", address="127.0.0.1:1"), NodeRoute(name="b", address="127.0.0.1:2"))


def route(
    name: str, ranges: list[tuple[int, int]], uid: str = "u1", replicas: tuple[str, ...] = ("a",)
) -> CollectionRoute:
    return CollectionRoute(
        uid=uid,
        spec=CollectionSpec(name=name, dimension=4, shards=max(1, len(ranges))),
        shards=tuple(
            ShardRoute(shard=number, first_slot=first, last_slot=last, replicas=replicas)
            for number, (first, last) in enumerate(ranges)
        ),
    )


@pytest.mark.parametrize("shards", range(1, MAX_SHARDS + 1))
def test_slots_are_spread_evenly_and_completely(shards: int) -> None:
    ranges = spread_slots(shards)
    sizes = [last - first + 1 for first, last in ranges]
    assert len(ranges) == shards
    assert sum(sizes) == SLOTS
    assert max(sizes) - min(sizes) <= 1
    collection = route("c", ranges)  # contiguous, or this raises
    assert len(collection.shard_by_slot) == SLOTS
    assert [collection.shard_by_slot.count(number) for number in range(shards)] == sizes


def test_a_point_is_found_in_the_shard_of_its_slot() -> None:
    collection = route("c", spread_slots(3))
    for value in ("x", 7, "0f8fad5b-d9cb-469f-a165-70867728950e"):
        slot = slot_of(encode_id(value))
        shard = collection.shards[collection.shard_by_slot[slot]]
        assert shard.first_slot <= slot <= shard.last_slot


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ([(0, 1022)], "slots 1023 to 1023 belong to no shard"),
        ([(1, 1023)], "shard 0 must start at slot 0"),
        ([(0, 511), (513, 1023)], "shard 1 must start at slot 512"),
        ([(0, 511), (511, 1023)], "shard 1 must start at slot 512"),
        ([(512, 1023), (0, 511)], "shard 0 must start at slot 0"),
        ([(0, 99), (100, 50), (51, 1023)], "shard 1 ends before it starts"),
        ([(0, 1024)], "less than 1024"),
        ([(-1, 1023)], "greater than or equal to 0"),
        ([], "at least 1 item"),
    ],
)
def test_slots_must_be_covered_once(ranges: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        route("c", ranges)


def test_shards_are_numbered_from_zero() -> None:
    with pytest.raises(ValidationError, match="shard 0 must start at slot 0"):
        CollectionRoute(
            uid="u",
            spec=CollectionSpec(name="c", dimension=4),
            shards=(ShardRoute(shard=1, first_slot=0, last_slot=1023, replicas=("a",)),),
        )


@pytest.mark.parametrize("replicas", [(), ("a", "a")])
def test_a_shard_has_one_or_more_different_replicas(replicas: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        route("c", [(0, 1023)], replicas=replicas)


WHOLE = [(0, 1023)]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"nodes": (*NODES, NODES[0])}, "a node is named twice"),
        (
            {"collections": (route("c", WHOLE), route("c", WHOLE, "u2"))},
            "a collection is named twice",
        ),
        (
            {"collections": (route("c", WHOLE), route("d", WHOLE))},
            "a collection uid is named twice",
        ),
        (
            {"models": (ModelRoute(name="m", dimension=1, max_tokens=1, endpoints=("x",)),) * 2},
            "a model is",
        ),
        (
            {"collections": (route("c", WHOLE, replicas=("a", "z")),)},
            r"c names unknown nodes \['z'\]",
        ),
        (
            {
                "collections": (route("c", WHOLE),),
                "deleted": (DeletedCollection(name="c", uid="u1"),),
            },
            r"\['u1'\] are both present and deleted",
        ),
        ({"revision": -1}, "greater than or equal to 0"),
        ({"shards": ()}, "Extra inputs are not permitted"),
    ],
)
def test_a_table_at_odds_with_itself_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RoutingTable(**{"nodes": NODES, **table})


@pytest.mark.parametrize("uid", ["", "../x", "a/b", ".", "-a", "a" * 65, "a\n"])
def test_a_uid_is_fit_for_a_directory_name(uid: str) -> None:
    with pytest.raises(ValidationError):
        DeletedCollection(name="c", uid=uid)
    with pytest.raises(ValidationError):
        route("c", WHOLE, uid)


def test_a_node_is_assigned_the_shards_that_name_it() -> None:
    spread = CollectionRoute(
        uid="u2",
        spec=CollectionSpec(name="d", dimension=4, shards=2),
        shards=(
            ShardRoute(shard=0, first_slot=0, last_slot=511, replicas=("a", "b")),
            ShardRoute(shard=1, first_slot=512, last_slot=1023, replicas=("b",)),
        ),
    )
    table = RoutingTable(nodes=NODES, collections=(route("c", WHOLE), spread))
    assigned = {
        node: [(held.spec.name, shard.shard) for held, shard in table.assigned_to(node)]
        for node in ("a", "b", "z")
    }
    assert assigned == {"a": [("c", 0), ("d", 0)], "b": [("d", 0), ("d", 1)], "z": []}


def test_a_table_survives_its_json() -> None:
    table = RoutingTable(
        revision=7,
        nodes=NODES,
        collections=(route("c", spread_slots(5)),),
        deleted=(DeletedCollection(name="c", uid="u0"),),
        models=(ModelRoute(name="m", dimension=384, max_tokens=256, endpoints=("127.0.0.1:3",)),),
    )
    again = RoutingTable.model_validate_json(table.model_dump_json())
    assert again == table
    assert again.collection_by_name == {"c": table.collections[0]}
    assert again.model_by_name == {"m": table.models[0]}
    assert again.address_by_node == {"a": "127.0.0.1:1", "b": "127.0.0.1:2"}


def test_a_table_from_before_there_were_indexes_is_read() -> None:
    """A flat index was named in every spec; it stays what those collections have."""
    old = """{"revision": 3, "nodes": [{"name": "a", "address": "127.0.0.1:1"}], "collections": [
      {"uid": "u1", "spec": {"name": "docs", "dimension": 4, "metric": "cosine", "shards": 1,
                             "embedding_model": null, "index": {"type": "flat"}},
       "created_at_us": 5,
       "shards": [{"shard": 0, "first_slot": 0, "last_slot": 1023, "replicas": ["a"]}]}]}"""
    known = RoutingTable.model_validate_json(old).collection_by_name["docs"]
    assert known.spec.indexing == Indexing(index=FlatIndex())
    assert known.generation == 1
