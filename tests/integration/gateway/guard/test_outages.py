"""The metadata database goes away: who was let in goes on, for a while; files of keys need no database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from hanax.core.api_keys import key_digest, new_key, new_key_id
from hanax.core.errors import DatabaseUnavailable, FailedPrecondition, HanaxError, KeyNotFound, Unavailable
from hanax.gateway.guard.key_files import KeyFiles, KeyPaths
from hanax.gateway.guard.key_ring import STALE_S, KeyRing
from hanax.metadata.api_keys.key import ApiKey
from hanax.metadata.api_keys.keys import ApiKeys
from hanax.metadata.api_keys.tables import API_KEYS
from hanax.metadata.database import Database
from tests.databases import PostgresqlServer
from tests.integration.gateway.guard.conftest import guarded, guarded_settings
from tests.integration.gateway.stack import running_stack
from tests.integration.waiting import wait_until

LIST = "/api/v1/collections"
RIGHTS: dict[str, Any] = {"grants": [{"scopes": ["read"], "collections": ["*"]}]}


class World:
    """A ring on a real database, under a clock of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now_s = 1_000_000.0
        self.store = ApiKeys(database, self.now_us)
        self.ring = self.new_ring()

    def new_ring(self) -> KeyRing:
        return KeyRing(self.store, KeyFiles(KeyPaths()), lambda: self.now_s, self.now_us)

    def now_us(self) -> int:
        return round(self.now_s * 1e6)

    async def make(self, expires_in_s: float | None = None) -> str:
        key_id = new_key_id()
        key = new_key(key_id)
        ends = None if expires_in_s is None else self.now_us() + round(expires_in_s * 1e6)
        await self.store.add(ApiKey(key_id, "test", key_digest(key), RIGHTS, self.now_us(), ends))
        return key

    async def opens(self, key: str) -> bool:
        return await self.ring.find(key) is not None


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def test_keys_are_followed_on_both_databases(world: World) -> None:
    key = await world.make()
    other = world.new_ring()
    assert await world.opens(key)
    assert await other.find(key) is not None
    key_id = key[4:20]
    await world.store.revoke(key_id)
    world.now_s += 3
    await other.poll()
    assert await other.find(key) is None
    expiring = await world.make(expires_in_s=10)
    assert await world.opens(expiring)
    world.now_s += 10
    assert not await world.opens(expiring)


async def test_a_rotation_ends_the_secret_before(world: World) -> None:
    key = await world.make()
    key_id = key[4:20]
    assert await world.opens(key)
    for grace_s in (60, 5):
        again = new_key(key_id)
        await world.store.rotate(key_id, key_digest(again), round(grace_s * 1e6))
        world.now_s += 1
        assert await world.opens(again)
        assert await world.opens(key)
        world.now_s += grace_s
        assert not await world.opens(key)
        key = again
    await world.store.revoke(key_id)
    with pytest.raises(FailedPrecondition):
        await world.store.rotate(key_id, key_digest(new_key(key_id)), 0)
    with pytest.raises(KeyNotFound):
        await world.store.revoke("0" * 16)


async def test_all_keys_are_read_anew_where_the_last_change_has_gone(world: World) -> None:
    """A key that is changed is the one that was changed last: that is no news of the database."""
    kept, newest = await world.make(), await world.make()
    await world.ring.poll()
    with capture_logs() as logs:
        again = new_key(newest[4:20])
        await world.store.rotate(newest[4:20], key_digest(again), 0)
        await world.ring.poll()
        assert (await world.opens(again), await world.opens(newest)) == (True, False)
        await world.store.revoke(newest[4:20])
        await world.ring.poll()
        assert not await world.opens(again)
    assert [line["event"] for line in logs] == []
    # As an earlier copy of the database would be.
    await world.database.run(_without(newest[4:20]))
    with capture_logs() as logs:
        await world.ring.poll()
    assert [(line["log_level"], line["event"]) for line in logs] == [
        ("info", "all API keys are read anew: the last change that was followed is not there any more")
    ]
    assert await world.opens(kept)


async def test_many_changes_at_once_are_all_seen(world: World) -> None:
    """Revisions ascend: a ring that has seen one has seen all before it."""
    keys = await asyncio.gather(*(world.make() for _ in range(12)))
    await world.ring.poll()
    more, _ = await asyncio.gather(
        asyncio.gather(*(world.make() for _ in range(12))),
        asyncio.gather(*(world.store.revoke(key[4:20]) for key in keys[:6])),
    )
    await world.ring.poll()
    revisions = [key.revision for key in await world.store.changed(-1)]
    assert len(set(revisions)) == len(revisions) == 24
    world.now_s += 3
    assert [await world.opens(key) for key in (*keys, *more)] == [False] * 6 + [True] * 18


async def test_a_database_that_is_away_for_long(world: World) -> None:
    key, unseen = await world.make(), await world.make()
    ring = world.ring
    assert await world.opens(key)
    refused = world.new_ring()
    world.database.refuse(DatabaseUnavailable("away"))
    world.now_s += STALE_S - 1
    await _fails(ring.poll, DatabaseUnavailable)
    assert await world.opens(key)
    # Nobody knows whether there is such a key: not 401, which would have clients give up.
    await _fails(lambda: ring.find(new_key(new_key_id())), Unavailable)
    await _fails(lambda: refused.find(unseen), Unavailable)
    world.now_s += 2
    await _fails(lambda: ring.find(key), Unavailable)
    world.database.refuse(None)
    await ring.poll()
    assert await world.opens(key)


def _without(key_id: str) -> Callable[[AsyncConnection], Awaitable[None]]:
    async def work(connection: AsyncConnection) -> None:
        await connection.execute(delete(API_KEYS).where(API_KEYS.c.id == key_id))

    return work


async def _fails(ask: Callable[[], Awaitable[object]], kind: type[HanaxError]) -> None:
    with pytest.raises(kind):
        await ask()


def test_a_server_that_dies_locks_nobody_out(tmp_path: Path) -> None:
    server = PostgresqlServer.start()
    try:
        settings = {**guarded_settings(tmp_path), "database_url": server.create(), "database_timeout_s": 2}
        with running_stack(tmp_path, **settings) as stack, guarded(stack) as guard:
            wait_until("the database is open", lambda: guard.client.get("/api/v1/keys").status_code == 200)
            key = guard.key("read")
            asking = guard.caller(key)
            assert asking.client.get(LIST).status_code == 200
            server.kill()
            assert [asking.client.get(LIST).status_code for _ in range(5)] == [200] * 5
            assert guard.client.get(LIST).status_code == 200
            unknown = guard.caller(new_key(new_key_id()))
            assert unknown.client.get(LIST).status_code == 503
            assert guard.client.get("/api/v1/keys").status_code == 503
            server.launch()
            wait_until("keys are looked up again", lambda: unknown.client.get(LIST).status_code == 401)
            assert asking.client.get(LIST).status_code == 200
    finally:
        server.stop()
