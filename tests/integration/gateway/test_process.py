"""The process around the API: overload, metrics, documentation, drain, orphans."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.gateway.stack import GatewayProcess, Stack, running_stack
from tests.integration.waiting import wait_until

SEARCH = {"collection": "slow", "vector": [1, 0, 0]}


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Stack]:
    """Two requests at once, no more."""
    with running_stack(tmp_path, max_inflight=2, drain_grace_s=5) as stack:
        stack.create("slow", shards=1)
        yield stack


def _searching(stack: Stack, count: int) -> tuple[list[threading.Thread], list[httpx.Response]]:
    """Searches that are inside a shard when this returns."""
    answers: list[httpx.Response] = []
    before = sum(node.calls["Search"] for node in stack.nodes)

    def search(limit: int) -> None:
        # Each another one, and none that is kept: equal ones would share an answer.
        url, headers = f"{stack.gateway.url}/api/v1/vectors/search", {"Cache-Control": "no-store"}
        answers.append(httpx.post(url, json=SEARCH | {"limit": limit}, headers=headers))

    threads = [threading.Thread(target=search, args=(number + 1,)) for number in range(count)]
    for thread in threads:
        thread.start()
    wait_until(
        "the searches to arrive", lambda: sum(node.calls["Search"] for node in stack.nodes) == before + count
    )
    return threads, answers


def test_past_max_inflight_requests_are_refused_at_once(narrow: Stack) -> None:
    gate = threading.Event()
    for node in narrow.nodes:
        node.faults.gate = gate
    threads, answers = _searching(narrow, 2)
    # While both are held: nobody waits for a place.
    refused = narrow.client.get("/api/v1/collections")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")
    assert refused.headers["Retry-After"] == "1"
    # Probes and scrapes are not requests.
    assert narrow.client.get("/health").status_code == 200
    assert narrow.client.get("/metrics").status_code == 200
    gate.set()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert narrow.client.get("/api/v1/collections").status_code == 200


def test_a_running_request_ends_before_the_process_does(narrow: Stack) -> None:
    for node in narrow.nodes:
        node.faults.delay_s = 1.0
    threads, answers = _searching(narrow, 1)
    narrow.client.close()
    assert narrow.gateway.end() == 0
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", narrow.gateway.port))
    assert narrow.gateway.events()[-1]["event"] == "stopped"


def test_a_gateway_without_its_supervisor_ends(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, parent_pid=1)
    try:
        assert gateway.process.wait(10) == 0
    finally:
        gateway.close()


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match="already in use"):
            GatewayProcess(tmp_path, gateway_port=port)


def test_without_a_routing_table_requests_are_refused(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path)
    try:
        ready = httpx.get(f"{gateway.url}/ready")
        assert ready.status_code == 503
        assert "routing" in ready.json()["error"]["message"]
        asked = httpx.post(f"{gateway.url}/api/v1/vectors/count", json={"collection": "x"})
        assert (asked.status_code, asked.json()["error"]["code"]) == (503, "unavailable")
        assert asked.headers["Retry-After"] == "1"
    finally:
        gateway.close()


def test_ready_names_all_parts(stack: Stack) -> None:
    data = stack.data(stack.client.get("/ready"))
    assert data == {
        "routing": "ok",
        "nodes": {"node-a": "ok", "node-b": "ok"},
        "models": {"hash-384": "ok"},
    }


def _metric(stack: Stack, name: str, **labels: str) -> float | None:
    text = stack.client.get("/metrics").text
    for line in text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name:
            given = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
            if labels.items() <= given.items():
                return float(found[3])
    return None


def test_metrics_count_requests_operations_and_embeddings(stack: Stack) -> None:
    stack.create("measured", dimension=384, embedding_model="hash-384")
    stack.insert("measured", [{"text": "one"}, {"text": "two"}])
    stack.post("/api/v1/vectors/count", {"collection": "measured"})
    stack.post("/api/v1/vectors/count", {"collection": "measured", "filter": []})
    stack.post("/api/v1/vectors/count", {"collection": "invented-by-a-client"})
    stack.client.get("/no/such/route-1")
    stack.client.request("BREW", "/no/such/route-2")
    route = "POST /api/v1/vectors/insert"
    assert _metric(stack, "vector_db_requests_total", method=route, status="200", service="gateway")
    assert _metric(stack, "vector_db_request_duration_seconds_count", method=route)
    operations = "vector_db_operations_total"
    here = {"collection": "measured"}
    assert _metric(stack, operations, operation="insert", status="ok", **here) == 1
    assert _metric(stack, operations, operation="count", status="ok", **here) == 1
    assert _metric(stack, operations, operation="count", status="invalid_filter", **here) == 1
    assert _metric(stack, "vector_db_embedding_duration_seconds_count", model="hash-384")
    assert (_metric(stack, "vector_db_active_connections") or 0) >= 1
    text = stack.client.get("/metrics").text
    assert "invented-by-a-client" not in text
    assert "no/such/route" not in text
    assert "BREW" not in text
    stack.client.delete("/api/v1/collections/measured")
    wait_until(
        "the labels of a deleted collection to go",
        lambda: 'collection="measured"' not in stack.client.get("/metrics").text,
    )


def test_documentation_needs_no_other_host(stack: Stack) -> None:
    page = stack.client.get("/docs").text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(assets) >= 3
    for asset in assets:
        assert asset.startswith("/")
        assert stack.client.get(asset).status_code == 200
