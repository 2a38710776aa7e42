"""Counts of jobs are kept by the database: exact behind every change, whoever makes it."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import DatabaseUnavailable, JobNotFound, LeaseLost, WrongJobState
from hanax.core.job_specs import BulkEmbed
from hanax.metadata.database import Database, DatabaseOptions, Transaction
from hanax.metadata.jobs.job import JobState
from hanax.metadata.jobs.task import NewTask, TaskKind
from hanax.metadata.upgrading import MIGRATIONS, upgrade
from tests.databases import TIMEOUT_S, PostgresqlServer
from tests.integration.metadata.job_world import JobWorld

pytestmark = pytest.mark.timeout(300)

_INSERT: Final = text(
    "INSERT INTO jobs (id, kind, state, spec, priority, done, failed, tasks_open, counts, facts, rate, "
    "created_at_us, updated_at_us) "
    "VALUES (:id, 'bulk_insert', :state, '{}', 5, 0, 0, :tasks_open, '{}', '{}', 0, 1, 1)"
)
# Of the changes by chance, how often each comes.
_CHANCES: Final = {
    "submit": 3,
    "work": 12,
    "pause": 1,
    "resume": 1,
    "cancel": 1,
    "retry": 1,
    "forget": 1,
    "sweep": 1,
}
# Connections of one test, and more than there are parts.
_MANY: Final = 20


def row(state: JobState, tasks_open: int = 1) -> dict[str, Any]:
    return {"id": uuid4().hex, "state": state, "tasks_open": tasks_open}


async def expect_exact(database: Database) -> dict[JobState, int]:
    """What is kept is what there is: jobs of each state, and tasks."""
    world = JobWorld(database)
    status = await world.jobs.queue()
    found = await database.ask(text("SELECT state, count(*) FROM jobs GROUP BY state"))
    assert status.jobs == dict.fromkeys(JobState, 0) | {JobState(state): count for state, count in found}
    ((tasks,),) = await database.ask(
        text(
            "SELECT coalesce(sum(CASE WHEN tasks_open = 0 THEN 1 ELSE tasks_open END), 0) "
            "FROM jobs WHERE state IN ('queued', 'running')"
        )
    )
    assert status.waiting + status.running == tasks
    return status.jobs


class Changes:
    """Changes of jobs by chance, as gateways, processors and sweepers make them."""

    def __init__(self, database: Database, seed: int) -> None:
        self._world = JobWorld(database)
        self._chance = random.Random(seed)
        self._ids: list[str] = []
        self.made = 0

    async def make(self, count: int) -> None:
        """What another has done before is refused, and changes nothing."""
        for _ in range(count):
            with suppress(WrongJobState, JobNotFound, LeaseLost):
                await self._one()
            self.made += 1

    async def _one(self) -> None:
        world, jobs = self._world, self._world.jobs
        change = self._chance.choices(list(_CHANCES), list(_CHANCES.values()))[0]
        world.pass_s(1.0)
        if change == "submit" or not self._ids:
            self._ids.append((await world.submit(self._chance.randrange(10))).id)
        elif change == "work":
            await self._work()
        elif change == "sweep":
            await jobs.sweep(20.0)
        else:
            one: Callable[[str], Any] = getattr(jobs, change)
            await one(self._chance.choice(self._ids))

    async def _work(self) -> None:
        world = self._world
        claim = await world.maybe_claim()
        if claim is None:
            return
        if claim.task.kind is TaskKind.DIVIDE:
            await world.work.add_tasks(claim, [NewTask(0, 2, {})], 2)
            await world.work.end_task(claim)
        else:
            failed = self._chance.sample(range(claim.task.count), self._chance.randint(0, claim.task.count))
            await world.do(claim, failed)


async def test_counts_follow_each_change(database: Database) -> None:
    changes = Changes(database, seed=1)
    seen: dict[JobState, int] = {}
    for _ in range(150):
        await changes.make(1)
        for state, count in (await expect_exact(database)).items():
            seen[state] = max(seen.get(state, 0), count)
    assert min(seen[state] for state in JobState) > 0


async def test_changes_of_several_at_once_all_count(database_url: str) -> None:
    """Of two gateways and two processors; none of their transactions has to be run again."""
    databases = [Database(DatabaseOptions(database_url, timeout_s=TIMEOUT_S)) for _ in range(2)]
    seen: list[Transaction] = []
    for database in databases:
        database.observe(seen.append)
    try:
        await asyncio.gather(*(Changes(databases[seed % 2], seed).make(60) for seed in range(4)))
        await expect_exact(databases[0])
    finally:
        for database in databases:
            await database.close()
    assert sum(one.retries for one in seen) == 0


@pytest.fixture
async def mortal() -> AsyncIterator[tuple[PostgresqlServer, Database]]:
    """A server that the test kills, and a migrated database of it, for many connections."""
    server = await asyncio.to_thread(PostgresqlServer.start)
    database = Database(DatabaseOptions(server.create(), pool_size=_MANY, timeout_s=TIMEOUT_S))
    await upgrade(database)
    yield server, database
    await database.close()
    await asyncio.to_thread(server.stop)


async def test_counts_are_exact_behind_a_server_that_was_killed(
    mortal: tuple[PostgresqlServer, Database],
) -> None:
    """With transactions of all kinds under way."""
    server, database = mortal
    several = [Changes(database, seed) for seed in range(6)]
    tasks = [asyncio.create_task(changes.make(10_000)) for changes in several]
    while sum(changes.made for changes in several) < 200:
        await asyncio.wait(tasks, timeout=0.02, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.to_thread(server.kill)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(end) for end in ended} == {DatabaseUnavailable}
    await asyncio.to_thread(server.launch)
    assert sum((await expect_exact(database)).values()) > 0
    await several[0].make(20)
    await expect_exact(database)


async def test_who_submits_waits_for_no_open_transaction(mortal: tuple[PostgresqlServer, Database]) -> None:
    """There are more transactions at once than parts: all have changed jobs before the first one commits."""
    _, database = mortal
    all_have_changed = asyncio.Barrier(_MANY)

    async def change(connection: AsyncConnection) -> None:
        await connection.execute(_INSERT, row(JobState.QUEUED))
        await connection.execute(_INSERT, row(JobState.PAUSED))
        await all_have_changed.wait()

    await asyncio.gather(*(database.run_by_locks(change) for _ in range(_MANY)))
    counts = await expect_exact(database)
    assert (counts[JobState.QUEUED], counts[JobState.PAUSED]) == (_MANY, _MANY)


async def test_what_is_rolled_back_does_not_count(database: Database) -> None:
    async def fail(connection: AsyncConnection) -> None:
        await connection.execute(_INSERT, row(JobState.QUEUED))
        raise JobNotFound("another one")

    with pytest.raises(JobNotFound):
        await database.run_by_locks(fail)
    assert sum((await expect_exact(database)).values()) == 0


async def test_a_database_of_the_release_before_is_counted(empty_database_url: str, tmp_path: Path) -> None:
    """What it holds, and what processes of that release, which know no counts, change beside this one."""
    before = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, before)
    (before / "versions" / "0006_job_counts.py").unlink()
    rows = [row(state, place) for place, state in enumerate(JobState) for _ in range(place + 1)]
    database = Database(DatabaseOptions(empty_database_url, timeout_s=TIMEOUT_S))

    async def of_before(connection: AsyncConnection) -> None:
        started = "UPDATE jobs SET state = 'running', tasks_open = 7 WHERE state = 'queued'"
        await connection.execute(text(started))
        await connection.execute(text("DELETE FROM jobs WHERE state IN ('failed', 'partial')"))
        await connection.execute(_INSERT, row(JobState.QUEUED))

    try:
        await upgrade(database, before)
        await database.put(_INSERT, rows)
        await upgrade(database)
        counts = await expect_exact(database)
        assert list(counts.values()) == [1, 2, 3, 4, 5, 6, 7]
        await database.run(of_before)
        counts = await expect_exact(database)
        assert list(counts.values()) == [1, 3, 3, 4, 0, 0, 7]
    finally:
        await database.close()


async def test_the_oldest_is_found_whatever_its_priority(world: JobWorld) -> None:
    """Every priority that a spec may have."""
    schema = BulkEmbed.model_json_schema()["properties"]["priority"]
    lowest, highest = schema["minimum"], schema["maximum"]
    oldest = {}
    for priority in range(lowest, highest + 1):
        job = await world.submit(priority)
        oldest[job.id] = job.created_at_us
    world.pass_s(5.0)
    for id, at_us in oldest.items():
        status = await world.jobs.queue()
        assert status.oldest_wait_s == pytest.approx((world.now_us - at_us) / 1e6)
        await world.jobs.pause(id)
    assert (await world.jobs.queue()).oldest_wait_s == 0.0


async def test_a_task_that_was_given_back_for_later_waits(world: JobWorld) -> None:
    """Nobody works on it, though it may not be claimed yet."""
    await world.submit()
    claim = await world.claim()
    assert ((await world.jobs.queue()).running, (await world.jobs.queue()).waiting) == (1, 0)
    await world.work.release(claim, again_after_s=60.0)
    assert ((await world.jobs.queue()).running, (await world.jobs.queue()).waiting) == (0, 1)
