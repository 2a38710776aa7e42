"""A process that dies at any point of `up` or `down`: the next one ends what it began, one way or the other.

Deaths are told apart by what had left the process before: it dies before each request to the gateway, and
before each note in the database.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from hanax.cli.migrate.files import find_migrations
from hanax.cli.migrate.runner import Runner
from hanax.core.errors import MigrationFailed
from hanax.metadata.applied_migrations import MIGRATION_LOCK, AppliedMigrations
from hanax.metadata.database import Database
from hxp_vector_client import AsyncVectorClient
from hxp_vector_client._async.calls import AsyncCalls
from tests.integration.gateway.stack import Stack

# More than a run has.
_POINTS = 200

BACK = """
def up(steps):
    steps.change_collection("there", target_recall=0.99)
    steps.create_collection("films", dimension=3)
    steps.point_alias("current", "films")

def down(steps):
    steps.point_alias("current", "there")
    steps.delete_collection("films")
    steps.change_collection("there", target_recall=None)

def validate(checks):
    checks.alias("current", "films")
"""
NO_WAY_BACK = """
def up(steps):
    steps.point_alias("other", "there")
    steps.delete_collection("old")

def down(steps):
    steps.create_collection("old", dimension=3)
    steps.remove_alias("other")
"""


class Died(BaseException):
    """As a process that is killed: nothing that it does afterwards leaves it."""


@dataclass
class Life:
    """Dies at a point; None: it does not."""

    ends_at: int | None
    reached: int = 0

    def pass_point(self) -> None:
        if self.ends_at is not None and self.reached >= self.ends_at:
            raise Died
        self.reached += 1

    def around(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def called(*arguments: Any, **options: Any) -> Any:
            self.pass_point()
            return await method(*arguments, **options)

        return called


class World:
    """What there is on the gateway and in the database, and runs of the migrations in a folder."""

    def __init__(self, client: AsyncVectorClient, database: Database, folder: Path) -> None:
        self._client = client
        self._database = database
        self._folder = folder
        self.lines: list[str] = []

    async def begin(self, text: str) -> tuple[object, ...]:
        """As it looks then: two collections, an alias of one, and a migration of this text."""
        self._folder.mkdir()
        (self._folder / "0001_films.py").write_text(text)
        for name in await self._client.aliases.list():
            await self._client.aliases.delete(name)
        for one in await self._client.collections.list():
            await self._client.collections.delete(one.name)
        for name in ("there", "old"):
            await self._client.collections.create(name, 3)
        await self._client.aliases.set("current", "there")
        return await self.look()

    async def look(self) -> tuple[object, ...]:
        """Collections, aliases, and the state of migrations."""
        collections = {}
        for one in await self._client.collections.list():
            collections[one.name] = (await self._client.collections.get(one.name)).target_recall
        aliases = await self._client.aliases.list()
        rows = await AppliedMigrations(self._database, _now_us).all()
        return collections, aliases, [(row.name, row.direction, row.state) for row in rows]

    async def ends_in(self, direction: str, message: str, ends_at: int | None = None) -> bool:
        """Whether a run fails with this message."""
        try:
            await self.run(direction, ends_at)
        except MigrationFailed as error:
            if message not in error.message:
                raise
            return True
        return False

    async def run(self, direction: str, ends_at: int | None = None) -> bool:
        """Whether it came to its end. The lock of who died is free, as if half a minute had passed."""
        life = Life(ends_at)
        applied = AppliedMigrations(self._database, _now_us)
        with pytest.MonkeyPatch.context() as patches:
            patches.setattr(AsyncCalls, "call", _method(life, AsyncCalls.call))
            for name in ("lock", "save", "remove", "unlock"):
                patches.setattr(applied, name, life.around(getattr(applied, name)))
            runner = Runner(self._client, applied, self.lines.append, _now_us)
            files = find_migrations(self._folder)
            try:
                await (runner.up(files, None) if direction == "up" else runner.down(files, 1, lose=True))
            except Died:
                free = update(MIGRATION_LOCK).values(until_us=0)
                await self._database.run(lambda connection: connection.execute(free))
                return False
        return True


def _method(life: Life, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def call(self: Any, *arguments: Any, **options: Any) -> Any:
        return await life.around(method)(self, *arguments, **options)

    return call


def _now_us() -> int:
    return time.time_ns() // 1_000


@pytest.fixture
async def world(stack: Stack, database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncVectorClient(stack.gateway.url) as client:
        yield World(client, database, tmp_path / "migrations")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("text", [BACK, NO_WAY_BACK], ids=["way-back", "no-way-back"])
async def test_whoever_dies_in_up_leaves_what_the_next_one_ends(world: World, text: str) -> None:
    before = await world.begin(text)
    await world.run("up")
    after = await world.look()
    assert before != after
    await world.run("down")
    passed_by = False
    for point in range(_POINTS):
        for then in ("up", "down"):
            if await world.run("up", ends_at=point):
                assert passed_by == (text == NO_WAY_BACK)
                return
            if await world.ends_in(then, "`up` goes on with it"):
                # Past the point from which there is no way back.
                passed_by = True
                await world.run("up")
                assert await world.look() == after, f"died at {point}"
            else:
                assert await world.look() == (after if then == "up" else before), f"died at {point}"
            if await world.look() == after:
                await world.run("down")
            assert await world.look() == before
    raise AssertionError("it never came to its end")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_whoever_dies_in_down_leaves_what_the_next_down_ends(world: World) -> None:
    before = await world.begin(BACK)
    for point in range(_POINTS):
        await world.run("up")
        if await world.run("down", ends_at=point):
            return
        await world.run("down")
        assert await world.look() == before, f"died at {point}"
    raise AssertionError("it never came to its end")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_whoever_dies_while_undoing_leaves_what_the_next_one_ends(world: World) -> None:
    before = await world.begin(BACK + '    checks.collection("films", dimension=4)\n')
    for point in range(_POINTS):
        if await world.ends_in("up", "got 3; what was done before it is undone", ends_at=point):
            assert await world.look() == before
            return
        await world.run("down")
        assert await world.look() == before, f"died at {point}"
    raise AssertionError("it never came to its end")
