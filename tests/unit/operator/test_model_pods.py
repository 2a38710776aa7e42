"""Gateways are told of the pods that are ready; those that come and go do not renew the table each time."""

from __future__ import annotations

import random
from typing import Any

from hanax.core.resources.names import MODEL_LABEL
from hanax_operator.model_pods import HOLD_S, ModelPods
from hanax_operator.objects import Manifest
from tests.unit.operator.samples import child

GONE = "2026-01-03T00:00:00Z"


def pod(number: int, ready: bool = True, model: str = "minilm", **metadata: Any) -> Manifest:
    """At 10.0.0.<number>."""
    found = child("Pod", f"xm-{model}-{number}", "v1", spec={})
    found["metadata"] |= {"labels": {MODEL_LABEL: model}, **metadata}
    conditions = [{"type": "Ready", "status": str(ready)}]
    found["status"] = {"phase": "Running", "podIP": f"10.0.0.{number}", "conditions": conditions}
    return found


class Told:
    def __init__(self) -> None:
        self.now = 100.0
        self.again: float | None = None
        self._pods = ModelPods(lambda: self.now)

    def of(self, *pods: Manifest, model: str = "minilm") -> str:
        """The last numbers of the addresses that gateways are told of, in order."""
        found = self._pods.addresses(pods)
        self.again = found.again_s
        return " ".join(address.rpartition(".")[2] for address in found.by_model.get(model, ()))


def test_pods_that_are_ready_are_told_in_order() -> None:
    told = Told()
    ended = pod(6)
    ended["status"]["phase"] = "Failed"
    pods = (pod(3), pod(1), pod(2, ready=False), pod(4, deletionTimestamp=GONE), pod(5, model="b"), ended)
    assert told.of(*pods) == "1 3"
    assert told.of(*reversed(pods)) == "1 3"
    assert told.of(*pods, model="b") == "5"
    assert told.again is None


def test_readiness_changes_the_addresses_once_in_a_while() -> None:
    told = Told()
    assert told.of(pod(1)) == "1"
    told.now += 1
    assert told.of(pod(1), pod(2)) == "1"
    assert told.again == HOLD_S - 1
    told.now += HOLD_S - 1
    assert told.of(pod(1), pod(2)) == "1 2"
    assert told.again is None
    told.now += 1
    assert told.of(pod(1), pod(2, ready=False)) == "1 2"
    # It came back before anybody was told.
    told.now += HOLD_S
    assert told.of(pod(1), pod(2)) == "1 2"
    assert told.again is None


def test_a_pod_that_ends_or_is_gone_leaves_at_once_and_others_come_in_with_it() -> None:
    told = Told()
    assert told.of(pod(1), pod(2)) == "1 2"
    assert told.of(pod(1), pod(2, deletionTimestamp=GONE), pod(3)) == "1 3"
    # Its address is another model's pod's by now.
    assert told.of(pod(3), pod(1, model="b")) == "3"
    # Another one of its name has another address.
    assert told.of(pod(4)) == "4"


def test_when_nobody_who_is_told_of_is_ready_one_who_is_comes_in_at_once() -> None:
    told = Told()
    assert told.of(pod(1)) == "1"
    assert told.of(pod(1, ready=False), pod(2)) == "2"


def test_a_model_of_which_no_pod_is_ready_keeps_those_it_has_while_they_exist() -> None:
    told = Told()
    assert told.of(pod(1), pod(2)) == "1 2"
    told.now += 60
    assert told.of(pod(1, ready=False), pod(2, ready=False)) == "1 2"
    assert told.of(pod(1, ready=False)) == "1"
    assert told.of(pod(1, ready=False, deletionTimestamp=GONE)) == ""
    assert told.of(pod(3, ready=False)) == ""
    assert told.of(pod(3)) == "3"


def test_one_that_crashes_over_and_over_changes_little() -> None:
    """An hour of a pod that is up for a second and down for a second, beside others that are well."""
    told, changes, last = Told(), 0, ""
    rng = random.Random(7)
    for _ in range(3_600):
        told.now += 1
        now = told.of(pod(1), pod(2), pod(3, ready=rng.random() < 0.5))
        changes += now != last
        last = now
    assert 0 < changes <= 3_600 / HOLD_S + 1
    alone, changes, last = Told(), 0, ""
    for _ in range(3_600):
        alone.now += 1
        now = alone.of(pod(1, ready=rng.random() < 0.5))
        changes += now != last
        last = now
    assert (changes, last) == (1, "1")
