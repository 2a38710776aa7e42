"""Label values are bounded whatever clients send."""

from __future__ import annotations

import time

from prometheus_client import generate_latest

from hanax.core.routing import CollectionRoute, NodeRoute, RoutingTable, ShardRoute
from hanax.core.specs import CollectionSpec
from hanax.gateway.calls import Call
from hanax.gateway.metrics import Metrics
from hanax.metadata.operations.operation import Operation
from hanax.runtime.service_metrics import MAX_COLLECTIONS

CALL = Call("request", time.monotonic)


def _table(names: list[str]) -> RoutingTable:
    whole = ShardRoute(shard=0, first_slot=0, last_slot=1023, replicas=("a",))
    return RoutingTable(
        nodes=(NodeRoute(name="a", address="127.0.0.1:1"),),
        collections=tuple(
            CollectionRoute(uid=name, spec=CollectionSpec(name=name, dimension=2), shards=(whole,))
            for name in names
        ),
    )


def _labels(metrics: Metrics) -> set[str]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    return {
        line.split('collection="')[1].split('"')[0]
        for line in lines
        if line.startswith("vector_db_operations_total{")
    }


def test_only_collections_of_the_table_are_labels() -> None:
    metrics = Metrics()
    metrics.follow(_table(["kept", "dropped"]))
    for name in ("kept", "dropped", "unknown", None):
        with metrics.reading("search", name, CALL):
            pass
    assert _labels(metrics) == {"kept", "dropped", ""}
    metrics.follow(_table(["kept"]))
    assert _labels(metrics) == {"kept", ""}


def test_collections_past_the_cap_share_one_series() -> None:
    metrics = Metrics()
    names = [f"c-{number:04}" for number in range(MAX_COLLECTIONS + 50)]
    metrics.follow(_table(names))
    for name in names:
        with metrics.reading("search", name, CALL):
            pass
    assert _labels(metrics) == {*names[:MAX_COLLECTIONS], ""}


def test_who_follows_changes_is_told_of_no_read() -> None:
    metrics = Metrics()
    everything: list[Operation] = []
    changes: list[Operation] = []
    metrics.note_to(everything.append, lambda: 0)
    metrics.note_changes_to(changes.append, lambda: 0)
    with metrics.reading("get_alias", None, CALL):
        pass
    with metrics.changing("switch_aliases", None, CALL):
        pass
    assert [one.operation for one in everything] == ["get_alias", "switch_aliases"]
    assert [one.operation for one in changes] == ["switch_aliases"]
