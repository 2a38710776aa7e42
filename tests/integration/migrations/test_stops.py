"""What ends a run early and leaves it in order: faults in functions, Ctrl-C, lost locks, leaps of clocks."""

from __future__ import annotations

import asyncio
import fcntl
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from hanax.cli.migrate.lock import locked
from hanax.core.errors import DatabaseUnavailable, MigrationLocked
from hanax.metadata.applied_migrations import MIGRATION_LOCK, AppliedMigrations
from hanax.metadata.database import Database
from tests.integration.gateway.guard.conftest import Guarded, guarded, guarded_settings
from tests.integration.gateway.stack import running_stack
from tests.integration.migrations.command import Migrations
from tests.integration.waiting import until, wait_until

# Until nobody else holds the lock.
WAIT = """
import fcntl, pathlib
def wait(api):
    pathlib.Path({begun!r}).touch()
    with open({lock!r}, 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
def up(steps):
    steps.create_collection('films', dimension=3)
    steps.call('wait', do=wait, undo=lambda api: None)
def down(steps):
    steps.delete_collection('films')
"""


@contextmanager
def holding(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("raise SystemExit(0)", "it asked for the end of the process"),
        ("raise OSError('a\\0b \\udce9')", "OSError: a\\0b \\udce9"),
        ("return api.collections.delete(5)", "step 2, act: TypeError"),
    ],
)
def test_however_a_function_fails_it_is_named_and_undone(
    migrations: Migrations, function: str, message: str
) -> None:
    migrations.write(
        "0001_half",
        f"def act(api):\n    {function}\n"
        "def up(steps):\n    steps.create_collection('films', dimension=3)\n    steps.call('act', do=act)\n"
        "def down(steps): pass\n",
    )
    told = migrations.run("up", code=1)
    assert message in told
    assert "what was done before it is undone" in told
    assert migrations.collection("films") is None
    assert migrations.rows(code=3) == {"0001_half": "pending"}


def test_a_check_that_fails_to_look_is_named_and_the_migration_undone(migrations: Migrations) -> None:
    migrations.write(
        "0001_half",
        "def up(steps): steps.create_collection('films', dimension=3)\ndef down(steps): pass\n"
        "def validate(checks): checks.collection(5)\n",
    )
    assert "0001_half: `validate`: TypeError" in migrations.run("up", code=1)
    assert migrations.collection("films") is None
    assert migrations.rows(code=3) == {"0001_half": "pending"}


def test_a_wrong_down_may_be_mended_and_gone_on_with(migrations: Migrations) -> None:
    path = migrations.write(
        "0001_films",
        "def up(steps): steps.create_collection('films', dimension=3)\n"
        "def down(steps):\n    steps.remove_alias('none')\n"
        "    steps.change_collection('flims', target_recall=0.9)\n    steps.delete_collection('films')\n",
    )
    migrations.run("up")
    told = migrations.run("down", "--steps", "1", "--yes", code=1)
    assert "step 2, change target_recall of collection flims" in told
    assert "half taken back" in migrations.run("up", code=1)
    assert "half taken back" in migrations.run("up", "--dry-run")
    path.write_text(path.read_text().replace("flims", "films"))
    told = migrations.run("down", "--steps", "1", "--dry-run")
    assert "remove alias" not in told
    assert "delete collection films" in told
    migrations.run("down", "--steps", "1", "--yes")
    assert migrations.collection("films") is None
    assert migrations.rows(code=3) == {"0001_films": "pending"}


def test_a_down_of_which_nothing_was_done_holds_up_nobody(migrations: Migrations) -> None:
    migrations.write(
        "0001_films",
        "def up(steps): steps.create_collection('films', dimension=3)\n"
        "def down(steps): steps.change_collection('flims', target_recall=0.9)\n",
    )
    migrations.run("up")
    migrations.run("down", "--steps", "1", code=1)
    assert migrations.rows(code=3) == {"0001_films": "failed"}
    migrations.write("0002_more", "def up(steps): pass\ndef down(steps): pass\n")
    assert "1 applied." in migrations.run("up")
    assert migrations.rows() == {"0001_films": "applied", "0002_more": "applied"}


def test_a_dry_run_of_down_says_what_becomes_of_an_unfinished_one(
    migrations: Migrations, tmp_path: Path
) -> None:
    begun, lock = tmp_path / "begun", tmp_path / "lock"
    migrations.write("0001_slow", WAIT.format(begun=str(begun), lock=str(lock)))
    with holding(lock):
        process = migrations.start("up")
        wait_until("the second step began", begun.exists)
        process.kill()
        process.communicate()
    migrations.free_lock()
    told = migrations.run("down", "--steps", "1", "--dry-run")
    assert "would undo\n  wait\n  create collection films\n" in told
    assert "delete" not in told
    # Nothing that was there before is lost: nobody has to say --yes.
    migrations.run("down", "--steps", "1")
    assert migrations.collection("films") is None


