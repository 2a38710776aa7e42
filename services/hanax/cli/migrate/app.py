"""`hana-x-migrate`: migrations of collections.

Exit codes: hanax.cli.exits; `status` ends with 3 where something is pending or at odds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from hanax.cli.command_line import new_app
from hanax.cli.connection import Asking
from hanax.cli.exits import Exit
from hanax.cli.failures import exit_code
from hanax.cli.grouping import grouped
from hanax.cli.migrate.files import (
    TEMPLATES,
    About,
    MigrationFile,
    TemplateName,
    create_migration,
    find_migrations,
)
from hanax.cli.migrate.history import check_history, history
from hanax.cli.migrate.plans import pending, read_checks, read_steps, resumed, taken_back
from hanax.cli.migrate.runner import Runner
from hanax.cli.migrate.steps import Step
from hanax.cli.printing import Format, FormatOption, show
from hanax.cli.whereabouts import database_options
from hanax.core.errors import AlreadyExists
from hanax.metadata.applied_migrations import Applied, AppliedMigrations, read_applied
from hanax.metadata.database import Database
from hanax.metadata.upgrading import upgrade
from hxp_vector_client import AsyncVectorClient

app = new_app("Changes of collections, as numbered files that are kept beside an application's code.")

Folder = Annotated[Path, typer.Option("--dir", help="Folder of the migrations.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
DatabaseUrl = Annotated[
    str,
    typer.Option("--database", help="Where it is noted [HANAX_DATABASE_URL, else the local stack's]."),
]
_HERE = Path("migrations")


@app.command()
def init(folder: Folder = _HERE, database: DatabaseUrl = "") -> None:
    """Make the folder of migrations, and the tables that note what was applied."""
    if folder.exists() and not folder.is_dir():
        raise AlreadyExists(f"{folder} is no folder")
    folder.mkdir(parents=True, exist_ok=True)

    async def prepare() -> None:
        async with _opened(database):
            pass

    asyncio.run(prepare())
    typer.echo(f"Migrations are kept in {folder}. Make one: hana-x-migrate create --name NAME")


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="What it does: letters, digits and spaces.")],
    template: Annotated[str, typer.Option("--template", help=f"{', '.join(TEMPLATES)}.")] = "basic",
    collection: Annotated[str, typer.Option("--collection", help="The collection it is about.")] = "articles",
    model: Annotated[
        str, typer.Option("--model", help="The embedding model it goes to.")
    ] = "all-MiniLM-L6-v2",
    folder: Folder = _HERE,
) -> None:
    """Write a new migration file, to be completed."""
    known: dict[str, TemplateName] = {one: one for one in TEMPLATES}
    if template not in known:
        raise typer.BadParameter(f"expected one of {', '.join(TEMPLATES)}", param_hint="--template")
    typer.echo(str(create_migration(folder, name, known[template], About(collection, model))))


@app.command()
def status(folder: Folder = _HERE, database: DatabaseUrl = "", form: FormatOption = Format.TABLE) -> None:
    """Show all migrations. Exit code 3: some are pending, unfinished, edited or missing."""

    async def look() -> list[dict[str, Any]]:
        rows = history(find_migrations(folder), await _noted(database))
        return [{**asdict(row), "applied_at": _instant(row.applied_at_us)} for row in rows]

    rows = asyncio.run(look())
    show(rows, ("name", "state", "applied_at", "error"), form)
    if any(row["state"] != "applied" for row in rows):
        raise typer.Exit(Exit.PENDING)


@app.command()
def validate(folder: Folder = _HERE, database: DatabaseUrl = "") -> None:
    """Check that every file is well-formed, and that none was changed after it was applied."""

    async def check() -> int:
        files = find_migrations(folder)
        for file in files:
            read_steps(file, "up")
            read_steps(file, "down")
            read_checks(file)
        check_history(files, await _noted(database))
        return len(files)

    count = asyncio.run(check())
    typer.echo("1 migration is well-formed." if count == 1 else f"{count} migrations are well-formed.")


@app.command()
@grouped
def up(
    asking: Asking,
    target: Annotated[
        str | None, typer.Option("--target", help="The last one to apply: name or number.")
    ] = None,
    folder: Folder = _HERE,
    database: DatabaseUrl = "",
    dry_run: DryRun = False,
) -> None:
    """Apply what is pending, in order."""

    async def run() -> list[str]:
        files = find_migrations(folder)
        if dry_run:
            _tell_up(files, await _noted(database), target)
            return []
        async with _opened(database) as applied, _gateway(asking) as gateway:
            return await Runner(gateway, applied, _progress, _now_us).up(files, target)

    done = asyncio.run(run())
    if not dry_run:
        upto = "" if target is None else f" up to {target}"
        typer.echo(f"{len(done)} applied." if done else f"Nothing is pending{upto}.")


@app.command()
@grouped
def down(
    asking: Asking,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Migrations to take back, the last first.")],
    folder: Folder = _HERE,
    database: DatabaseUrl = "",
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Also where points are lost for good.")] = False,
) -> None:
    """Take back what was applied last."""

    async def run() -> list[str]:
        files = find_migrations(folder)
        if dry_run:
            _tell_down(files, await _noted(database), steps)
            return []
        async with _opened(database) as applied, _gateway(asking) as gateway:
            return await Runner(gateway, applied, _progress, _now_us).down(files, steps, lose=yes)

    done = asyncio.run(run())
    if not dry_run:
        typer.echo(f"{len(done)} taken back." if done else "Nothing is applied.")


def main() -> NoReturn:
    """Entry point of the console script."""
    sys.exit(exit_code(app))


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[AppliedMigrations]:
    database = Database(database_options(url))
    try:
        await upgrade(database)
        yield AppliedMigrations(database, _now_us)
    finally:
        await database.close()


async def _noted(url: str) -> list[Applied]:
    """For commands that change nothing, not even the schema of a database."""
    return await read_applied(database_options(url))


@asynccontextmanager
async def _gateway(asking: Asking) -> AsyncIterator[AsyncVectorClient]:
    async with asking.connection().client() as client:
        yield client


def _progress(line: str) -> None:
    # Whoever reads it may be gone: that breaks off nothing.
    with suppress(OSError):
        typer.echo(line, err=True)


def _tell_up(files: list[MigrationFile], known: list[Applied], target: str | None) -> None:
    check_history(files, known)
    of_name = {file.name: file for file in files}
    for one in known:
        if one.state == "applied":
            continue
        if one.direction == "down":
            typer.echo(f"{one.name}: is half taken back; `down` goes on with that")
            return
        resumed(of_name[one.name], one, read_steps(of_name[one.name], "up"))
        typer.echo(f"{one.name}: was left unfinished; it would be undone first")
    for file in pending(files, known, target):
        read_checks(file)
        _tell_steps(f"{file.name}: would", read_steps(file, "up"))


def _tell_down(files: list[MigrationFile], known: list[Applied], count: int) -> None:
    check_history(files, known)
    for one in taken_back(files, known, count):
        steps = [one.steps[place] for place in one.left]
        if one.undoes:
            typer.echo(f"{one.file.name}: was left unfinished; would undo")
            for step in steps:
                typer.echo(f"  {step.title}")
        else:
            _tell_steps(f"{one.file.name}: would", steps)


def _tell_steps(head: str, steps: Iterable[Step]) -> None:
    typer.echo(head)
    for step in steps:
        typer.echo(f"  {step.title}" + ("" if step.reversible else "  (can't be undone)"))


def _instant(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).isoformat().replace("+00:00", "Z")


def _now_us() -> int:
    return time.time_ns() // 1_000
