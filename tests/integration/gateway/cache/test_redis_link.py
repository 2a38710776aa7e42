"""When the way to Redis counts as lost: at once for what fails, not for one look-up that is late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from hanax.gateway.cache import redis_link
from hanax.gateway.cache.metrics import CacheMetrics
from hanax.gateway.cache.redis_link import RedisAway, RedisLink, RedisPlace
from tests.integration.gateway.cache.redis_server import RedisServer, running_proxy, running_redis
from tests.integration.waiting import until

PATIENCE_S = 0.1
# For what a machine with much to do takes its time for.
TEST_PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture(autouse=True)
def _long_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine may take its time between two look-ups of a test."""
    monkeypatch.setattr(redis_link, "LATE_S", TEST_PATIENCE_S)


@asynccontextmanager
async def linked(url: str, patience_s: float = PATIENCE_S) -> AsyncIterator[RedisLink]:
    async def greet(client: Redis) -> None: ...

    link = RedisLink(RedisPlace(url, None, "test", patience_s), CacheMetrics(CollectorRegistry()), greet)
    link.start()
    try:
        await until_up(link)
        yield link
    finally:
        await link.close()


async def until_up(link: RedisLink) -> None:
    await until("the link is up", lambda: link.up, TEST_PATIENCE_S)


async def never(client: Redis) -> Any:
    await asyncio.sleep(600.0)


async def at_once(client: Redis) -> Any:
    return "answer"


async def late(link: RedisLink) -> None:
    with pytest.raises(RedisAway):
        await link.look_up(never)


async def test_one_look_up_that_is_late_takes_nothing_away(server: RedisServer) -> None:
    async with linked(server.url) as link:
        await late(link)
        assert link.up
        assert await link.look_up(at_once) == "answer"


async def test_the_second_one_does_and_the_link_comes_back(server: RedisServer) -> None:
    async with linked(server.url) as link:
        await late(link)
        await late(link)
        assert not link.up
        assert link.state.startswith("slow")
        await until_up(link)
        # It begins anew: what was late before the link came back is forgotten.
        await late(link)
        assert link.up


async def test_look_ups_that_were_late_together_count_as_one(server: RedisServer) -> None:
    async with linked(server.url) as link:
        await asyncio.gather(*(late(link) for _ in range(20)))
        assert link.up


async def test_look_ups_that_are_late_now_and_then_take_nothing_away(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "LATE_S", 0.0)
    async with linked(server.url) as link:
        for _ in range(3):
            await late(link)
            assert link.up


async def test_a_write_that_is_late_takes_it_away_at_once(server: RedisServer) -> None:
    """Else what it was to make void would be read."""
    async with linked(server.url) as link:
        with pytest.raises(RedisAway):
            await link.write(never)
        assert not link.up


async def test_a_look_up_that_fails_takes_it_away_at_once(server: RedisServer) -> None:
    async def fail(client: Redis) -> Any:
        raise RedisConnectionError("closed")

    async with linked(server.url) as link:
        with pytest.raises(RedisAway):
            await link.look_up(fail)
        assert not link.up


async def test_what_comes_late_is_the_answer_to_nothing_else(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look-up that is given up leaves no answer behind on its connection."""
    monkeypatch.setattr(redis_link, "LATE_S", 0.0)
    for number in range(100):
        server.client.set(f"key-{number}", f"value-{number}")
    with running_proxy(server) as proxy:
        async with linked(proxy.url) as link:
            found = 0
            for number in range(100):
                # Half of it each way: some are in time and some are not.
                proxy.delay_s = PATIENCE_S * (0.7 if number % 4 == 0 else 0.0)

                async def get(client: Redis, key: str = f"key-{number}") -> Any:
                    return await client.get(key)

                try:
                    assert await link.look_up(get) == b"value-%d" % number
                    found += 1
                except RedisAway:
                    await until_up(link)
            assert found
