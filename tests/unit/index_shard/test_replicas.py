"""Replicas against real shards: failures that pass, failures that stay, and tables in a hurry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from hanax.core.errors import (
    CollectionNotFound,
    CollectionSuspended,
    DataLoss,
    Internal,
    NoTextIndex,
    StorageFull,
    Unavailable,
)
from hanax.core.filter_parsing import parse_filter
from hanax.core.ids import encode_id
from hanax.core.index_specs import Indexing
from hanax.core.routing import CollectionRoute, DeletedCollection, NodeRoute, RoutingTable, ShardRoute
from hanax.core.specs import CollectionSpec, PayloadIndex
from hanax.engine.shard.results import IndexStats, ShardStats
from hanax.engine.shard.shard import Shard
from hanax.index_shard.gauges import ReplicaGauges
from hanax.index_shard.metrics import Metrics
from hanax.index_shard.replicas import Replica
from hanax.runtime.service_metrics import MAX_COLLECTIONS
from tests.integration.waiting import wait_until
from tests.unit.index_shard.nodes import DEADLINE_S, Node

NODE = NodeRoute(name="me", address="127.0.0.1:1")


def route(name: str, shards: int = 1) -> CollectionRoute:
    bounds = [1_024 * number // shards for number in range(shards + 1)]
    return CollectionRoute(
        uid=f"uid-{name}",
        spec=CollectionSpec(name=name, dimension=2, shards=shards),
        shards=tuple(
            ShardRoute(
                shard=number, first_slot=bounds[number], last_slot=bounds[number + 1] - 1, replicas=("me",)
            )
            for number in range(shards)
        ),
    )


def changed(known: CollectionRoute, generation: int, **more: object) -> CollectionRoute:
    spec = CollectionSpec.model_validate({**dict(known.spec), **more})
    return known.model_copy(update={"spec": spec, "generation": generation})


def table(*routes: CollectionRoute, deleted: tuple[str, ...] = ()) -> RoutingTable:
    gone = tuple(DeletedCollection(name=name, uid=f"uid-{name}") for name in deleted)
    return RoutingTable(nodes=(NODE,), collections=routes, deleted=gone)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.close()


def write(shard: Shard) -> None:
    shard.upsert([encode_id(1)], {"default": np.ones((1, 2), np.float32)}, [b"{}"])


def test_an_open_shard_stays_the_same_over_tables(node: Node) -> None:
    node.follow(table(route("a"), route("b", shards=3)))
    first = node.shard("a")
    write(first)
    node.follow(table(route("a")))
    assert node.shard("a") is first
    assert sorted(node.opened) == ["a", "b", "b", "b"]
    with pytest.raises(CollectionNotFound):
        node.shard("b")


def test_an_open_shard_is_told_how_it_is_indexed_now(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Indexing] = []
    set_indexing = Shard.set_indexing

    def listen(shard: Shard, indexing: Indexing) -> None:
        set_indexing(shard, indexing)
        told.append(indexing)

    monkeypatch.setattr(Shard, "set_indexing", listen)
    first = route("a", shards=2)
    node.follow(table(first, route("b")))
    shards = [node.shard("a", number) for number in range(2)]
    write(shards[0])
    second = changed(first, 2, index={"type": "hnsw"}, target_recall=0.9)
    node.follow(table(second, route("b")))
    assert told == [second.spec.indexing] * 2, "and b is not told"
    assert [node.shard("a", number) for number in range(2)] == shards
    assert node.replicas.find("a", "uid-a", 0)[1] == second
    assert sorted(node.opened) == ["a", "a", "b"]
    node.follow(table(second, route("b"), route("c")))
    assert len(told) == 2, "a table that changes nothing about it tells it nothing"


def test_an_open_shard_is_told_which_fields_are_pinned_now(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Mapping[str, PayloadIndex]] = []
    set_payload_indexes = Shard.set_payload_indexes

    def listen(shard: Shard, payload_indexes: Mapping[str, PayloadIndex]) -> None:
        set_payload_indexes(shard, payload_indexes)
        told.append(payload_indexes)

    def no_indexing(shard: Shard, indexing: Indexing) -> None:
        raise AssertionError("indexing did not change")

    monkeypatch.setattr(Shard, "set_payload_indexes", listen)
    monkeypatch.setattr(Shard, "set_indexing", no_indexing)
    first = route("a")
    node.follow(table(first, route("b")))
    shard = node.shard("a")
    words = parse_filter({"field": "title", "operator": "text", "value": "tides"})
    with pytest.raises(NoTextIndex):
        shard.count(words)
    second = changed(first, 2, payload_indexes={"title": "text"})
    node.follow(table(second, route("b")))
    assert told == [{"title": "text"}], "and b is not told"
    assert node.shard("a") is shard
    assert shard.count(words) == 0
    assert node.replicas.find("a", "uid-a", 0)[1] == second
    node.follow(table(changed(second, 3, payload_indexes={}), route("b")))
    with pytest.raises(NoTextIndex):
        shard.count(words)


def test_a_shard_that_does_not_take_it_goes_by_what_it_had(node: Node) -> None:
    first = route("a")
    node.follow(table(first))
    node.shard("a").close()
    node.follow(table(changed(first, 2, target_recall=0.9), route("b")))
    assert node.replicas.find("a", "uid-a", 0)[1].generation == 1
    write(node.shard("b"))


@pytest.mark.parametrize("trouble", [StorageFull("no space"), Unavailable("held"), OSError(5, "I/O")])
def test_trouble_that_may_pass_is_tried_again(node: Node, trouble: Exception) -> None:
    node.trouble["a"] = trouble
    node.follow(table(route("a"), route("b")))
    write(node.shard("b"))
    with pytest.raises((StorageFull, Unavailable)):
        node.shard("a")
    node.trouble.clear()
    wait_until("a is opened", lambda: "a" in node.opened)
    assert node.settled.acquire(timeout=DEADLINE_S)
    write(node.shard("a"))


@pytest.mark.parametrize(
    ("trouble", "kind"), [(DataLoss("torn", path="x"), DataLoss), (ZeroDivisionError(), Internal)]
)
def test_trouble_that_stays_is_answered_to_every_call(
    node: Node, trouble: Exception, kind: type[Exception]
) -> None:
    node.trouble["a"] = trouble
    node.follow(table(route("a")))
    node.trouble.clear()
    node.follow(table(route("a"), route("b")))
    raised = []
    for _ in range(2):
        with pytest.raises(kind) as caught:
            node.shard("a")
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert node.opened == ["b"]


def test_only_the_newest_of_many_tables_counts(node: Node) -> None:
    for number in range(50):
        node.replicas.follow(table(route(f"c{number}")))
    node.follow(table(route("last")))
    wait_until(
        "the last table holds",
        lambda: (
            [(one.route.spec.name, one.shard is not None) for one in node.replicas.all()] == [("last", True)]
        ),
    )
    write(node.shard("last"))


def test_deleting_is_tried_again_when_it_fails(node: Node) -> None:
    node.follow(table(route("a")))
    shard = node.shard("a")
    trash = node.root / "trash"
    trash.rmdir()
    trash.write_bytes(b"a file in the way")
    node.replicas.follow(table(deleted=("a",)))
    wait_until("all are closed", lambda: not list(node.replicas.all()))
    with pytest.raises(CollectionNotFound):
        node.shard("a")
    assert (node.root / "collections" / "a-uid-a").is_dir()
    trash.unlink()
    trash.mkdir()
    wait_until("its files are gone", lambda: not (node.root / "collections" / "a-uid-a").exists())
    with pytest.raises(Unavailable, match="closed"):
        shard.count()


def test_closing_lets_every_shard_go(tmp_path: Path) -> None:
    for _ in range(2):
        node = Node(tmp_path)
        node.follow(table(route("a"), route("b", shards=2)))
        node.close()


def test_the_series_of_collections_are_bounded_and_dropped() -> None:
    metrics = Metrics()
    for number in range(MAX_COLLECTIONS + 10):
        with metrics.operation("count") as counted:
            counted.collection = f"c{number}"

    def series() -> dict[str, float]:
        return {
            sample.labels["collection"]: sample.value
            for family in metrics.registry.collect()
            for sample in family.samples
            if sample.name == "vector_db_operations_total"
        }

    assert len(series()) == MAX_COLLECTIONS + 1
    assert series()[""] == 10
    metrics.keep({"c0"})
    assert series() == {"c0": 1, "": 10}


def stats(**more: Any) -> ShardStats:
    """Of an empty shard."""
    numbers = dict.fromkeys(ShardStats.__dataclass_fields__, 0)
    return ShardStats(**{**numbers, "read_only_reason": "", "indexes": [], "live_recall": math.nan, **more})


def index(state: str) -> IndexStats:
    return IndexStats("s", "default", 10, state, "ivf", "product", 3, 0.9, 40, "")


class Told:
    """In the place of an open shard: a shard's own numbers take a while to come about."""

    def __init__(self, told: ShardStats) -> None:
        self._told = told

    def stats(self) -> ShardStats:
        return self._told


