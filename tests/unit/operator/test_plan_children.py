"""From what there is to what is wanted; and never two shards of a collection away for a restart."""

from __future__ import annotations

from typing import Any

import pytest

from hanax_operator.objects import SERVICE, STATEFUL_SET, ObjectKey, key
from hanax_operator.plan.actions import Action, Apply, Delete
from hanax_operator.plan.children import one_restart_at_a_time, plan_children
from tests.unit.operator.samples import child, stateful_set

NAME = key(SERVICE, "vc-docs")


def service(**metadata: Any) -> dict[str, Any]:
    return child("Service", "vc-docs", spec={"clusterIP": "None"}, metadata=metadata)


def applied(obj: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {"f:spec": {"f:clusterIP": {}}}
    obj["metadata"]["managedFields"] = [
        {"manager": "hanax-operator", "operation": "Apply", "fieldsV1": fields}
    ]
    return obj


def test_missing_children_are_made() -> None:
    (action,) = plan_children({NAME: service()}, {})
    assert action == Apply(NAME, service(), "missing")


def test_children_as_wanted_are_left_alone() -> None:
    assert plan_children({NAME: service()}, {NAME: applied(service())}) == []


def test_drift_is_repaired_and_the_reason_names_the_field() -> None:
    live = applied(service())
    live["spec"]["clusterIP"] = "10.0.0.1"
    (action,) = plan_children({NAME: service()}, {NAME: live})
    assert action.reason == "differs in spec.clusterIP"


def test_unwanted_children_are_deleted_by_uid() -> None:
    (action,) = plan_children({NAME: None}, {NAME: applied(service())})
    assert action == Delete(NAME, "uid-Service-vc-docs", "no longer wanted")
    assert plan_children({NAME: None}, {}) == []


@pytest.mark.parametrize("wanted", [None, service()])
def test_what_is_on_its_way_out_is_waited_for(wanted: dict[str, Any] | None) -> None:
    live = service(deletionTimestamp="2026-01-01T00:00:00Z")
    assert plan_children({NAME: wanted}, {NAME: live}) == []


def restart(name: str) -> Apply:
    wanted = stateful_set(name)
    wanted["spec"]["template"] = {"spec": {"containers": [{"name": "shard", "image": "new"}]}}
    return Apply(key(STATEFUL_SET, name), wanted, "differs")


def scale(name: str) -> Apply:
    wanted = stateful_set(name)
    wanted["spec"]["replicas"] = 0
    return Apply(key(STATEFUL_SET, name), wanted, "differs")


def live_of(*objects: dict[str, Any]) -> dict[ObjectKey, dict[str, Any]]:
    return {key(STATEFUL_SET, obj["metadata"]["name"]): obj for obj in objects}


def names(actions: list[Action]) -> list[str]:
    return [action.key.name for action in actions]


def test_one_shard_restarts_at_a_time() -> None:
    live = live_of(stateful_set("a"), stateful_set("b"))
    now, held = one_restart_at_a_time([restart("a"), restart("b")], live)
    assert names(now) == ["a"]
    assert held == ["StatefulSet b waits for a: it restarts for spec.containers.shard"]


@pytest.mark.parametrize("status", [{"readyReplicas": 0}, {"updateRevision": "b"}, {"observedGeneration": 0}])
def test_the_next_waits_until_the_first_is_back(status: dict[str, Any]) -> None:
    live = live_of(stateful_set("a", **status), stateful_set("b"))
    now, held = one_restart_at_a_time([restart("b")], live)
    assert now == []
    assert len(held) == 1


def test_what_restarts_nothing_does_not_wait() -> None:
    live = live_of(stateful_set("a", readyReplicas=0), stateful_set("b"))
    now, held = one_restart_at_a_time([scale("b")], live)
    assert (names(now), held) == (["b"], [])


def test_shards_that_do_not_serve_anyway_are_cured_at_once() -> None:
    live = live_of(stateful_set("a", readyReplicas=0), stateful_set("b", readyReplicas=0))
    now, held = one_restart_at_a_time([restart("a"), restart("b")], live)
    assert (names(now), held) == (["a", "b"], [])


def test_new_shards_are_made_at_once() -> None:
    now, held = one_restart_at_a_time([restart("a"), restart("b")], {})
    assert (names(now), held) == (["a", "b"], [])
