"""Backup and restore, as docs/metadata.md has them."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hanax.core.errors import AlreadyExists, DatabaseUnavailable, DataLoss, InvalidArgument, NotFound
from hanax.metadata.backup import restore, save
from hanax.metadata.database import SCHEMA_TABLE, Database, DatabaseOptions
from hanax.metadata.jobs.job import JobState
from hanax.metadata.operations.operation import Operation, Wanted
from hanax.metadata.operations.store import OperationStore
from hanax.metadata.upgrading import upgrade
from tests.databases import TIMEOUT_S, PostgresqlServer
from tests.integration.metadata.job_world import JobWorld

pytestmark = pytest.mark.timeout(300)


def operation(number: int) -> Operation:
    return Operation(number, 5, "search", "docs", "anonymous", "ok", number, "r")


def fill(url: str) -> None:
    asyncio.run(_fill(url))


async def _fill(url: str) -> None:
    database = Database(DatabaseOptions(url, timeout_s=TIMEOUT_S))
    await upgrade(database)
    await database.close()
    await _add(url, [operation(number) for number in range(1, 101)])
    await _submit(url)


async def _submit(url: str) -> int:
    """One more job; how many are queued then."""
    database = Database(DatabaseOptions(url, timeout_s=TIMEOUT_S))
    world = JobWorld(database)
    await world.submit()
    queued = (await world.jobs.queue()).jobs[JobState.QUEUED]
    await database.close()
    return queued


async def _add(url: str, operations: list[Operation]) -> None:
    database = Database(DatabaseOptions(url, timeout_s=TIMEOUT_S))
    await OperationStore(database).add(operations, "a")
    await database.close()


def check(url: str) -> None:
    """What was there is there; the schema is known; new lines come behind the old ones, and jobs count."""
    asyncio.run(_check(url))


async def _check(url: str) -> None:
    database = Database(DatabaseOptions(url, timeout_s=TIMEOUT_S))
    store = OperationStore(database)
    await upgrade(database)
    assert [noted.operation for noted in await store.page(Wanted(), 200)] == [
        operation(number) for number in range(100, 0, -1)
    ]
    await store.add([operation(101)], "a")
    assert await store.count() == 101
    await database.close()
    assert await _submit(url) == 2


def test_a_dump_of_postgresql_is_restored_into_an_empty_database(
    postgresql: PostgresqlServer, tmp_path: Path
) -> None:
    url, empty = postgresql.create(), postgresql.create()
    fill(url)
    file = str(tmp_path / "metadata.dump")
    for command in (
        ["pg_dump", "--format=custom", "--no-owner", f"--file={file}", url],
        ["pg_restore", "--single-transaction", "--exit-on-error", "--no-owner", f"--dbname={empty}", file],
    ):
        subprocess.run([postgresql.programs / command[0], *command[1:]], check=True, timeout=TIMEOUT_S)
    check(empty)


def test_a_copy_of_a_file_is_restored_over_what_came_later(tmp_path: Path) -> None:
    path, copy = tmp_path / "metadata.db", tmp_path / "copy.db"
    fill(f"sqlite:///{path}")
    save(path, copy)
    asyncio.run(_add(f"sqlite:///{path}", [operation(999)]))

    restore(copy, path)

    check(f"sqlite:///{path}")
    assert sorted(found.name for found in tmp_path.iterdir() if "copy" in found.name) == ["copy.db"]


def test_a_copy_that_is_made_while_others_write_is_of_one_moment(tmp_path: Path) -> None:
    """Each transaction adds a pair: the copy has no half of one."""
    path, copy = tmp_path / "metadata.db", tmp_path / "copy.db"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=TIMEOUT_S)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute(f"CREATE TABLE {SCHEMA_TABLE} (version_num TEXT)")
    writer.execute("CREATE TABLE pairs (n INTEGER)")
    begun, ended = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            writer.execute("BEGIN IMMEDIATE")
            writer.executemany("INSERT INTO pairs VALUES (?)", [(number,), (number,)])
            writer.execute("COMMIT")
            number += 1
            if number == 10:
                begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert begun.wait(TIMEOUT_S)
        save(path, copy)
    finally:
        ended.set()
        thread.join()
        writer.close()
    found = sqlite3.connect(copy)
    pairs, halves = found.execute(
        "SELECT count(*), sum(c <> 2) FROM (SELECT count(*) AS c FROM pairs GROUP BY n)"
    ).fetchone()
    found.close()
    assert pairs >= 10
    assert halves == 0


def test_what_cannot_be_copied_is_told_of_and_changes_nothing(tmp_path: Path) -> None:
    path, copy, damaged = tmp_path / "metadata.db", tmp_path / "copy.db", tmp_path / "damaged.db"
    fill(f"sqlite:///{path}")
    save(path, copy)
    with pytest.raises(AlreadyExists, match=r"copy\.db"):
        save(path, copy)
    with pytest.raises(NotFound, match="missing"):
        save(tmp_path / "missing", tmp_path / "other")
    assert not (tmp_path / "other").exists()
    whole = copy.read_bytes()
    damaged.write_bytes(whole[:8192] + b"x" * (len(whole) - 8192))
    with pytest.raises(DataLoss, match="damaged"):
        restore(damaged, path)
    check(f"sqlite:///{path}")


def test_what_is_no_metadata_database_is_neither_saved_nor_restored(tmp_path: Path) -> None:
    """A copy that was cut to nothing is a database without tables for SQLite: it would be what is left."""
    path, empty, other = tmp_path / "metadata.db", tmp_path / "empty.db", tmp_path / "other.db"
    fill(f"sqlite:///{path}")
    empty.touch()
    another = sqlite3.connect(other)
    another.execute("CREATE TABLE something (n INTEGER)")
    another.close()
    for file in (empty, other):
        with pytest.raises(DataLoss, match="no metadata database"):
            restore(file, path)
        with pytest.raises(DataLoss, match="no metadata database"):
            save(file, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    check(f"sqlite:///{path}")


def test_a_copy_is_one_file_that_may_lie_where_nothing_can_be_written(tmp_path: Path) -> None:
    """Opened so, it needs no file beside it."""
    path, copy = tmp_path / "metadata.db", tmp_path / "copy.db"
    fill(f"sqlite:///{path}")
    save(path, copy)
    opened = sqlite3.connect(f"file:{copy}?mode=ro", uri=True)
    assert opened.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert opened.execute("SELECT count(*) FROM operation_log").fetchone() == (100,)
    assert [found.name for found in tmp_path.iterdir() if "copy" in found.name] == ["copy.db"]
    opened.close()


@pytest.mark.parametrize("whole_bytes", [0, 100, 5_000])
def test_a_damaged_database_is_replaced(tmp_path: Path, whole_bytes: int) -> None:
    path, copy = tmp_path / "metadata.db", tmp_path / "copy.db"
    fill(f"sqlite:///{path}")
    save(path, copy)
    held = path.read_bytes()
    path.write_bytes(held[:whole_bytes] + b"x" * (len(held) - whole_bytes))
    path.with_name("metadata.db-wal").write_bytes(b"of the old one")
    restore(copy, path)
    check(f"sqlite:///{path}")
    assert not path.with_name("metadata.db.unfinished").exists()


def test_a_database_that_is_open_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether somebody writes to it just then, which is waited for, but not for ever, or only might."""
    path, copy = tmp_path / "metadata.db", tmp_path / "copy.db"
    fill(f"sqlite:///{path}")
    save(path, copy)
    asyncio.run(_add(f"sqlite:///{path}", [operation(999)]))
    monkeypatch.setattr("hanax.metadata.backup._PATIENCE_S", 0.05)
    for statement in ("SELECT count(*) FROM operation_log", "BEGIN IMMEDIATE"):
        user = sqlite3.connect(path, isolation_level=None)
        user.execute("PRAGMA journal_mode = WAL")
        user.execute(statement).fetchall()
        with pytest.raises(DatabaseUnavailable, match="cannot be copied"):
            restore(copy, path)
        assert user.execute("SELECT count(*) FROM operation_log").fetchone() == (101,)
        user.close()
    with pytest.raises(InvalidArgument, match="one file"):
        restore(path, path)
    restore(copy, path)
    check(f"sqlite:///{path}")


def test_the_command_says_what_went_wrong(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "hanax.metadata.backup",
        "save",
        str(tmp_path / "missing"),
        str(tmp_path / "copy"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "there is no file" in ended.stderr


def test_the_command_saves_and_restores(tmp_path: Path) -> None:
    path, copy = tmp_path / "metadata.db", tmp_path / "copy.db"
    fill(f"sqlite:///{path}")
    base = [sys.executable, "-m", "hanax.metadata.backup"]
    subprocess.run([*base, "save", path, copy], check=True)
    subprocess.run([*base, "restore", copy, tmp_path / "new.db"], check=True)
    check(f"sqlite:///{tmp_path / 'new.db'}")
