"""Reads of shards with several copies: shared evenly, and answered when a copy is away, hangs or is damaged.

Writes go to the first copy alone; here the test makes the others equal to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from hanax.core.errors import DataLoss, HanaxError, Overloaded, Unavailable
from hanax.core.routing import CollectionRoute, NodeRoute, RoutingTable, ShardRoute, spread_slots
from hanax.core.specs import CollectionSpec
from hanax.runtime.routing_file import write_routing_file
from tests.integration.gateway.memory_node import MemoryNode
from tests.integration.gateway.stack import GatewayProcess
from tests.integration.waiting import wait_until

POINTS = [{"id": number, "vector": [1.0, number, 0.5], "metadata": {"n": number}} for number in range(60)]
SETTINGS = {"request_timeout_s": 6.0, "cache": "off"}


@dataclass
class Copies:
    """A gateway over three nodes, each with a copy of both shards."""

    nodes: list[MemoryNode]
    client: httpx.Client
    asked: int = field(default=0)

    def search(self) -> httpx.Response:
        """A query that was not asked before."""
        self.asked += 1
        body = {"collection": "docs", "vector": [1.0, self.asked / 7, 0.25], "limit": 3}
        return self.client.post("/api/v1/vectors/search", json=body)

    def search_many(self, times: int) -> list[int]:
        """Eight at once; the statuses."""
        with ThreadPoolExecutor(8) as threads:
            return list(threads.map(lambda _: self.search().status_code, range(times)))

    def searches_by_node(self) -> list[int]:
        return [node.calls["Search"] for node in self.nodes]

    def insert(self, points: list[dict[str, Any]]) -> httpx.Response:
        return self.client.post("/api/v1/vectors/insert", json={"collection": "docs", "vectors": points})


def _table(nodes: list[MemoryNode]) -> RoutingTable:
    names = [node.name for node in nodes]
    shards = tuple(
        ShardRoute(
            shard=number,
            first_slot=first,
            last_slot=last,
            replicas=tuple(names[number:] + names[:number]),
        )
        for number, (first, last) in enumerate(spread_slots(2))
    )
    return RoutingTable(
        revision=1,
        nodes=tuple(NodeRoute(name=node.name, address=node.address) for node in nodes),
        collections=(
            CollectionRoute(uid="u1", spec=CollectionSpec(name="docs", dimension=3), shards=shards),
        ),
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copies]:
    folder: Path = tmp_path_factory.mktemp("replicas")
    nodes = [MemoryNode(name) for name in ("node-a", "node-b", "node-c")]
    (folder / "catalog").mkdir()
    write_routing_file(folder / "routing.json", _table(nodes))
    gateway = GatewayProcess(folder, **SETTINGS)
    try:
        with httpx.Client(base_url=gateway.url, timeout=60.0) as client:
            copies = Copies(nodes, client)
            wait_until("the gateway to serve", lambda: copies.search().status_code == 200)
            assert copies.insert(POINTS).status_code in (200, 201)
            assert [node.calls["Upsert"] for node in nodes] == [1, 1, 0]
            whole = {key: found for key, found in nodes[0].shards.items() if key[1] == 0}
            whole |= {key: found for key, found in nodes[1].shards.items() if key[1] == 1}
            for node in nodes:
                node.shards = deepcopy(whole)
            yield copies
    finally:
        gateway.close()
        for node in nodes:
            node.stop()


@pytest.fixture
def copies(shared: Copies) -> Iterator[Copies]:
    """Whole again after the test, and known to be."""
    for node in shared.nodes:
        node.calls.clear()
    yield shared
    for node in shared.nodes:
        node.stop()
        node.start()

    def all_up() -> bool:
        text = shared.client.get("/metrics").text
        lines = [line for line in text.splitlines() if line.startswith("vector_db_upstream_up{")]
        # A trial needs a read.
        return shared.search().is_success and len(lines) == 3 and all(line.endswith(" 1.0") for line in lines)

    wait_until("all nodes are well", all_up)


def test_searches_are_shared_evenly(copies: Copies) -> None:
    # One after the other: those that come at once may go together.
    assert [copies.search().status_code for _ in range(300)] == [200] * 300
    counts = copies.searches_by_node()
    assert sum(counts) == 600
    # Of two nodes at random the one that waits longer: one run in fifteen is more than 10 off, none in a
    # hundred thousand more than 24.
    assert max(abs(count - 200) for count in counts) <= 24


def test_every_copy_gives_the_same_answer(copies: Copies) -> None:
    body = {"collection": "docs", "limit": 60}
    answers = [copies.client.post("/api/v1/vectors/scroll", json=body).json()["data"] for _ in range(9)]
    assert all(answer == answers[0] for answer in answers)
    assert sum(node.calls["Scroll"] > 0 for node in copies.nodes) == 3


def test_a_node_that_is_killed_costs_no_read(copies: Copies) -> None:
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(copies.search_many, 300)
        wait_until("reads are under way", lambda: sum(copies.searches_by_node()) >= 100)
        copies.nodes[2].stop()
        assert running.result() == [200] * 300
    away = copies.searches_by_node()[2]
    assert copies.search_many(30) == [200] * 30
    assert copies.searches_by_node()[2] == away
    copies.nodes[2].start()
    wait_until(
        "the node has reads again", lambda: copies.search().is_success and copies.searches_by_node()[2] > away
    )


@pytest.mark.parametrize(
    "error", [DataLoss("a file is damaged"), Overloaded("full"), Unavailable("closing")], ids=lambda e: e.code
)
def test_a_copy_that_cannot_answer_costs_no_read(copies: Copies, error: HanaxError) -> None:
    copies.nodes[1].faults.error = error
    copies.nodes[1].faults.failures_left = 10_000
    assert copies.search_many(100) == [200] * 100


def test_a_node_that_hangs_costs_no_read(copies: Copies) -> None:
    copies.nodes[0].faults.delay_s = 60.0
    assert copies.search_many(40) == [200] * 40
    # Found out by then: it is not waited for again and again.
    assert copies.searches_by_node()[0] <= 24


def test_a_write_goes_to_the_first_copy_and_nowhere_else(copies: Copies) -> None:
    copies.nodes[0].faults.error = Unavailable("closing")
    copies.nodes[0].faults.failures_left = 10_000
    on_first = {"id": 3, "vector": [1.0, 1.0, 1.0]}
    both = [on_first, *({"id": number, "vector": [1.0, 1.0, 1.0]} for number in range(100, 120))]
    answer = copies.insert(both)
    assert answer.status_code == 503
    assert [node.calls["Upsert"] for node in copies.nodes][2] == 0
    copies.nodes[0].faults.error = None
    for number in range(100, 110):
        assert copies.client.delete(f"/api/v1/vectors/docs/{number}").status_code in (200, 404)
    assert copies.nodes[2].calls["Delete"] == 0
