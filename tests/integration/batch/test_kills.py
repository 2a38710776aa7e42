"""kill -9 of everything a job needs, in turn, while it runs: it ends complete, with exact counts."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest

from tests.databases import PostgresqlServer
from tests.integration.gateway.cache.redis_server import RedisServer, running_redis
from tests.integration.local_stack import LocalStack
from tests.integration.waiting import wait_until

TEXTS = 4_000
WITHIN_S = 240.0

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def killed_postgresql() -> Iterator[PostgresqlServer]:
    server = PostgresqlServer.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, redis: RedisServer, killed_postgresql: PostgresqlServer
) -> Iterator[LocalStack]:
    """Small batches, one after another, so that a job lasts; leases that are soon over."""
    stack = LocalStack(
        tmp_path_factory.mktemp("stack"),
        HANAX_DATABASE_URL=killed_postgresql.create(),
        HANAX_DATABASE_TIMEOUT_S="20",
        HANAX_REDIS_URL=redis.url,
        HANAX_CACHE="off",
        HANAX_BATCH_TASKS="2",
        HANAX_BATCH_INFLIGHT="1",
        HANAX_BATCH_LEASE_S="10",
    )
    try:
        with stack.begin("up", "--detach") as starting:
            assert starting.wait(WITHIN_S) == 0
        stack.call(
            "POST",
            "/api/v1/collections",
            {"name": "docs", "dimension": 384, "shards": 2, "embedding_model": "hash-384"},
        )
        yield stack
    finally:
        stack.end()


class Watched:
    """A job as the API tells of it, while what it is kept in comes and goes."""

    def __init__(self, stack: LocalStack, spec: dict[str, Any], data: bytes) -> None:
        self._stack = stack
        self._client = httpx.Client(base_url=stack.state().api_url, timeout=30, trust_env=False)
        files = {"job": (None, json.dumps(spec).encode()), "file": ("texts.jsonl", data)}
        answer = self._client.post("/api/v1/jobs", files=files)
        assert answer.status_code == 202, answer.text
        self.id = answer.json()["data"]["job_id"]

    def close(self) -> None:
        self._client.close()

    def look(self) -> dict[str, Any] | None:
        """None: it can't be told now."""
        try:
            answer = self._client.get(f"/api/v1/jobs/{self.id}")
        except httpx.TransportError:
            return None
        if answer.status_code != 200:
            assert answer.status_code in (503, 504), answer.text
            return None
        told: dict[str, Any] = answer.json()["data"]
        return told

    def until_done(self, items: int) -> None:
        """Until so many items are, and not all."""

        def holds() -> bool:
            told = self.look()
            return told is not None and told["progress"]["done"] >= items

        wait_until(f"{items} items done", lambda: holds() or None, WITHIN_S)
        told = self.look()
        assert told is None or told["state"] == "running", told

    def ended(self) -> dict[str, Any]:
        def holds() -> dict[str, Any] | None:
            told = self.look()
            return told if told is not None and told["state"] not in ("queued", "running") else None

        return wait_until("the job has ended", holds, WITHIN_S)

    def result(self) -> bytes:
        return self._client.get(f"/api/v1/jobs/{self.id}/result").content


def texts() -> bytes:
    lines = [orjson.dumps({"id": number, "text": f"text {number}"}) for number in range(TEXTS)]
    lines[77] = b"{broken"
    return b"\n".join(lines)


def test_a_job_survives_them_all_with_exact_counts(
    stack: LocalStack, redis: RedisServer, killed_postgresql: PostgresqlServer
) -> None:
    def kill(service: str) -> Callable[[], None]:
        return lambda: os.kill(stack.pids()[service], signal.SIGKILL)

    def kill_redis() -> None:
        redis.kill()
        # The work goes on without it.
        job.until_done(7 * TEXTS // 20)
        redis.start()

    def kill_postgresql() -> None:
        killed_postgresql.kill()
        health = f"{stack.state().api_url}/health/database"
        wait_until("the gateway has noticed", lambda: httpx.get(health).status_code == 503)
        killed_postgresql.launch()

    job = Watched(stack, {"kind": "bulk_embed", "collection": "docs", "batch_size": 10}, texts())
    kills = [kill("batch-processor"), kill("shard-0"), kill_redis, kill_postgresql, kill("gateway")]
    try:
        for number, do in enumerate(kills, 1):
            job.until_done(number * TEXTS // 10)
            do()
        told = job.ended()
    finally:
        job.close()
    assert told["state"] == "partial", told
    assert told["progress"]["total"] == TEXTS
    assert (told["progress"]["done"], told["progress"]["failed"]) == (TEXTS - 1, 1)
    stack.ready()
    assert stack.count("docs") == TEXTS - 1


def test_a_result_file_has_each_item_once_though_its_writer_was_killed(stack: LocalStack) -> None:
    stack.ready()
    job = Watched(stack, {"kind": "bulk_embed", "model": "hash-384", "batch_size": 10}, texts())
    try:
        for part in (1, 2, 3):
            job.until_done(part * TEXTS // 8)
            os.kill(wait_until("a processor", lambda: stack.pids().get("batch-processor")), signal.SIGKILL)
        told = job.ended()
        assert (told["progress"]["done"], told["progress"]["failed"]) == (TEXTS - 1, 1)
        found = [orjson.loads(line) for line in job.result().splitlines()]
    finally:
        job.close()
    assert [one["number"] for one in found] == [number for number in range(TEXTS) if number != 77]
    assert [one["id"] for one in found] == [one["number"] for one in found]
    assert {len(one["embedding"]) for one in found} == {384}
