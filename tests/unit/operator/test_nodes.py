"""Pods are asked when they are due, side by side, and each change is told once."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from hanax.core.errors import DataLoss, Unavailable
from hanax.core.node_state import NodeState
from hanax_operator.nodes import NodeStates, http_fetch, is_settled
from tests.unit.operator.samples import collection, node_state, replica_state

DOCS, FAQS = collection("docs"), collection("faqs")


class Cluster:
    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.answers: dict[str, NodeState | Exception] = {}
        self.states = NodeStates(self._fetch, lambda: self.now, settled_pause_s=10.0)

    async def _fetch(self, address: str) -> NodeState:
        self.asked.append(address)
        answer = self.answers[address]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def look(self, revision: int = 1, **addresses: str) -> set[tuple[str, str]]:
        self.asked.clear()
        return await self.states.look(addresses, revision)


async def test_settled_nodes_are_asked_seldom_and_others_often() -> None:
    cluster = Cluster()
    cluster.answers = {
        "1": node_state("a", replica_state(DOCS), revision=1),
        "2": node_state("b", replica_state(DOCS, state="opening"), revision=1),
    }
    await cluster.look(a="1", b="2")
    assert cluster.asked == ["1", "2"]
    cluster.now += 0.6
    await cluster.look(a="1", b="2")
    assert cluster.asked == ["2"]
    # A new table unsettles all.
    cluster.now += 0.6
    await cluster.look(revision=2, a="1", b="2")
    assert cluster.asked == ["1", "2"]
    cluster.now += 0.1
    await cluster.look(revision=2, a="1", b="2")
    assert cluster.asked == []


async def test_changes_name_node_and_collection() -> None:
    cluster = Cluster()
    cluster.answers = {"1": node_state("a", replica_state(DOCS), replica_state(FAQS))}
    assert await cluster.look(a="1") == {("a", "docs"), ("a", "faqs"), ("a", "")}
    cluster.now += 20
    assert await cluster.look(a="1") == set()
    cluster.answers["1"] = node_state("a", replica_state(DOCS, points=8), replica_state(FAQS), revision=2)
    cluster.now += 20
    assert await cluster.look(a="1") == {("a", "docs")}
    cluster.now += 20
    cluster.answers["1"] = Unavailable("refused")
    assert await cluster.look(a="1") == {("a", "docs"), ("a", "faqs"), ("a", "")}
    assert cluster.states.get("a") is None
    assert cluster.states.error("a") == "refused"


async def test_another_pod_of_the_name_is_another_node() -> None:
    cluster = Cluster()
    cluster.answers = {"1": node_state("a", replica_state(DOCS)), "2": Unavailable("starting")}
    await cluster.look(a="1")
    assert ("a", "docs") in await cluster.look(a="2")
    assert cluster.states.get("a") is None


async def test_an_answer_of_someone_else_is_none() -> None:
    cluster = Cluster()
    cluster.answers = {"1": node_state("b", replica_state(DOCS))}
    await cluster.look(a="1")
    assert cluster.states.get("a") is None
    assert "not a" in cluster.states.error("a")


async def test_the_pool_is_told_by_name() -> None:
    cluster = Cluster()
    cluster.answers = {"1": node_state("hx-pool-0", revision=3), "2": node_state("vc-docs-0-0", revision=4)}
    await cluster.states.look({"hx-pool-0": "1", "vc-docs-0-0": "2"}, 1)
    assert list(cluster.states.pool("hx-pool")) == ["hx-pool-0"]
    assert cluster.states.pool("") == {}
    assert cluster.states.latest_revision() == 4


@pytest.mark.parametrize(
    ("state", "settled"),
    [
        (None, False),
        (NodeState(node="a"), False),
        (node_state("a", revision=1), False),
        (node_state("a", revision=2), True),
        (node_state("a", replica_state(DOCS, state="failed"), revision=2), False),
    ],
)
def test_settled(state: NodeState | None, settled: bool) -> None:
    assert is_settled(state, 2) is settled


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(503), Unavailable),
        (httpx.Response(200, content=b"<html>"), DataLoss),
        (httpx.Response(200, content=b'{"node": 1}'), DataLoss),
    ],
)
async def test_bad_answers_are_named(answer: httpx.Response, error: type[Exception]) -> None:
    transport = httpx.MockTransport(lambda request: answer)
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(error):
            await http_fetch(client)("127.0.0.1")


async def test_pods_are_asked_at_their_port_of_state_over_either_ip() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, text=node_state("a").model_dump_json())

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        fetch = http_fetch(client)
        assert await fetch("10.0.0.1") == node_state("a")
        await fetch("fd00::1")
    assert asked == ["http://10.0.0.1:9201/state", "http://[fd00::1]:9201/state"]


async def test_one_that_hangs_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanax_operator.nodes._DEADLINE_S", 0.01)

    async def fetch(address: str) -> NodeState:
        if address == "hangs":
            await asyncio.Event().wait()
        return node_state("b")

    states = NodeStates(fetch, lambda: 0.0, 10.0)
    await states.look({"a": "hangs", "b": "answers"}, 1)
    assert states.error("a")
    assert states.get("b") is not None
