"""Two gateways that share a Redis: what one keeps the other gives, what one writes the other knows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.cache.redis_server import RedisServer, running_proxy, running_redis
from tests.integration.gateway.stack import GatewayProcess, Stack, running_stack
from tests.integration.waiting import wait_until

V1 = "/api/v1/vectors"
PATIENCE_S = 5.0
_NUMBERS = count(1)


@dataclass
class Pair:
    """Two gateways that are patient with Redis: a machine with much to do makes it no slower for them."""

    stack: Stack
    first: httpx.Client
    second: httpx.Client
    server: RedisServer
    folder: Path

    def create(self, name: str, **spec: Any) -> None:
        self.stack.create(name, **spec)

        def known() -> bool:
            told = self.second.get(f"/api/v1/collections/{name}").json()
            return bool(told["success"] and told["data"]["state"] == "ready")

        wait_until("the second gateway knows it", known)

    def ask(self, client: httpx.Client, path: str, **body: Any) -> httpx.Response:
        answer = client.post(f"{V1}/{path}", json=body)
        assert answer.is_success, answer.text
        return answer

    def count(self, client: httpx.Client, name: str) -> int:
        found: int = self.ask(client, "count", collection=name).json()["data"]["count"]
        return found

    def stats(self, client: httpx.Client) -> dict[str, Any]:
        found: dict[str, Any] = client.get("/cache/stats").json()["data"]
        return found

    def hits(self, client: httpx.Client, path: str, **body: Any) -> httpx.Response:
        """The answer that is kept, once it is: what is to be kept is on its way for a moment."""

        def kept() -> httpx.Response | None:
            answer = self.ask(client, path, **body)
            return answer if answer.headers.get("X-Cache") == "HIT" else None

        return wait_until("a kept answer", kept)

    def is_up(self, client: httpx.Client) -> bool:
        return bool(self.stats(client)["state"] == "ok")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("shared")
    (folder / "redis").mkdir()
    with (
        running_redis(folder / "redis") as server,
        running_stack(folder, (hash_model,), redis_url=server.url, redis_patience_s=PATIENCE_S) as stack,
        another_gateway(folder, "second", redis_url=server.url, redis_patience_s=PATIENCE_S) as (_, second),
    ):
        yield Pair(stack, stack.client, second, server, folder)


@contextmanager
def another_gateway(
    folder: Path, name: str, **settings: object
) -> Iterator[tuple[GatewayProcess, httpx.Client]]:
    """Beside the stack in `folder`, on the same nodes."""
    own = folder / name
    own.mkdir()
    table = {"routing_file": folder / "routing.json", "catalog_dir": folder / "catalog"}
    gateway = GatewayProcess(own, **table, **settings)
    try:
        with httpx.Client(base_url=gateway.url, timeout=30.0) as client:
            wait_until("the gateway", lambda: client.get("/ready").is_success)
            yield gateway, client
    finally:
        gateway.close()


@pytest.fixture
def name(pair: Pair) -> str:
    """A collection of the test's own; both gateways reach Redis."""
    made = f"docs-{next(_NUMBERS)}"
    pair.create(made)
    for client in (pair.first, pair.second):
        wait_until("both reach Redis", lambda: pair.is_up(client))  # noqa: B023
    return made


def test_an_answer_of_one_gateway_is_given_by_the_other(pair: Pair, name: str) -> None:
    body = {"collection": name, "vector": [1.0, 2.0, 3.0], "include_vectors": True}
    pair.stack.insert(name, [{"id": 7, "vector": [1.0, 2.0, 3.0], "metadata": {"a": [1, None, "ü"]}}])
    fresh = pair.ask(pair.first, "search", **body)
    kept = pair.hits(pair.second, "search", **body)
    assert kept.json()["data"] == fresh.json()["data"]
    assert kept.json()["cached"] is True


def test_a_write_through_one_gateway_is_known_to_the_other_at_once(pair: Pair, name: str) -> None:
    for expected in range(1, 60):
        writer, reader = (pair.first, pair.second) if expected % 3 else (pair.second, pair.first)
        pair.ask(writer, "insert", collection=name, vectors=[{"vector": [1.0, 2.0, expected]}])
        assert pair.count(reader, name) == expected
        assert pair.count(writer, name) == expected


