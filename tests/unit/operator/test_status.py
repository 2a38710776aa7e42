"""A collection is Ready when every pod that the table names serves it at its generation, and not before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hanax.core.node_state import NodeState
from hanax.core.resources.collections import Collection, VectorCollectionStatus
from hanax.core.resources.conditions import Phase, Reason, condition_of
from hanax_operator.objects import Manifest
from hanax_operator.problems import Problem
from hanax_operator.status import Observed, collection_status, is_rolled_out, unreadable_status
from tests.unit.operator.samples import (
    NOW_US,
    collection,
    node_state,
    release,
    replica_state,
    route_of,
    stateful_set,
)

DOCS = collection("docs", {"shards": 2}, generation=3)
PLACES = (("vc-docs-0-0",), ("vc-docs-1-0",))


def open_states(declared: Collection = DOCS, **changes: Any) -> dict[str, NodeState]:
    return {
        node: node_state(node, replica_state(declared, shard, **changes), revision=8 + shard)
        for shard, (node,) in enumerate(PLACES)
    }


def observed(
    states: dict[str, NodeState] | None = None,
    workloads: tuple[Manifest, ...] = (),
    problem: Problem | None = None,
    notice: Problem | None = None,
) -> Observed:
    return Observed(
        route=route_of(DOCS, *PLACES),
        states=open_states() if states is None else states,
        stateful_sets={obj["metadata"]["name"]: obj for obj in workloads},
        problem=problem,
        notice=notice,
    )


def told(seen: Observed, declared: Collection = DOCS) -> VectorCollectionStatus:
    return collection_status(declared, seen, release(), NOW_US)


def summary(status: VectorCollectionStatus) -> tuple[str, ...]:
    """Phase, then status and reason of Ready, Progressing and Degraded."""
    found = [condition_of(status.conditions, kind) for kind in ("Ready", "Progressing", "Degraded")]
    return (str(status.phase), *(f"{one.status} {one.reason}" for one in found if one is not None))


FINE = ("False Settled", "False Healthy")


def test_a_collection_is_reached_through_the_service_of_the_gateway() -> None:
    """On the Service's port, which is not the one that its pods listen on."""
    assert told(observed()).endpoint == (
        "http://hx-gateway.team.svc.cluster.local:80/api/v1/collections/docs"
    )
    status = collection_status(DOCS, observed(), release(gateway_port=8443), NOW_US)
    assert status.endpoint is not None
    assert ":8443/" in status.endpoint


def test_ready_when_all_serve() -> None:
    status = told(observed(workloads=(stateful_set("vc-docs-0"),)))
    assert summary(status) == ("Ready", "True Serving", *FINE)
    assert status.ready_shards == "2/2"
    assert status.points == 14
    assert status.observed_generation == 3
    assert status.replicas == 1
    assert status.selector == ("vector.citadel-ai.com/collection=docs,app.kubernetes.io/component=shard")
    assert [(shard.pods, shard.ready, shard.sequence, shard.revision) for shard in status.shards] == [
        (("vc-docs-0-0",), True, 9, 8),
        (("vc-docs-1-0",), True, 9, 9),
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"generation": 2}, Reason.SHARDS_NOT_OPEN),
        ({"state": "opening"}, Reason.SHARDS_NOT_OPEN),
        ({"uid": "an-earlier-one"}, Reason.SHARDS_NOT_OPEN),
        ({"state": "failed", "reason": "log damaged"}, Reason.SHARD_FAILED),
    ],
)
def test_not_ready_while_a_replica_does_not_serve_this_generation(
    changes: dict[str, Any], reason: Reason
) -> None:
    states = open_states()
    states["vc-docs-1-0"] = node_state("vc-docs-1-0", replica_state(DOCS, 1, **changes))
    status = told(observed(states))
    ready = condition_of(status.conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", reason)
    assert status.ready_shards == "1/2"
    assert not status.shards[1].ready


def test_not_ready_while_a_pod_does_not_answer() -> None:
    states = open_states()
    del states["vc-docs-0-0"]
    assert summary(told(observed(states)))[:2] == ("Progressing", "False CreatingPods")
    silent = replace(observed(states), silent={"vc-docs-0-0": "refused"})
    ready = condition_of(told(silent).conditions, "Ready")
    assert ready is not None
    assert (ready.reason, ready.message) == ("PodsNotReady", "vc-docs-0-0 does not answer: refused")


def test_not_ready_while_pods_of_an_earlier_template_run() -> None:
    rolling = stateful_set("vc-docs-0", updateRevision="b", updatedReplicas=0)
    assert summary(told(observed(workloads=(rolling,)))) == (
        "Progressing",
        "False RollingUpdate",
        "True RollingUpdate",
        "False Healthy",
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, True),
        ({"observedGeneration": 0}, False),
        ({"updatedReplicas": 0}, False),
        ({"updateRevision": "b"}, False),
    ],
)
def test_rolled_out(status: dict[str, Any], expected: bool) -> None:
    assert is_rolled_out(stateful_set("x", **status)) is expected


