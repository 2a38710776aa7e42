"""A model that hangs, and clients that lose patience: neither costs those who need neither."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.integration.gateway.stack import Stack, running_stack
from tests.integration.gateway.upstreams import behaviours
from tests.integration.gateway.upstreams.servers import UpstreamServer, route_to, running_upstream
from tests.integration.waiting import wait_until

PLACES = 4


@dataclass
class Slow:
    """A gateway with few places, and the server of its model `slow`, which hangs."""

    stack: Stack
    server: UpstreamServer

    def send(self, path: str, body: object) -> socket.socket:
        """A request whose answer nobody has read yet."""
        connection = socket.create_connection(("127.0.0.1", self.stack.gateway.port))
        raw = orjson.dumps(body)
        head = f"POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-length: {len(raw)}\r\n\r\n"
        connection.sendall(head.encode() + raw)
        return connection

    def status(self) -> Any:
        """What is told of the model."""
        (one,) = self.stack.data(self.stack.client.get("/external/status"))["models"]
        return one


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    with running_upstream() as server:
        server.behave(behaviours.hang)
        route = route_to(server, name="slow", external=True, timeout_s=60.0, max_attempts=1)
        limits = {"max_inflight": PLACES, "model_inflight": PLACES, "model_waiting": 2 * PLACES}
        with running_stack(tmp_path, (route,), **limits) as stack:
            yield Slow(stack, server)


def test_a_model_that_hangs_takes_no_place_from_others(slow: Slow) -> None:
    stack = slow.stack
    stack.create("points", shards=1)
    stack.create("texts", dimension=slow.server.answers.dimension, shards=1, embedding_model="slow")
    embed, search = "/external/slow/embed", "/api/v1/vectors/search"
    with ExitStack() as opened:

        def send(path: str, body: object) -> None:
            opened.enter_context(closing(slow.send(path, body)))
            # So that it is where it waits before the next one needs a place to get there.
            slow.status()

        # As many as run and wait in the model's line; and such as wait for the answer to an equal one.
        for number in range(2 * PLACES):
            send(embed, {"text": f"text {number}"})
        for _ in range(2 * PLACES):
            send(embed, {"text": "the same"})
            send(search, {"collection": "texts", "text": "the same", "limit": 3})
        wait_until("they wait", lambda: slow.status()["waiting"] >= PLACES)
        for limit in range(1, 2 * PLACES):
            found = stack.post(search, {"collection": "points", "vector": [1, 0, 0], "limit": limit})
            assert found.status_code == 200, found.text
        # The model's own line is bounded.
        for number in range(4 * PLACES):
            send(embed, {"text": f"one more {number}"})
        wait_until("its line is full", lambda: slow.status()["waiting"] == 2 * PLACES)
        refused = stack.post(embed, {"text": "too many"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")


def test_a_client_that_goes_away_is_waited_for_by_nobody(slow: Slow) -> None:
    clients = [slow.send("/external/slow/embed", {"text": f"text {number}"}) for number in range(2 * PLACES)]
    wait_until("the line is there", lambda: slow.status()["waiting"] == PLACES)
    assert slow.server.now == PLACES
    for client in clients:
        client.close()

    def is_quiet() -> bool:
        told = slow.status()
        return told["waiting"] == 0 and told["endpoints"][0]["inflight"] == 0 and slow.server.now == 0

    wait_until("nothing is done for them", is_quiet)
    # They took nothing along: neither places, nor turns of the model.
    slow.server.behave(behaviours.well)
    for number in range(2 * PLACES):
        slow.stack.data(slow.stack.post("/external/slow/embed", {"text": f"later {number}"}))
    assert 'status="499"' in slow.stack.client.get("/metrics").text


def test_a_request_that_is_pipelined_behind_a_slow_one_is_answered(slow: Slow) -> None:
    slow.server.behave(behaviours.slow(1.0))
    with closing(slow.send("/external/slow/embed", {"text": "first"})) as client:
        wait_until("it is asked", lambda: slow.server.now == 1)
        client.sendall(b"GET /v1/models HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n")
        client.settimeout(60.0)
        received = b"".join(iter(lambda: client.recv(65_536), b""))
    assert received.count(b"HTTP/1.1 200 OK") == 2


def test_a_write_that_has_begun_ends_without_its_client(slow: Slow) -> None:
    stack = slow.stack
    stack.create("points", shards=1)
    search = {"collection": "points", "vector": [1, 0, 0]}
    assert stack.data(stack.post("/api/v1/vectors/search", search))["results"] == []
    for node in stack.nodes:
        node.faults.delay_s = 1.0
    writes = stack.writes
    point = {"id": "a", "vector": [1, 0, 0]}
    client = slow.send("/api/v1/vectors/insert", {"collection": "points", "vectors": [point]})
    wait_until("it has begun", lambda: sum(node.calls["Upsert"] for node in stack.nodes))
    client.close()
    wait_until("it is made", lambda: stack.writes == writes + 1)
    for node in stack.nodes:
        node.faults.delay_s = 0.0

    def is_kept() -> bool:
        answer = stack.post("/api/v1/vectors/search", search)
        return [hit["id"] for hit in stack.data(answer)["results"]] == ["a"] and "age" in answer.headers

    # Cut short it would be in doubt, and nothing would be kept for a while.
    wait_until("answers are kept again, with it", is_kept, within_s=20.0)
