"""`hana-x-db`: collections and points, through a gateway. Exit codes: hanax.cli.exits."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from urllib.parse import urlsplit

import typer

from hanax.cli.command_line import new_app
from hanax.cli.connection import Connection, Showing
from hanax.cli.db import collections
from hanax.cli.db.exporting import export_points
from hanax.cli.db.importing import import_points
from hanax.cli.db.queries import query
from hanax.cli.failures import exit_code
from hanax.cli.grouping import grouped
from hanax.cli.printing import Format, dump, output, show, show_one
from hanax.cli.profiles import read_config
from hanax.cli.reading_settings import read_settings
from hanax.cli.whereabouts import database_options
from hanax.core.errors import DatabaseUnavailable
from hanax.core.settings import CommandSettings
from hxp_vector_client import VectorError

if TYPE_CHECKING:
    from hanax.metadata.engines import DatabaseOptions

_LISTED = ("name", "state", "points", "dimension", "metric", "shards")

app = new_app("Collections of vectors: made, filled, searched, carried in and out.")
app.add_typer(collections.app, name="collections")
app.command("import")(import_points)
app.command("export")(export_points)
app.command("query")(query)


@app.command()
@grouped
def init(
    showing: Showing,
    database: Annotated[
        str,
        typer.Option(
            "--database", help="The metadata database [HANAX_DATABASE_URL, else the local stack's]."
        ),
    ] = "",
) -> None:
    """Bring the metadata database to the schema of this version. Nothing is changed where it has it."""
    connection = showing.connection()
    options = database_options(database)
    before, after = asyncio.run(_upgrade(options))
    told = {
        "database": _without_password(options.url),
        "revision_before": before,
        "revision": after,
        "changed": before != after,
    }
    if connection.form is not Format.TABLE:
        dump(told, connection.form)
    elif before == after:
        typer.echo(f"{told['database']} has the schema of this version ({after}).")
    else:
        typer.echo(f"{told['database']}: schema {before or 'none'} -> {after}.")


@app.command()
@grouped
def status(showing: Showing) -> None:
    """Show whether the gateway serves, and what it holds. Exit code 1: it answers, but is not ready."""
    connection = showing.connection()
    told = asyncio.run(_look(connection))
    listed = told["collections"]
    if connection.form is not Format.TABLE:
        dump(told, connection.form)
    else:
        show_one({**told, "collections": len(listed)}, Format.TABLE)
        if listed:
            output().print()
            show(listed, _LISTED, Format.TABLE)
    if not told["ready"]:
        raise typer.Exit(1)


@app.command()
@grouped
def profiles(showing: Showing) -> None:
    """List the profiles of the configuration file. Keys are not shown."""
    connection = showing.connection()
    settings = read_settings(CommandSettings)
    config = read_config(showing.config or settings.config)
    rows = [
        {
            "name": name,
            "url": profile.url or None,
            "key": bool(profile.api_key or profile.api_key_file),
            "chosen": name == connection.profile,
        }
        for name, profile in config.profiles.items()
    ]
    show(rows, ("name", "url", "key", "chosen"), connection.form)


def main() -> NoReturn:
    """Entry point of the console script."""
    sys.exit(exit_code(app))


async def _upgrade(options: DatabaseOptions) -> tuple[str | None, str | None]:
    # Of the metadata database alone: an import of a second.
    from hanax.metadata.database import Database
    from hanax.metadata.upgrading import upgrade

    database = Database(options)
    try:
        before = await database.health()
        if not before.reachable:
            raise DatabaseUnavailable(f"{_without_password(options.url)} does not answer: {before.error}")
        await upgrade(database)
        return before.revision, (await database.health()).revision
    finally:
        await database.close()


async def _look(connection: Connection) -> dict[str, Any]:
    async with connection.client() as client:
        version = await client.version()
        # What is not ready is told, and not waited for.
        now = client.options(retries=0)
        try:
            await now.ready()
            reason = None
        except VectorError as error:
            reason = error.message
        try:
            database = (await now.database_health()).status
        except VectorError as error:
            database = error.message
        listed = []
        for one in await client.collections.list():
            described = await client.collections.get(one.name)
            listed.append({name: getattr(described, name) for name in _LISTED})
    return {
        "url": connection.url,
        "told_by": connection.origin,
        "version": version,
        "ready": reason is None,
        "reason": reason,
        "database": database,
        "points": sum(one["points"] or 0 for one in listed),
        "collections": listed,
    }


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")).geturl()
