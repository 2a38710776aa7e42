"""The store in Redis, on a real server: what is read, what is owed, what it costs when it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from hanax.core.errors import FailedPrecondition
from hanax.gateway.cache.metrics import CacheMetrics
from hanax.gateway.cache.redis_link import RedisPlace
from hanax.gateway.cache.redis_store import LARGEST_BYTES, RedisStore
from hanax.gateway.cache.stores import LASTING, Value
from hanax.gateway.cache.versions import Versions
from tests.integration.gateway.cache.redis_server import RedisServer, SlowProxy, running_proxy, running_redis
from tests.integration.waiting import until_asked

PATIENCE_OF_TESTS_S = 60.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> RedisServer:
    if shared.process.poll() is not None:
        shared.start()
    shared.client.flushall()
    return shared


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[SlowProxy]:
    with running_proxy(server) as found:
        yield found


@asynccontextmanager
async def opened(
    url: str, password_file: Path | None = None, wait: bool = True, patience_s: float = 5.0
) -> AsyncIterator[RedisStore]:
    """patience_s: long, so that a machine with much to do makes no server slow."""
    place = RedisPlace(url, password_file, "test", patience_s)
    store = RedisStore(place, CacheMetrics(CollectorRegistry()))
    store.start()
    try:
        if wait:
            await until_asked("the store answers", lambda: is_up(store))
        yield store
    finally:
        await store.close()


async def is_up(store: RedisStore) -> bool:
    return await store.read([b"x"]) is not None


async def kept(store: RedisStore, key: bytes, data: bytes) -> None:
    store.keep(key, Value(data, 300.0))
    await until_asked("a value is kept", lambda: sees(store, key, data))


async def test_values_are_shared_by_all_that_have_the_prefix_and_end(server: RedisServer) -> None:
    async with opened(server.url) as one, opened(server.url) as other:
        await kept(one, b"a:1", b"\x00\xffbytes")
        await kept(one, LASTING + b"2", b"vector")
        await until_asked("the other sees it", lambda: sees(other, b"a:1", b"\x00\xffbytes"))
        await until_asked("the other sees it", lambda: sees(other, LASTING + b"2", b"vector"))
        assert all(0 < server.client.pttl(key) <= 300_000 for key in server.names())
        assert server.client.exists(b"test:" + LASTING + b"2")
        assert await other.clear() == 2
        assert server.names() == []


async def sees(store: RedisStore, key: bytes, data: bytes) -> bool:
    return await store.read([key]) == [data]


async def test_one_of_several_claims_wins_for_all(server: RedisServer) -> None:
    async with opened(server.url) as one, opened(server.url) as other:
        found = await asyncio.gather(*(store.claim(b"v:1", 60.0) for store in [one, other] * 3))
        assert len({value for value in found if value is not None}) == 1


async def test_what_is_too_large_is_not_kept(server: RedisServer) -> None:
    async with opened(server.url) as store:
        store.keep(b"a:large", Value(bytes(LARGEST_BYTES + 1), 60.0))
        await kept(store, b"a:small", b"1")
        assert len(server.names()) == 1


async def test_many_look_ups_at_once_go_with_few_commands(server: RedisServer) -> None:
    async with opened(server.url) as store:
        await kept(store, b"a:1", b"1")

        async def all_found() -> bool:
            before = server.client.info("commandstats")["cmdstat_mget"]["calls"]
            found = await asyncio.gather(*(store.read([b"a:1", b"a:2"]) for _ in range(200)))
            calls = server.client.info("commandstats")["cmdstat_mget"]["calls"] - before
            return found == [[b"1", None]] * 200 and calls <= 40

        await until_asked("all are found", all_found)


async def test_a_dead_server_costs_one_look_up_and_then_nothing(
    server: RedisServer, proxy: SlowProxy
) -> None:
    async with opened(proxy.url) as store:
        await kept(store, b"a:1", b"1")
        server.kill()
        assert await store.read([b"a:1"]) is None
        before = proxy.connections
        for _ in range(1_000):
            assert await store.read([b"a:1"]) is None
            store.keep(b"a:1", Value(b"2", 60.0))
            assert await store.claim(b"v:1", 60.0) is None
        # None of these tries: what comes is the look for it in the background.
        assert proxy.connections - before < 20
        assert (await store.stats()).state != "ok"
        server.start()
        await until_asked("it is back", lambda: is_up(store))
        assert (await store.stats()).state == "ok"


async def test_a_slow_server_is_left_alone_after_one_wait(server: RedisServer, proxy: SlowProxy) -> None:
    async with opened(proxy.url, patience_s=0.01) as store:
        # Far longer than this test may take: whoever waits for an answer fails.
        proxy.delay_s = 600.0
        async with asyncio.timeout(PATIENCE_OF_TESTS_S):
            found = await asyncio.gather(*(store.read([b"%d" % number]) for number in range(100)))
            assert found == [None] * 100
            assert await store.claim(b"v:1", 60.0) is None
            await store.renew({b"v:1": 60.0})
        assert (await store.stats()).state.startswith("slow")
        proxy.delay_s = 0.0
        await until_asked("it is back", lambda: is_up(store))


async def test_a_server_that_is_away_at_the_start_is_found_later(server: RedisServer) -> None:
    server.kill()
    async with opened(server.url, wait=False) as store:
        assert await store.read([b"1"]) is None
        await store.renew({b"v:1": 60.0})
        server.start()
        await until_asked("it is found", lambda: is_up(store))
        # What was owed came first.
        assert [key for key in server.names() if key.endswith(b"v:1")]


async def test_a_write_that_could_not_be_told_is_told_before_anything_is_read(
    server: RedisServer, proxy: SlowProxy
) -> None:
    """The server goes on with the old token; this gateway comes back to it."""
    async with opened(proxy.url, patience_s=0.05) as cut_off, opened(server.url) as other:
        versions, others = Versions(cut_off), Versions(other)
        await until_asked("a token", lambda: token_of(versions))
        old = await token_of(versions)
        proxy.delay_s = 600.0
        await versions.renew("uid")
        assert await token_of(versions) is None
        assert await token_of(others) in (old, None)
        proxy.delay_s = 0.0
        await until_asked("it is back", lambda: token_of(versions))
        assert await token_of(versions) not in (old, None) or not await is_up(cut_off)
        await until_asked("the other sees it", lambda: has_other_token(others, old))


async def test_a_token_that_was_told_late_is_not_told_again(server: RedisServer, proxy: SlowProxy) -> None:
    """Else answers that were kept with it, before another gateway's write, would be given again."""
    async with opened(proxy.url, patience_s=0.05) as store:
        await until_asked("a token", lambda: store.claim(b"v:uid", 60.0))
        (name,) = (one for one in server.names() if one.endswith(b"v:uid"))
        old = server.client.get(name)
        proxy.delay_s = 0.5
        await store.renew({b"v:uid": 60.0})
        # Given up here, and done there.
        late = await until_asked("the server has it", lambda: another(server, name, old))
        proxy.delay_s = 0.0
        await until_asked("it is renewed", lambda: another(server, name, late))


