"""What a transaction of the metadata database promises, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import (
    DatabaseUnavailable,
    DeadlineExceeded,
    HanaxError,
    Internal,
    InvalidArgument,
    NotFound,
)
from hanax.metadata.database import Database, DatabaseOptions, Transaction
from tests.databases import TIMEOUT_S


@pytest.fixture
async def stock(database: Database) -> Database:
    """With two rows, (1, 0) and (2, 0), in `stock`."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(text("CREATE TABLE stock (id INTEGER PRIMARY KEY, held INTEGER NOT NULL)"))
        await connection.execute(text("INSERT INTO stock VALUES (1, 0), (2, 0)"))

    await database.run(work)
    return database


@pytest.fixture
async def hasty(database_url: str) -> AsyncIterator[Database]:
    """Two connections for reads, which are open, and two seconds for each call."""
    opened = Database(DatabaseOptions(database_url, pool_size=2, timeout_s=2.0))
    await asyncio.gather(
        *(opened.read(lambda connection: connection.execute(text("SELECT 1"))) for _ in "ab")
    )
    yield opened
    await opened.close()


async def held(connection: AsyncConnection, row: int) -> int:
    found = await connection.execute(text("SELECT held FROM stock WHERE id = :id"), {"id": row})
    value: int = found.scalar_one()
    return value


async def hold(connection: AsyncConnection, row: int, value: int) -> None:
    values = {"id": row, "value": value}
    await connection.execute(text("UPDATE stock SET held = :value WHERE id = :id"), values)


async def test_concurrent_changes_of_one_row_all_count(stock: Database) -> None:
    """Read, then write what was read plus one: no change is lost, whoever gets into whose way."""

    async def add(connection: AsyncConnection) -> None:
        before = await held(connection, 1)
        # So long that others read as well meanwhile, where they may.
        await asyncio.sleep(0.001)
        await hold(connection, 1, before + 1)

    await asyncio.gather(*(stock.run(add) for _ in range(8)))

    assert await stock.read(lambda connection: held(connection, 1)) == 8


async def test_writers_of_one_file_in_two_processes_take_turns(tmp_path: Path) -> None:
    """The lock is taken before anything is read: nobody has read in vain and begins anew."""
    options = DatabaseOptions(f"sqlite:///{tmp_path}/metadata.db", timeout_s=TIMEOUT_S)
    databases = [Database(options), Database(options)]
    seen: list[Transaction] = []

    async def create(connection: AsyncConnection) -> None:
        await connection.execute(text("CREATE TABLE stock (id INTEGER PRIMARY KEY, held INTEGER NOT NULL)"))
        await connection.execute(text("INSERT INTO stock VALUES (1, 0)"))

    async def add(connection: AsyncConnection) -> None:
        await hold(connection, 1, await held(connection, 1) + 1)

    await databases[0].run(create)
    for database in databases:
        database.observe(seen.append)
    await asyncio.gather(*(database.run(add) for database in databases for _ in range(10)))

    assert await databases[0].read(lambda connection: held(connection, 1)) == 20
    assert [one.retries for one in seen if one.kind == "run"] == [0] * 20
    for database in databases:
        await database.close()


async def test_a_conflict_is_run_again(stock: Database, dialect: str) -> None:
    """Two that read each other's row before both write: one of them starts anew, and sees the other."""
    seen: list[Transaction] = []
    stock.observe(seen.append)
    both_have_read = asyncio.Barrier(2)
    attempts = 0

    async def only_if_other_is_free(connection: AsyncConnection, own: int, other: int) -> bool:
        nonlocal attempts
        attempts += 1
        free = await held(connection, other) == 0
        if dialect == "postgresql" and attempts <= 2:
            await both_have_read.wait()
        if free:
            await hold(connection, own, 1)
        return free

    done = await asyncio.gather(
        stock.run(lambda connection: only_if_other_is_free(connection, 1, 2)),
        stock.run(lambda connection: only_if_other_is_free(connection, 2, 1)),
    )

    assert sorted(done) == [False, True]
    assert attempts == (3 if dialect == "postgresql" else 2)
    assert sorted(one.retries for one in seen) == ([0, 1] if dialect == "postgresql" else [0, 0])
    assert {one.status for one in seen} == {"ok"}


