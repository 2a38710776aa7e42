"""Work through Redis Streams: shared, acknowledged, and never lost with Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hanax.metadata.jobs.job import JobState
from tests.integration.batch.processor_world import World, texts, told
from tests.integration.gateway.cache.redis_server import RedisServer, running_redis
from tests.integration.waiting import DEADLINE_S, until

EMBED = {"kind": "bulk_embed", "collection": "docs", "batch_size": 20}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as server:
        yield server


def group(redis: RedisServer) -> dict[str, Any]:
    (found,) = redis.client.xinfo_groups("hanax:jobs")
    return dict(found)


async def test_messages_go_to_one_processor_each_and_are_acknowledged(
    world: World, redis: RedisServer
) -> None:
    docs = world.gateway.add("docs")
    settings = {"redis_url": redis.url, "batch_tasks": 2}
    async with world.processor(**settings), world.processor(**settings):
        jobs = [await world.ended(await world.submit(EMBED, texts(4_000))) for _ in range(2)]
        assert [told(job) for job in jobs] == [(JobState.SUCCEEDED, 4_000, 4_000, 0)] * 2
        await until("all messages are acknowledged", lambda: group(redis)["pending"] == 0)
        assert group(redis)["entries-read"] >= 2
    assert len(docs.points) == 4_000
    # Once by each job.
    assert set(docs.writes.values()) == {2}


async def test_without_redis_the_work_goes_on_and_with_it_messages_do(
    world: World, redis: RedisServer
) -> None:
    """It is killed, keeps nothing, and comes back without the consumer group."""
    world.gateway.add("docs")
    async with world.processor(redis_url=redis.url):
        assert told(await world.ended(await world.submit(EMBED, texts(100))))[2] == 100
        redis.kill()
        assert told(await world.ended(await world.submit(EMBED, texts(100))))[2] == 100
        redis.start()
        ends = time.monotonic() + DEADLINE_S
        while not (redis.client.exists("hanax:jobs") and group(redis)["entries-read"]):
            assert time.monotonic() < ends, "no message was read again"
            assert told(await world.ended(await world.submit(EMBED, texts(20))))[2] == 20
