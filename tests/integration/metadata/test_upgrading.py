"""The schema: what migrations make is what the code's tables say, and nothing comes of half a migration."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

import hanax.metadata
from hanax.core.errors import DatabaseNewer, DatabaseUnavailable
from hanax.metadata.database import SCHEMA_TABLE, Database, DatabaseOptions
from hanax.metadata.opening import Opening
from hanax.metadata.tables import TABLES
from hanax.metadata.upgrading import MIGRATIONS, upgrade
from tests.databases import TIMEOUT_S, PostgresqlServer

pytestmark = pytest.mark.timeout(300)

_AT_ONCE = 4
_UPGRADE = """
import asyncio, sys
from hanax.metadata.database import Database, DatabaseOptions
from hanax.metadata.upgrading import upgrade
async def main():
    database = Database(DatabaseOptions(sys.argv[1], timeout_s=60))
    print("ready", flush=True)
    sys.stdin.readline()
    await upgrade(database)
    await database.close()
asyncio.run(main())
"""
_FAILING = """
import sqlalchemy as sa
from alembic import op
revision = "9999_failing"
down_revision = "{head}"
branch_labels = None
depends_on = None
def upgrade():
    op.create_table("half_done", sa.Column("n", sa.Integer))
    op.execute("INSERT INTO half_done VALUES (1)")
    with op.batch_alter_table("operation_log") as table:
        table.add_column(sa.Column("half_done", sa.Integer))
    op.execute("{last}")
"""


def head() -> str:
    found = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert found is not None
    return found


@pytest.fixture
async def empty(empty_database_url: str) -> Any:
    database = Database(DatabaseOptions(empty_database_url, timeout_s=TIMEOUT_S))
    yield database
    await database.close()


async def table_names(database: Database) -> set[str]:
    async def work(connection: AsyncConnection) -> set[str]:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))

    return await database.read(work)


async def revision(database: Database) -> str | None:
    return (await database.health()).revision


async def test_migrations_make_the_tables_of_the_code(database: Database) -> None:
    """Alembic finds nothing to do, on a migrated database, for the tables of all rooms."""
    for found in pkgutil.walk_packages(hanax.metadata.__path__, "hanax.metadata."):
        if ".migrations" not in found.name and not found.name.endswith("__main__"):
            importlib.import_module(found.name)

    def compare(connection: Connection) -> list[Any]:
        options = {
            "version_table": SCHEMA_TABLE,
            "compare_type": True,
            "compare_server_default": True,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), TABLES))

    assert len(TABLES.tables) >= 2
    assert await database.read(lambda connection: connection.run_sync(compare)) == []


async def test_an_upgrade_is_done_once_and_then_nothing(empty: Database) -> None:
    assert await revision(empty) is None
    await upgrade(empty)
    assert await revision(empty) == head()
    assert {"operation_log", "api_keys", SCHEMA_TABLE} <= await table_names(empty)
    await upgrade(empty)
    assert await revision(empty) == head()


def _start_upgrades(url: str) -> list[subprocess.Popen[str]]:
    """Each says when it is ready, and waits for a line."""
    return [
        subprocess.Popen(
            [sys.executable, "-c", _UPGRADE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(_AT_ONCE)
    ]


async def test_several_that_start_at_once_upgrade_once(empty_database_url: str, empty: Database) -> None:
    """Processes, as gateways and batch-processors are: all succeed, whoever was first."""
    processes = _start_upgrades(empty_database_url)
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        outputs = await asyncio.gather(
            *(asyncio.to_thread(process.communicate, "go\n", 200) for process in processes)
        )
    finally:
        for process in processes:
            process.kill()
            process.wait()

    assert [process.returncode for process in processes] == [0] * _AT_ONCE
    assert sum(output.count("upgraded the metadata database") for output, _ in outputs) == 1
    assert await revision(empty) == head()


@pytest.mark.parametrize("last", ["SELECT nothing FROM nowhere", "DROP TABLE missing"])
async def test_a_migration_that_fails_leaves_the_schema_as_it_was(
    database: Database, tmp_path: Path, last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    migrations = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, migrations)
    (migrations / "versions" / "9999_failing.py").write_text(_FAILING.format(head=head(), last=last))
    before = await table_names(database)

    with pytest.raises(Exception, match="refused a statement"):
        await upgrade(database, migrations)

    assert "9999_failing" in capsys.readouterr().out
    assert await table_names(database) == before
    assert await revision(database) == head()
    columns = await database.read(
        lambda connection: connection.run_sync(lambda sync: inspect(sync).get_columns("operation_log"))
    )
    assert "half_done" not in {column["name"] for column in columns}
    await upgrade(database)


async def test_a_newer_database_is_refused_by_name(database: Database) -> None:
    async def from_the_future(connection: AsyncConnection) -> None:
        await connection.execute(text(f"UPDATE {SCHEMA_TABLE} SET version_num = '9999_future'"))

    await database.run(from_the_future)
    with pytest.raises(DatabaseNewer, match="9999_future") as told:
        await upgrade(database)
    assert told.value.details == {"found": "9999_future", "newest": head()}
    assert await revision(database) == "9999_future"

    opening = Opening(database)
    assert not await opening.start(0.5)
    with pytest.raises(DatabaseNewer, match="9999_future"):
        await database.read(lambda connection: connection.execute(text("SELECT 1")))
    await opening.close()


async def test_a_first_upgrade_that_takes_long_is_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first requests find it open, however busy the machine is."""
    done = asyncio.Event()

    async def slow(database: Database) -> None:
        await done.wait()

    monkeypatch.setattr("hanax.metadata.opening.upgrade", slow)
    opening = Opening(database)
    starting = asyncio.create_task(opening.start(0.05))
    await asyncio.wait([starting], timeout=0.2)
    assert not starting.done()
    done.set()
    assert await starting
    await opening.close()


async def test_a_database_that_comes_late_is_upgraded_then(tmp_path: Path) -> None:
    """Refused, with when to come again, until it is there and upgraded; then used, and nobody is told."""
    server = await asyncio.to_thread(PostgresqlServer.start)
    database = Database(DatabaseOptions(server.create(), timeout_s=TIMEOUT_S))
    server.kill()
    opening = Opening(database)
    try:
        assert not await opening.start(0.1)
        with pytest.raises(DatabaseUnavailable) as told:
            await database.run(lambda connection: connection.execute(text("SELECT 1")))
        assert told.value.details["retry_after_s"] > 0
        server.launch()
        async with asyncio.timeout(TIMEOUT_S):
            await opening.opened.wait()
        assert await revision(database) == head()
        await database.run(lambda connection: connection.execute(text("SELECT 1")))
    finally:
        await opening.close()
        await database.close()
        server.stop()


def test_migrations_are_named_by_their_revisions_in_order() -> None:
    """So that the newest is known without Alembic."""
    names = sorted(path.stem for path in (MIGRATIONS / "versions").glob("*.py"))
    revisions = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
    assert names == revisions[::-1]