async def test_who_looks_first_finds_what_another_has_just_stored(stock: Database, dialect: str) -> None:
    """Two that look for the same key, find none, and insert it: one is told that there is one."""
    both_have_looked = asyncio.Barrier(2)
    attempts = 0

    async def look_then_insert(connection: AsyncConnection) -> None:
        nonlocal attempts
        attempts += 1
        found = await connection.execute(text("SELECT id FROM stock WHERE id = 3"))
        if found.first() is not None:
            raise InvalidArgument("there is one")
        if dialect == "postgresql" and attempts <= 2:
            await both_have_looked.wait()
        await connection.execute(text("INSERT INTO stock VALUES (3, 0)"))

    ended = await asyncio.gather(*(stock.run(look_then_insert) for _ in range(2)), return_exceptions=True)

    assert sorted(type(end).__name__ for end in ended) == ["InvalidArgument", "NoneType"]
    assert attempts == (3 if dialect == "postgresql" else 2)


async def test_a_violation_that_stays_passes(stock: Database) -> None:
    async def insert(connection: AsyncConnection) -> None:
        await connection.execute(text("INSERT INTO stock VALUES (1, 0)"))

    with pytest.raises(IntegrityError) as told:
        await stock.run(insert)
    assert "parameters" not in str(told.value).replace("hide_parameters", "")


async def test_an_error_of_the_work_undoes_all_of_it(stock: Database) -> None:
    async def fail(connection: AsyncConnection) -> None:
        await hold(connection, 1, 7)
        raise NotFound("the other one")

    with pytest.raises(NotFound, match="the other one"):
        await stock.run(fail)
    assert await stock.read(lambda connection: held(connection, 1)) == 0


async def test_a_read_changes_nothing(stock: Database) -> None:
    with pytest.raises(HanaxError):
        await stock.read(lambda connection: hold(connection, 1, 7))
    assert await stock.read(lambda connection: held(connection, 1)) == 0


async def test_a_read_sees_one_picture(stock: Database) -> None:
    """What others commit meanwhile is not seen, on SQLite either."""

    async def twice(connection: AsyncConnection) -> tuple[int, int]:
        first = await held(connection, 1)
        await stock.run(lambda other: hold(other, 1, 7))
        return first, await held(connection, 1)

    assert await stock.read(twice) == (0, 0)
    assert await stock.read(lambda connection: held(connection, 1)) == 7


async def test_a_refused_statement_is_told_without_its_values(stock: Database) -> None:
    async def fail(connection: AsyncConnection) -> None:
        await connection.execute(text("SELECT nothing FROM nowhere WHERE :secret = 1"), {"secret": "s3cret"})

    with pytest.raises(Internal) as told:
        await stock.run(fail)
    assert "s3cret" not in told.value.message
    assert "nowhere" not in told.value.message


async def test_a_full_pool_refuses_after_a_while(hasty: Database) -> None:
    """Reads hold all connections: another one is told so, within its time."""
    taken, free = asyncio.Semaphore(0), asyncio.Event()

    async def keep(connection: AsyncConnection) -> None:
        await connection.execute(text("SELECT 1"))
        taken.release()
        await free.wait()

    holders = [asyncio.create_task(hasty.read(keep)) for _ in range(2)]
    for _ in holders:
        await taken.acquire()
    # The holders' own time ends soon; the wait for a connection ends before.
    with pytest.raises(DatabaseUnavailable, match="in use") as told:
        await hasty.read(lambda connection: connection.execute(text("SELECT 1")))
    free.set()
    await asyncio.gather(*holders, return_exceptions=True)
    assert told.value.details["retry_after_s"] > 0
    in_use, size = hasty.pool_use()
    assert in_use == 0
    assert size >= 2


