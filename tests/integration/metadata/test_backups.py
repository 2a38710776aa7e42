"""Backup and restore, as docs/metadata.md has them."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hanax.core.errors import AlreadyExists, DataLoss, NotFound
from hanax.metadata.backup import restore, save
from hanax.metadata.database import Database, DatabaseOptions
from hanax.metadata.operations.operation import Operation, Wanted
from hanax.metadata.operations.store import OperationStore
from hanax.metadata.upgrading import upgrade
from tests.databases import TIMEOUT_S, PostgresqlServer

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


async def _add(url: str, operations: list[Operation]) -> None:
    database = Database(DatabaseOptions(url, timeout_s=TIMEOUT_S))
    await OperationStore(database).add(operations, "a")
    await database.close()


def check(url: str) -> None:
    """What was there is there; the schema is known; new lines come behind the old ones."""
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