def test_gauges_of_indexes() -> None:
    """Recall is weighted by the queries that were compared; without any there is no series."""
    shards = [
        (
            "a",
            stats(index_memory_bytes=40, live_recall=0.9, live_recall_samples=30, indexes=[index("built")]),
        ),
        ("a", stats(index_memory_bytes=2, live_recall=0.5, live_recall_samples=10)),
        ("b", stats(indexes=[index("refused"), index("waiting"), index("waiting")])),
    ]
    replicas = [
        Replica(route(name, shards=2), number % 2, cast(Shard, Told(told)))
        for number, (name, told) in enumerate(shards)
    ]
    families = {one.name: one for one in ReplicaGauges("index-shard", lambda: replicas).collect()}

    def values(name: str) -> dict[tuple[str, ...], float]:
        return {
            tuple(value for key, value in sample.labels.items() if key != "service"): sample.value
            for sample in families[name].samples
        }

    assert values("vector_db_recall") == {("a",): pytest.approx(0.8)}
    assert values("vector_db_index_memory_bytes") == {("a",): 42, ("b",): 0}
    counted = {key: count for key, count in values("vector_db_index_segments").items() if count}
    assert counted == {("a", "built"): 1, ("b", "refused"): 1, ("b", "waiting"): 2}
    assert len(values("vector_db_index_segments")) == 2 * 4


def test_gauges_of_many_collections_are_bounded() -> None:
    replicas = [Replica(route(f"c{number}"), 0) for number in range(3)]
    families = {family.name: family for family in ReplicaGauges("index-shard", lambda: replicas).collect()}
    states = {sample.labels["state"]: sample.value for sample in families["vector_db_shards"].samples}
    assert states == {"open": 0, "opening": 3, "failed": 0}
    assert families["vector_db_collection_points"].samples == []


def test_a_suspended_collection_is_closed_and_comes_back_whole(node: Node) -> None:
    node.follow(table(route("a"), route("b")))
    write(node.shard("a"))
    resting = route("a").model_copy(update={"suspended": True})
    node.follow(table(resting, route("b")))
    with pytest.raises(CollectionSuspended, match="'a' is suspended"):
        node.shard("a")
    assert [replica.route.spec.name for replica in node.replicas.all()] == ["b"]
    node.follow(table(route("a"), route("b")))
    assert node.shard("a").count() == 1