async def test_no_call_takes_longer_than_its_time(hasty: Database) -> None:
    async def forever(connection: AsyncConnection) -> None:
        if hasty.dialect == "postgresql":
            await connection.execute(text("SELECT pg_sleep(1000)"))
        await asyncio.Event().wait()

    for call in (hasty.run, hasty.read):
        with pytest.raises(DeadlineExceeded):
            await call(forever)
    # The connections are free again, or replaced.
    assert (await hasty.read(lambda connection: connection.execute(text("SELECT 1")))).scalar_one() == 1
    assert hasty.pool_use()[0] == 0


async def test_a_statement_that_would_never_end_is_stopped(hasty: Database) -> None:
    """It holds no lock and no connection then: whoever comes next has its turn at once."""
    endless = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n")
    with pytest.raises(DeadlineExceeded):
        await hasty.ask(endless)
    for call in (hasty.run, hasty.read):
        with pytest.raises(DeadlineExceeded):
            await call(lambda connection: connection.execute(endless))
        assert (await call(lambda connection: connection.execute(text("SELECT 1")))).scalar_one() == 1
    assert hasty.pool_use()[0] == 0


async def test_a_caller_that_goes_away_leaves_nothing_behind(stock: Database) -> None:
    began = asyncio.Event()

    async def slow(connection: AsyncConnection) -> None:
        await hold(connection, 1, 7)
        began.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(stock.run(slow))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # Not held up by a lock that nobody holds any more.
    await stock.run(lambda connection: hold(connection, 2, 1))
    assert await stock.read(lambda connection: held(connection, 1)) == 0
    assert stock.pool_use()[0] == 0


async def test_what_is_refused_is_asked_of_nobody(stock: Database) -> None:
    stock.refuse(DatabaseUnavailable("not yet", retry_after_s=3))
    for call in (stock.run, stock.read):
        with pytest.raises(DatabaseUnavailable, match="not yet") as told:
            await call(lambda connection: held(connection, 1))
        assert told.value.details == {"retry_after_s": 3}
    health = await stock.health()
    assert (health.reachable, health.error) == (True, "not yet")
    stock.refuse(None)
    assert await stock.read(lambda connection: held(connection, 1)) == 0


@pytest.mark.parametrize(
    "url",
    [
        "mysql://host/name",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://host",
        "postgresql://h:port/n",
        "x",
    ],
)
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument, match="HANAX_DATABASE_URL"):
        Database(DatabaseOptions(url))


async def test_a_question_is_one_statement_that_reads(stock: Database) -> None:
    """Nothing is held behind it, and what is refused is told as of any other transaction."""
    seen: list[Transaction] = []
    stock.observe(seen.append)
    question = text("SELECT id, held FROM stock WHERE id >= :least ORDER BY id")
    assert await stock.ask(question, {"least": 1}) == [(1, 0), (2, 0)]
    assert [(one.kind, one.status) for one in seen] == [("read", "ok")]
    assert stock.pool_use()[0] == 0
    with pytest.raises(Internal):
        await stock.ask(text("SELECT * FROM nowhere"))
    stock.refuse(DatabaseUnavailable("not yet"))
    with pytest.raises(DatabaseUnavailable, match="not yet"):
        await stock.ask(question, {"least": 1})


async def test_rows_that_are_put_are_there_all_or_none(stock: Database) -> None:
    add = text("INSERT INTO stock VALUES (:id, :held)")
    await stock.put(add, [{"id": 3, "held": 7}, {"id": 4, "held": 8}])
    with pytest.raises(IntegrityError):
        await stock.put(add, [{"id": 5, "held": 0}, {"id": 3, "held": 0}])
    ids = await stock.ask(text("SELECT id FROM stock ORDER BY id"))
    assert [id for (id,) in ids] == [1, 2, 3, 4]
