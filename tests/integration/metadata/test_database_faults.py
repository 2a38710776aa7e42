"""The metadata database goes away, comes back, or was never what its URL says."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import DatabaseUnavailable, DataLoss, DeadlineExceeded, HanaxError
from hanax.metadata.database import Database, DatabaseOptions, Transaction
from hanax.metadata.upgrading import upgrade
from tests.databases import TIMEOUT_S, PostgresqlServer

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresqlServer]:
    """A server that these tests may kill; each leaves it running."""
    server = PostgresqlServer.start()
    yield server
    server.stop()


@pytest.fixture
async def numbers(mortal: PostgresqlServer) -> AsyncIterator[Database]:
    """On the mortal server, with an empty table `numbers`."""
    database = Database(DatabaseOptions(mortal.create(), timeout_s=TIMEOUT_S))
    await database.run(lambda connection: connection.execute(text("CREATE TABLE numbers (n INTEGER)")))
    yield database
    await database.close()


async def one(connection: AsyncConnection) -> int:
    found: int = (await connection.execute(text("SELECT 1"))).scalar_one()
    return found


async def count(connection: AsyncConnection) -> int:
    found: int = (await connection.execute(text("SELECT count(*) FROM numbers"))).scalar_one()
    return found


async def add(connection: AsyncConnection) -> None:
    await connection.execute(text("INSERT INTO numbers VALUES (1)"))


async def test_a_killed_server_is_told_of_and_used_again_when_it_is_back(
    mortal: PostgresqlServer, numbers: Database
) -> None:
    """What was acknowledged is there, and no connection of before is used."""
    await asyncio.gather(*(numbers.run(add) for _ in range(4)))
    mortal.kill()
    try:
        for call in (numbers.run, numbers.read):
            with pytest.raises(DatabaseUnavailable, match="cannot be reached") as told:
                await call(one)
            assert told.value.details["retry_after_s"] > 0
        health = await numbers.health()
        assert (health.reachable, health.latency_s) == (False, None)
        assert health.error is not None
    finally:
        mortal.launch()
    assert await numbers.read(count) == 4
    await numbers.run(add)
    assert (await numbers.health()).reachable


async def test_a_server_killed_in_a_transaction_leaves_nothing_of_it(
    mortal: PostgresqlServer, numbers: Database
) -> None:
    async def add_then_die(connection: AsyncConnection) -> None:
        await add(connection)
        mortal.kill()
        await add(connection)

    with pytest.raises(DatabaseUnavailable):
        await numbers.run(add_then_die)
    mortal.launch()
    assert await numbers.read(count) == 0


@pytest.mark.parametrize("kind", ["run", "read"])
async def test_a_connection_that_is_lost_before_the_end_is_replaced_once(
    numbers: Database, kind: str
) -> None:
    """As when a proxy drops it: the server is there, and the transaction was not committed."""
    seen: list[Transaction] = []
    numbers.observe(seen.append)
    attempts = 0

    async def lose_the_first(connection: AsyncConnection) -> int:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            backend = await connection.execute(text("SELECT pg_backend_pid()"))
            os.kill(backend.scalar_one(), signal.SIGTERM)
        return await count(connection)

    assert await (numbers.run if kind == "run" else numbers.read)(lose_the_first) == 0
    assert attempts == 2
    assert [(one.kind, one.status, one.retries) for one in seen] == [(kind, "ok", 1)]


async def test_a_commit_whose_answer_is_lost_is_not_sent_again(
    mortal: PostgresqlServer, numbers: Database
) -> None:
    """A deferred trigger ends the connection inside the commit: whether it was stored is not known."""

    async def prepare(connection: AsyncConnection) -> None:
        for statement in (
            "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'",
            "CREATE CONSTRAINT TRIGGER leaving AFTER INSERT ON numbers DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION leave()",
        ):
            await connection.execute(text(statement))

    await numbers.run(prepare)
    attempts = 0

    async def counted(connection: AsyncConnection) -> None:
        nonlocal attempts
        attempts += 1
        await add(connection)

    with pytest.raises(DatabaseUnavailable, match="may have been stored or not"):
        await numbers.run(counted)
    assert attempts == 1


async def test_connections_to_a_server_that_is_primary_no_more_are_replaced(numbers: Database) -> None:
    """It keeps them, and refuses to write; another server is the primary by now."""
    all_are_open = asyncio.Barrier(4)

    async def become_standby(connection: AsyncConnection) -> None:
        await connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
        await all_are_open.wait()

    await asyncio.gather(*(numbers.run(become_standby) for _ in range(4)))
    for _ in range(4):
        await numbers.run(add)
    assert await numbers.read(count) == 4


async def test_a_server_that_does_not_answer_is_not_waited_for(mortal: PostgresqlServer) -> None:
    database = Database(DatabaseOptions(mortal.create(), timeout_s=1.0))
    assert await database.read(one) == 1
    mortal.signal(signal.SIGSTOP)
    try:
        for call in (database.run, database.read):
            with pytest.raises((DeadlineExceeded, DatabaseUnavailable)):
                await call(one)
        assert not (await database.health()).reachable
    finally:
        mortal.signal(signal.SIGCONT)
        await database.close()


async def test_no_message_has_the_password(mortal: PostgresqlServer, tmp_path: Path) -> None:
    """Of the URL, or of the file: not when the server refuses it, is away, or the file is not there."""
    place = mortal.url("postgres").partition("@")[2]
    file = tmp_path / "password"
    file.write_text("s3cret-of-the-file\n")
    away = "127.0.0.1:1/away"
    for url, password in (
        (f"postgresql://nobody:s3cret@{place}", None),
        (f"postgresql://nobody:s3cret@{away}", None),
        (f"postgresql://nobody@{away}?password=s3cret", file),
        (f"postgresql://nobody:s3cret@{place}", tmp_path / "missing"),
    ):
        database = Database(DatabaseOptions(url, password))
        with pytest.raises(HanaxError) as told:
            await database.run(one)
        health = await database.health()
        texts = [told.value.message, str(told.value.details), str(health), database.name, repr(told.value)]
        cause: BaseException | None = told.value
        while cause is not None:
            texts.append(str(cause))
            cause = cause.__cause__
        assert isinstance(told.value, DatabaseUnavailable)
        assert not [found for found in texts if "s3cret" in found]


async def test_a_file_that_another_process_writes_is_waited_for_in_bounds(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    patient = Database(DatabaseOptions(f"sqlite:///{path}", timeout_s=TIMEOUT_S))
    hasty = Database(DatabaseOptions(f"sqlite:///{path}", timeout_s=0.5))
    await patient.run(lambda connection: connection.execute(text("CREATE TABLE numbers (n INTEGER)")))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises((DatabaseUnavailable, DeadlineExceeded)):
        await hasty.run(add)
    assert await hasty.read(count) == 0  # readers are not held up
    waiting = asyncio.create_task(patient.run(add))
    await asyncio.wait([waiting], timeout=0.2)
    assert not waiting.done()
    other.execute("INSERT INTO numbers VALUES (1)")
    other.execute("COMMIT")
    await waiting

    assert await patient.read(count) == 2
    other.close()
    await hasty.close()
    await patient.close()


async def test_a_file_that_is_no_database_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "metadata.db"
    path.write_bytes(b"no database " * 1_000)
    database = Database(DatabaseOptions(f"sqlite:///{path}"))
    with pytest.raises(DataLoss, match="damaged"):
        await database.run(one)
    with pytest.raises(DataLoss):
        await upgrade(database)
    await database.close()
    assert path.read_bytes() == b"no database " * 1_000


async def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    database = Database(DatabaseOptions(f"sqlite:///{tmp_path}/a/b/metadata.db"))
    assert await database.run(one) == 1
    await database.close()


async def test_a_place_where_no_file_can_be_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = Database(DatabaseOptions(f"sqlite:///{tmp_path}/file/metadata.db"))
    with pytest.raises(DatabaseUnavailable):
        await database.run(one)
    await database.close()
