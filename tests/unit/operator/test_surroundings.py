"""What no watched object tells: Secrets that are missing, and pods that could not be made."""

from __future__ import annotations

from typing import Any

from hanax.core.errors import FailedPrecondition
from hanax.core.resources.conditions import Reason
from hanax_operator.context import Surroundings
from hanax_operator.objects import COLLECTION, EVENT, SECRET, key
from hanax_operator.surroundings import look_around
from tests.unit.operator.memory_api import MemoryApi
from tests.unit.operator.samples import model
from tests.unit.operator.worlds import World

QUOTA = 'pods "vc-docs-0-0" is forbidden: exceeded quota: small'


def event(name: str, about: tuple[str, str], reason: str, message: str, at: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name},
        "involvedObject": {"kind": about[0], "name": about[1]},
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
    }


async def test_the_last_refusal_of_each_workload_is_what_counts() -> None:
    api = MemoryApi()
    for told in (
        event("a", ("StatefulSet", "vc-docs-0"), "FailedCreate", "no account", "2026-01-01T00:00:02Z"),
        event("b", ("StatefulSet", "vc-docs-0"), "FailedCreate", QUOTA, "2026-01-01T00:00:03Z"),
        event("c", ("StatefulSet", "vc-docs-0"), "FailedCreate", "older", "2026-01-01T00:00:01Z"),
        event("d", ("StatefulSet", "vc-docs-1"), "SuccessfulCreate", "made", "2026-01-01T00:00:04Z"),
        event("e", ("ReplicaSet", "xm-mini"), "FailedCreate", "another kind", "2026-01-01T00:00:05Z"),
    ):
        api.objects[key(EVENT, told["metadata"]["name"])] = told
    assert (await look_around(api.as_api(), ())).refused_pods == {"vc-docs-0": QUOTA}


async def test_without_the_right_to_list_events_nothing_is_refused() -> None:
    api = MemoryApi()
    api.failure = FailedPrecondition("events is forbidden", status=403)
    assert (await look_around(api.as_api(), ())).refused_pods == {}


async def test_a_secret_is_missing_when_its_key_is() -> None:
    api = MemoryApi()
    for name, keys in (("here", {"token": "dA=="}), ("empty", {})):
        api.objects[key(SECRET, name)] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "data": keys,
        }
    models = [_authorised(name) for name in ("here", "empty", "nowhere")]
    seen = await look_around(api.as_api(), models)
    assert seen.missing_secrets == {"empty/token", "nowhere/token"}


async def test_a_pod_that_can_not_be_made_is_told_in_a_condition_and_an_event() -> None:
    world = World()
    world.declare("docs", placement="dedicated")
    await world.publisher.publish()
    world.context.surroundings = Surroundings(refused_pods={"vc-docs-0": QUOTA, "vc-others-0": "not ours"})
    await world.reconciler().reconcile("docs")
    status = world.api.objects[key(COLLECTION, "docs")]["status"]
    degraded = next(entry for entry in status["conditions"] if entry["type"] == "Degraded")
    assert (degraded["status"], degraded["reason"]) == ("True", Reason.POD_FAILED)
    assert QUOTA in degraded["message"]
    events = [obj for found, obj in world.api.objects.items() if found.kind == EVENT.kind]
    assert [(told["type"], told["reason"]) for told in events] == [("Warning", Reason.POD_FAILED)]
    assert QUOTA in events[0]["message"]


def _authorised(secret: str) -> Any:
    endpoint = {
        "url": "http://models.example:8080/v1",
        "protocol": "openai",
        "authSecretRef": {"name": secret, "key": "token"},
    }
    return model(f"with-{secret}", {"dimensions": 4, "endpoint": endpoint})
