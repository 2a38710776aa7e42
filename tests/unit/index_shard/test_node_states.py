"""What a node tells of itself: every replica, its generation, and why one is not open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hanax.core.errors import DataLoss
from hanax.core.ids import encode_id
from hanax.core.node_state import NodeState, ReplicaState
from hanax.core.routing import CollectionRoute, NodeRoute, RoutingTable, ShardRoute
from hanax.core.specs import CollectionSpec
from hanax.engine.shard.results import ShardStats
from hanax.engine.shard.shard import Shard
from hanax.index_shard.node_states import NodeStates
from tests.integration.waiting import wait_until
from tests.unit.index_shard.nodes import DEADLINE_S, Node


def route(name: str, **more: Any) -> CollectionRoute:
    return CollectionRoute(
        uid=f"uid-{name}",
        spec=CollectionSpec(name=name, dimension=2),
        shards=(ShardRoute(shard=0, first_slot=0, last_slot=1023, replicas=("me",)),),
        **more,
    )


class TellingNode(Node):
    """With a clock that a test moves."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.trouble["broken"] = DataLoss("segment 3 is damaged")
        self.now = 0.0
        self.states = NodeStates("me", self.replicas, lambda: self.now)

    def tell(self) -> NodeState:
        """What it tells once the last answer is too old."""
        self.now += 1.0
        return NodeState.parse(self.states.body())


def table(revision: int, *routes: CollectionRoute) -> RoutingTable:
    nodes = (NodeRoute(name="me", address="127.0.0.1:1"),)
    return RoutingTable(revision=revision, nodes=nodes, collections=routes)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[TellingNode]:
    node = TellingNode(tmp_path)
    yield node
    node.close()


def test_before_the_first_table_there_is_no_revision(node: TellingNode) -> None:
    assert node.tell() == NodeState(node="me", revision=None, replicas=())


def test_an_open_shard_tells_what_it_holds(node: TellingNode) -> None:
    node.follow(table(4, route("a", generation=3)))
    shard = node.replicas.find("a", "uid-a", 0)[0]
    rows = np.eye(2, dtype=np.float32)
    shard.upsert([encode_id(1), encode_id(2)], {"default": rows}, [b"{}"] * 2)
    shard.seal()
    assert shard.wait_until_indexed(DEADLINE_S)
    shard.upsert([encode_id(3)], {"default": rows[:1]}, [b"{}"])
    told = node.tell()
    assert (told.node, told.revision) == ("me", 4)
    (replica,) = told.replicas
    assert replica.disk_bytes > 0
    assert replica.model_copy(update={"disk_bytes": 0}) == ReplicaState(
        collection="a",
        uid="uid-a",
        shard=0,
        generation=3,
        state="open",
        points=3,
        sequence=2,
        segments=1,
        growing_rows=1,
        indexes_built=1,
    )


def test_what_is_not_open_tells_why(node: TellingNode) -> None:
    node.follow(table(1, route("a"), route("broken"), route("resting", suspended=True)))
    told = {replica.collection: replica for replica in node.tell().replicas}
    assert set(told) == {"a", "broken"}
    assert (told["broken"].state, told["broken"].reason) == ("failed", "segment 3 is damaged")


def test_what_opens_is_told_as_opening_under_the_new_generation(node: TellingNode) -> None:
    node.follow(table(1, route("a")))
    node.gate.clear()
    node.replicas.follow(table(2, route("a", generation=2), route("b")))

    def both() -> NodeState | None:
        told = node.tell()
        return told if len(told.replicas) == 2 else None

    told = wait_until("both are told of", both)
    node.gate.set()
    states = {replica.collection: (replica.state, replica.generation) for replica in told.replicas}
    assert told.revision == 2
    assert states == {"a": ("open", 2), "b": ("opening", 1)}


def test_shards_are_asked_again_only_when_some_time_has_passed(
    node: TellingNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least half a second, and twenty times what it took: thousands of shards take a while."""
    asked: list[str] = []
    stats = Shard.stats

    def slowly(shard: Shard) -> ShardStats:
        asked.append("")
        node.now += 0.1
        return stats(shard)

    def tell(now: float) -> int:
        node.now = now
        asked.clear()
        node.states.body()
        return len(asked)

    node.follow(table(1, route("a"), route("b")))
    monkeypatch.setattr(Shard, "stats", slowly)
    assert [tell(now) for now in (20.0, 20.5, 24.1, 24.3)] == [2, 0, 0, 2]


def test_what_opens_meanwhile_is_asked_at_once(node: TellingNode) -> None:
    node.follow(table(1, route("a")))
    assert len(node.tell().replicas) == 1
    node.follow(table(2, route("a", generation=2), route("b")))
    told = NodeState.parse(node.states.body())
    assert [(one.collection, one.generation, one.state) for one in told.replicas] == [
        ("b", 1, "open"),
        ("a", 2, "open"),
    ]
    node.follow(table(3))
    assert NodeState.parse(node.states.body()).replicas == ()


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"node": "a", "replicas": [{"collection": "c"}]}'])
def test_an_answer_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(DataLoss):
        NodeState.parse(body)


def test_what_a_newer_node_tells_besides_is_passed_over() -> None:
    told = NodeState.parse(b'{"node": "a", "revision": 1, "replicas": [], "temperature": 3}')
    assert told == NodeState(node="a", revision=1)
