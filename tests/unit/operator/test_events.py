"""An event is written once for each thing that happened, also by an operator that was restarted."""

from __future__ import annotations

from hanax.core.errors import Unavailable
from hanax_operator.events import Events
from tests.unit.operator.memory_api import MemoryApi
from tests.unit.operator.samples import NOW_US, collection_object

DOCS = collection_object("docs")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def events(api: MemoryApi, clock: Clock | None = None) -> Events:
    return Events(api.as_api(), "hanax-operator", clock or Clock(), lambda: NOW_US)


async def test_the_same_is_said_once() -> None:
    api = MemoryApi()
    teller = events(api)
    for _ in range(3):
        await teller.tell(DOCS, "Warning", "Unschedulable", "no node")
    await teller.tell(DOCS, "Warning", "Unschedulable", "no node has a GPU")
    assert api.writes == 2
    await events(api).tell(DOCS, "Warning", "Unschedulable", "no node")
    assert api.writes == 2


async def test_what_is_said_names_the_object() -> None:
    api = MemoryApi()
    await events(api).tell(DOCS, "Normal", "Ready", "x" * 5_000)
    (event,) = api.objects.values()
    assert event["involvedObject"]["uid"] == "uid-docs"
    assert (event["type"], event["reason"], len(event["message"])) == ("Normal", "Ready", 1_000)
    assert event["metadata"]["namespace"] == "team"


async def test_a_server_that_refuses_fails_no_reconcile() -> None:
    api = MemoryApi()
    api.failure = Unavailable("no answer", status=0)
    await events(api).tell(DOCS, "Normal", "Ready", "it serves")
    assert api.writes == 0