async def another(server: RedisServer, name: bytes, old: object) -> object:
    found = server.client.get(name)
    return None if found == old else found


async def token_of(versions: Versions) -> bytes | None:
    return (await versions.read("uid", b"a:entry")).token


async def has_other_token(versions: Versions, old: bytes | None) -> bool:
    return await token_of(versions) not in (old, None)


async def test_a_server_that_restores_an_earlier_moment_gives_nothing_of_it(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--dbfilename", "dump.rdb") as server:
        async with opened(server.url) as store:
            versions = Versions(store)
            await until_asked("a token", lambda: token_of(versions))
            await kept(store, b"a:entry", b"old")
            await kept(store, LASTING + b"1", b"vector")
            server.client.save()
            old = await token_of(versions)
            await versions.renew("uid")
            server.kill()
            server.start()
            # All came back, the old token among it.
            assert len(server.names()) >= 3
            await until_asked("it is back", lambda: token_of(versions))
            seen = await versions.read("uid", b"a:entry")
            assert seen.entry is None
            assert seen.token != old
            await until_asked("vectors are right still", lambda: sees(store, LASTING + b"1", b"vector"))


async def test_a_server_that_is_full_voids_answers_all_the_same(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--maxmemory-policy", "noeviction") as server:
        async with opened(server.url) as store:
            versions = Versions(store)
            await until_asked("a token", lambda: token_of(versions))
            old = await token_of(versions)
            server.client.config_set("maxmemory", 1)
            await versions.renew("uid")
            assert not [key for key in server.names() if key.endswith(b"v:uid")]
            assert await token_of(versions) is None
            server.client.config_set("maxmemory", 0)
            await until_asked("a new token", lambda: token_of(versions))
            assert await token_of(versions) != old


async def test_a_password_comes_from_a_file_that_may_change(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("wrong\n")
    with running_redis(tmp_path, "--requirepass", "s3cret!") as server:
        async with opened(server.url, file, wait=False) as store:
            await until_asked("it is refused", lambda: is_refused(store))
            file.write_text("s3cret!\n")
            await until_asked("it is taken", lambda: is_up(store))


async def is_refused(store: RedisStore) -> bool:
    return "Authentication" in (await store.stats()).state


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost", "redis://host:port"])
def test_what_is_no_url_is_told_without_its_password(url: str) -> None:
    with pytest.raises(FailedPrecondition, match="HANAX_REDIS_URL"):
        RedisStore(RedisPlace(url, None, "test", 1.0), CacheMetrics(CollectorRegistry()))
