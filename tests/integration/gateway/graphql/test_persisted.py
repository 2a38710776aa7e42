"""Documents by their hash, where gateways share a Redis: what one has seen, all know."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.gateway.cache.redis_server import RedisServer, running_redis
from tests.integration.gateway.stack import GatewayProcess, Stack, running_stack
from tests.integration.waiting import wait_until

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def stack(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("persisted")
    with running_stack(folder, redis_url=redis.url, redis_patience_s=5.0) as running:
        running.create("docs")
        _await_redis(running.client)
        yield running


@pytest.fixture(scope="module")
def other(redis: RedisServer, stack: Stack) -> Iterator[httpx.Client]:
    """Of a second gateway."""
    (stack.folder / "second").mkdir()
    gateway = GatewayProcess(
        stack.folder / "second",
        redis_url=redis.url,
        redis_patience_s=5.0,
        routing_file=stack.folder / "routing.json",
        catalog_dir=stack.folder / "catalog",
    )
    try:
        with httpx.Client(base_url=gateway.url, timeout=60.0) as client:
            wait_until("the second gateway", lambda: client.get("/ready").status_code == 200)
            _await_redis(client)
            yield client
    finally:
        gateway.close()


def _await_redis(client: httpx.Client) -> None:
    wait_until("its Redis", lambda: client.get("/cache/stats").json()["data"]["state"] == "ok")


def hash_of(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()


def ask(client: httpx.Client, document: str, *, by_hash: bool = True) -> Any:
    """By the hash alone, or with the text beside it."""
    body: dict[str, Any] = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash_of(document)}}}
    if not by_hash:
        body["query"] = document
    answer = client.post("/graphql", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    return told["data"] if "data" in told else told["errors"][0]["extensions"]["code"]


def count_as(name: str) -> str:
    return f'{{ {name}: count(input: {{collection: "docs"}}) }}'


def kept(redis: RedisServer, document: str) -> list[bytes]:
    """The names of its key."""
    raw = bytes.fromhex(hash_of(document))
    return [name for name in redis.names() if name.endswith(raw)]


def test_what_one_gateway_has_seen_all_know(redis: RedisServer, stack: Stack, other: httpx.Client) -> None:
    document = count_as("shared")
    assert ask(stack.client, document) == ask(other, document) == "persisted_query_not_found"
    assert ask(stack.client, document, by_hash=False) == {"shared": 0}
    (name,) = wait_until("it to be kept", lambda: kept(redis, document))
    assert ask(other, document) == {"shared": 0}
    assert redis.client.get(name) == document.encode()
    assert 0 < int(redis.client.pttl(name)) <= DAY_MS


def test_what_is_no_document_is_not_kept(redis: RedisServer, stack: Stack) -> None:
    document = "{ nothing }"
    assert ask(stack.client, document, by_hash=False) == "graphql_invalid"
    assert ask(stack.client, document) == "persisted_query_not_found"
    assert not kept(redis, document)


def test_what_somebody_else_wrote_there_is_not_run(
    redis: RedisServer, stack: Stack, other: httpx.Client
) -> None:
    """What is there is taken for the document where it has the hash, and for nothing else."""
    document = count_as("changed")
    ask(stack.client, document, by_hash=False)
    (name,) = wait_until("it to be kept", lambda: kept(redis, document))
    for raw in (b'{ count(input: {collection: "other"}) }', b"", b"\xff\xfe"):
        redis.client.set(name, raw)
        assert ask(other, document) == "persisted_query_not_found"
    assert ask(other, document, by_hash=False) == {"changed": 0}


def test_a_gateway_goes_on_without_redis(tmp_path: Path) -> None:
    """With the documents that it has met itself."""
    (tmp_path / "redis").mkdir()
    with (
        running_redis(tmp_path / "redis") as server,
        running_stack(tmp_path, redis_url=server.url, redis_patience_s=5.0) as alone,
    ):
        alone.create("docs")
        _await_redis(alone.client)
        known, unknown = count_as("known"), count_as("unknown")
        ask(alone.client, known, by_hash=False)
        server.kill()
        assert ask(alone.client, known) == {"known": 0}
        assert ask(alone.client, unknown) == "persisted_query_not_found"
        assert ask(alone.client, unknown, by_hash=False) == {"unknown": 0}
        assert ask(alone.client, unknown) == {"unknown": 0}