def test_not_ready_before_it_is_in_the_table() -> None:
    seen = Observed(route=None, states={}, stateful_sets={})
    status = told(seen)
    assert summary(status) == ("Pending", "False Reconciling", "True Reconciling", "False Healthy")
    assert status.ready_shards == "0/2"
    assert status.points is None


def test_a_problem_makes_it_degraded() -> None:
    status = told(observed(problem=Problem(Reason.UNSCHEDULABLE, "no node has a GPU")))
    assert summary(status) == ("Degraded", "False Unschedulable", "False Settled", "True Unschedulable")


def test_a_notice_leaves_it_ready() -> None:
    notice = Problem(Reason.STORAGE_CLASS_CANNOT_GROW, "no")
    assert summary(told(observed(notice=notice))) == (
        "Degraded",
        "True Serving",
        "False Settled",
        "True StorageClassCannotGrow",
    )


def test_suspended_is_as_asked_for() -> None:
    declared = collection("docs", {"shards": 2, "suspend": True}, generation=3)
    status = told(observed({}), declared)
    assert summary(status) == ("Suspended", "False Suspended", *FINE)
    assert status.replicas == 0


def test_paused_says_so_and_tells_what_is_true() -> None:
    declared = collection("docs", {"shards": 2, "paused": True}, generation=3)
    assert summary(told(observed(), declared)) == ("Ready", "True Serving", "False Paused", "False Healthy")
    assert summary(told(observed({}), declared))[1:] == (
        "False CreatingPods",
        "True CreatingPods",
        "False Healthy",
    )


def test_deleting() -> None:
    declared = collection("docs", {"shards": 2}, generation=3, deletionTimestamp="2026-01-02T00:00:00Z")
    status = told(observed(problem=Problem(Reason.DELETING, "vc-docs-0-0 still there")), declared)
    assert summary(status) == ("Deleting", "False Deleting", "True Deleting", "False Healthy")


def test_nothing_differs_the_second_time() -> None:
    first = told(observed())
    again = collection("docs", {"shards": 2}, first.manifest(), generation=3)
    later = collection_status(again, observed(), release(), NOW_US + 3_600_000_000)
    assert later.manifest() == first.manifest()


def test_places_and_counts_stay_told_while_nobody_answers() -> None:
    """The routing table is restored from them when it is lost."""
    first = told(observed())
    again = collection("docs", {"shards": 2}, first.manifest(), generation=3)
    for seen in (observed({}), Observed(None, {}, {})):
        status = told(seen, again)
        assert [shard.pods for shard in status.shards] == list(PLACES)
        assert status.points == 14
        assert not any(shard.ready for shard in status.shards)


def test_of_several_replicas_the_latest_tells_and_all_must_serve() -> None:
    declared = collection("docs", {"shards": 1}, generation=3)
    seen = Observed(
        route=route_of(declared, ("a", "b")),
        states={
            "a": node_state("a", replica_state(declared, sequence=5, points=5)),
            "b": node_state("b", replica_state(declared, sequence=6, points=6)),
        },
        stateful_sets={},
    )
    status = told(seen, declared)
    assert (status.shards[0].points, status.shards[0].ready) == (6, True)
    without = Observed(seen.route, {"b": seen.states["b"]}, {})
    assert not told(without, declared).shards[0].ready


def test_what_can_not_be_read_is_told_and_the_rest_kept() -> None:
    first = told(observed())
    status = unreadable_status(first, 4, "spec.dimensions: expected a number", NOW_US)
    assert status.phase is Phase.DEGRADED
    assert status.shards == first.shards
    ready = condition_of(status.conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason, ready.observed_generation) == ("False", "InvalidSpec", 4)