def test_ctrl_c_waits_for_the_function_that_runs_and_holds_the_lock_until_then(
    migrations: Migrations, tmp_path: Path
) -> None:
    begun, lock = tmp_path / "begun", tmp_path / "lock"
    migrations.write("0001_slow", WAIT.format(begun=str(begun), lock=str(lock)))
    with holding(lock):
        process = migrations.start("up")
        wait_until("the second step began", begun.exists)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert "somebody else migrates" in migrations.run("up", code=1)
    _, told = process.communicate()
    assert process.returncode == 130
    assert "0001_slow: broken off" in told
    assert "Traceback" not in told
    # Its lock is free at once.
    assert "1 applied." in migrations.run("up")


def test_whoever_reads_the_progress_may_go(migrations: Migrations) -> None:
    migrations.write(
        "0001_films",
        "def up(steps):\n    steps.create_collection('films', dimension=3)\n"
        "    steps.point_alias('current', 'films')\ndef down(steps): pass\n",
    )
    process = migrations.start("up")
    assert process.stderr is not None
    process.stderr.close()
    process.stderr = None
    assert "1 applied." in process.communicate()[0]
    assert migrations.rows() == {"0001_films": "applied"}


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_clock_that_goes_back_keeps_nobody_out_for_long(database: Database) -> None:
    now = [time.time_ns() // 1_000]
    dead, other = (AppliedMigrations(database, lambda: now[0]) for _ in range(2))
    await dead.lock(30.0)
    now[0] -= 3_600_000_000
    with pytest.raises(MigrationLocked, match="somebody else migrates"):
        await other.lock(30.0)
    now[0] += 30_000_000
    await other.lock(30.0)
    with pytest.raises(MigrationLocked, match="somebody else has it"):
        await dead.renew(30.0)


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_clock_that_leaps_ahead_takes_the_lock_from_nobody_who_is_alone(database: Database) -> None:
    now = [time.time_ns() // 1_000]
    holder = AppliedMigrations(database, lambda: now[0])
    await holder.lock(30.0)
    now[0] += 3_600_000_000
    await holder.renew(30.0)


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_machines_whose_clocks_differ_take_no_lock_from_each_other(database: Database) -> None:
    await AppliedMigrations(database, lambda: 0).lock(60.0)
    ahead = AppliedMigrations(database, lambda: time.time_ns() // 1_000 + 3_600_000_000)
    with pytest.raises(MigrationLocked):
        await ahead.lock(60.0)


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_database_that_is_away_for_a_moment_ends_no_work(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied = AppliedMigrations(database, lambda: time.time_ns() // 1_000)
    renew, failures = applied.renew, 0

    async def fail_once(seconds: float) -> None:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise DatabaseUnavailable("away")
        await renew(seconds)

    monkeypatch.setattr(applied, "renew", fail_once)
    async with locked(applied, 30.0, renew_s=0.01):
        await until("it is renewed again", lambda: failures > 2)


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_work_ends_when_another_has_the_lock(database: Database) -> None:
    now = [time.time_ns() // 1_000]
    holder, other = (AppliedMigrations(database, lambda: now[0]) for _ in range(2))

    async def work() -> None:
        async with locked(holder, 30.0, renew_s=0.01):
            now[0] += 3_600_000_000
            await other.lock(30.0)
            await asyncio.Event().wait()

    with pytest.raises(MigrationLocked, match="the work ended where it was"):
        await work()
    # It is not taken from the other.
    owner = await database.ask(select(MIGRATION_LOCK.c.until_us))
    assert owner[0][0] > now[0]


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guarded]:
    folder = tmp_path / "guarded"
    folder.mkdir()
    with running_stack(folder, (), **guarded_settings(folder)) as stack, guarded(stack) as running:
        yield running


def test_who_has_no_key_is_told_so_and_nothing_is_noted(
    migrations: Migrations, guard: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANAX_API_URL", guard.stack.gateway.url)
    migrations.write(
        "0001_films",
        "def up(steps): steps.create_collection('films', dimension=3)\n"
        "def down(steps): steps.delete_collection('films')\n",
    )
    assert "--api-key-file" in migrations.run("up", code=6)
    assert migrations.rows(code=3) == {"0001_films": "pending"}
    key = tmp_path / "key"
    key.write_text(guard.admin_key)
    key.chmod(0o600)
    migrations.run("up", "--api-key-file", str(key))
    assert migrations.run("down", "--steps", "1", "--yes", code=6)
    assert migrations.rows() == {"0001_films": "applied"}
    with sqlite3.connect(migrations.variables["HANAX_DATABASE_URL"].removeprefix("sqlite:///")) as database:
        assert database.execute("SELECT until_us FROM migration_lock").fetchall() == [(0,)]
    database.close()