def test_no_reader_sees_less_than_was_acknowledged_before_it_asked(pair: Pair, name: str) -> None:
    """Readers of both gateways keep answers while a writer of each voids them."""
    acknowledged = 0
    lock = threading.Lock()
    done = threading.Event()

    def write(client: httpx.Client) -> None:
        nonlocal acknowledged
        for _ in range(40):
            pair.ask(client, "insert", collection=name, vectors=[{"vector": [1.0, 2.0, 3.0]}])
            with lock:
                acknowledged += 1

    def read(client: httpx.Client) -> None:
        while not done.is_set():
            least = acknowledged
            answer = pair.ask(client, "count", collection=name)
            assert answer.json()["data"]["count"] >= least

    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(read, client) for client in (pair.first, pair.second) * 2]
        try:
            for writer in [pool.submit(write, client) for client in (pair.first, pair.second)]:
                writer.result()
        finally:
            done.set()
        for reader in readers:
            reader.result()
    assert pair.count(pair.first, name) == pair.count(pair.second, name) == 80


def test_vectors_of_texts_are_shared(pair: Pair) -> None:
    name = "texts"
    pair.create(name, dimension=384, embedding_model="hash-384")

    def embedded(client: httpx.Client) -> int:
        found: int = pair.stats(client)["operations"].get("embeddings", {"hits": 0})["hits"]
        return found

    text = "a text that is searched for in several ways"
    pair.ask(pair.first, "search", collection=name, text=text)
    before = embedded(pair.second)

    def shared() -> bool:
        # Another limit each time: the answer is not kept, the vector of the text is.
        pair.ask(pair.second, "search", collection=name, text=text, limit=1 + next(_NUMBERS))
        return embedded(pair.second) > before

    wait_until("the vector is shared", shared)


def test_a_redis_that_dies_fails_no_request_and_what_was_missed_is_made_up_for(pair: Pair, name: str) -> None:
    pair.stack.insert(name, [{"id": 1, "vector": [1.0, 2.0, 3.0]}])
    for client in (pair.first, pair.second):
        pair.hits(client, "count", collection=name)
    pair.server.kill()
    try:
        for number in range(2, 12):
            pair.stack.insert(name, [{"id": number, "vector": [1.0, 2.0, number]}])
            assert pair.count(pair.first, name) == pair.count(pair.second, name) == number
        assert pair.stats(pair.first)["state"] != "ok"
        assert pair.stats(pair.first)["entries"] is None
        assert "vector_db_cache_up 0.0" in pair.first.get("/metrics").text
    finally:
        pair.server.start()
    for client in (pair.first, pair.second):
        assert pair.hits(client, "count", collection=name).json()["data"]["count"] == 11


def test_a_slow_redis_fails_no_request_and_is_not_waited_for(pair: Pair, name: str) -> None:
    pair.stack.insert(name, [{"id": 1, "vector": [1.0, 2.0, 3.0]}])
    with (
        running_proxy(pair.server) as proxy,
        another_gateway(pair.folder, "cut-off", redis_url=proxy.url) as (_, client),
    ):
        pair.hits(client, "count", collection=name)
        # Longer than any request may take.
        proxy.delay_s = 600.0
        for number in range(2, 12):
            pair.ask(
                client, "insert", collection=name, vectors=[{"id": number, "vector": [1.0, 2.0, number]}]
            )
            assert pair.count(client, name) == number
        assert not pair.is_up(client)
        proxy.delay_s = 0.0
        # Those that never lost Redis may have given old answers until this one came back and told.
        assert pair.hits(client, "count", collection=name).json()["data"]["count"] == 11
        assert pair.hits(pair.first, "count", collection=name).json()["data"]["count"] == 11


def test_a_gateway_that_starts_asks_what_the_others_were_asked_most(pair: Pair, name: str) -> None:
    pair.stack.insert(name, [{"id": 1, "vector": [1.0, 2.0, 3.0]}])
    body = {"collection": name, "vector": [3.0, 2.0, 1.0], "limit": 3}
    settings = {"redis_url": pair.server.url, "redis_patience_s": PATIENCE_S}
    with another_gateway(pair.folder, "earlier", **settings) as (gateway, client):
        wait_until("it reaches Redis", lambda: pair.is_up(client))
        for _ in range(50):
            pair.ask(client, "search", **body)
        # What it was asked is written down at its end.
        assert gateway.end() == 0
    pair.stack.insert(name, [{"id": 2, "vector": [1.0, 2.0, 3.0]}])
    with another_gateway(pair.folder, "later", **settings) as (gateway, client):
        wait_until("it is warm", lambda: [event for event in gateway.events() if event["event"] == "warmed"])
        assert pair.hits(client, "search", **body).json()["data"]["results"][0]["id"] == 1
        assert pair.stats(client)["operations"]["search"]["misses"] >= 1


def test_clearing_forgets_what_the_others_kept_too(pair: Pair, name: str) -> None:
    pair.hits(pair.first, "count", collection=name)
    assert pair.second.delete("/cache").json()["data"]["entries"] > 0
    assert pair.ask(pair.first, "count", collection=name).headers.get("X-Cache") != "HIT"
