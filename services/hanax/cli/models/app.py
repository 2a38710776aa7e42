"""`hana-x-models`: embedding models. Exit codes: hanax.cli.exits; 1: a test failed."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import typer

from hanax.cli.command_line import new_app
from hanax.cli.connection import Showing
from hanax.cli.failures import exit_code
from hanax.cli.grouping import grouped
from hanax.cli.models.benchmark import Load, measure
from hanax.cli.models.embedding import find_model
from hanax.cli.models.trial import try_model
from hanax.cli.names import model_names
from hanax.cli.printing import Format, dump, plain_table, print_table, show, show_one
from hanax.cli.progress import progress
from hxp_vector_client.models import ModelStatus

app = new_app("Embedding models: which there are, whether they answer, and how fast.")

Model = Annotated[str, typer.Argument(help="The model.", autocompletion=model_names)]

_LISTED = ("model", "type", "pattern", "health", "dimension", "max_tokens", "endpoints", "version")


class Type(StrEnum):
    """local: our embedders run it; external: somebody else does; the others are patterns of use."""

    ALL = "all"
    LOCAL = "local"
    EXTERNAL = "external"
    REAL_TIME = "real_time"
    HYBRID = "hybrid"
    BULK_ONLY = "bulk_only"


@app.command("list")
@grouped
def list_(
    showing: Showing,
    kind: Annotated[
        Type,
        typer.Option("--type", "-t", help="local, external, real_time, hybrid, bulk_only or all."),
    ] = Type.ALL,
) -> None:
    """List the models that the gateway routes to."""
    connection = showing.connection()

    async def ask() -> list[ModelStatus]:
        async with connection.client() as client:
            return await client.models.status()

    rows = []
    for one in asyncio.run(ask()):
        row = {
            **one.model_dump(),
            "type": "external" if one.external else "local",
            "endpoints": len(one.endpoints),
        }
        if kind is Type.ALL or kind.value in (row["type"], row["pattern"]):
            rows.append(row)
    show(rows, _LISTED, connection.form)


@app.command("test")
@grouped
def test(model: Model, showing: Showing) -> None:
    """Embed a few texts, and check what comes back. Exit code 1: a check failed."""
    connection = showing.connection()

    async def run() -> dict[str, Any]:
        async with connection.client() as client:
            return await try_model(client, await find_model(client, model))

    told = asyncio.run(run())
    if connection.form is not Format.TABLE:
        dump(told, connection.form)
    else:
        table = plain_table("check", "result", "message")
        for one in told["checks"]:
            table.add_row(one["check"], one["result"], one["message"] or "-")
        print_table(table)
    if not told["ok"]:
        raise typer.Exit(1)


@app.command("benchmark")
@grouped
def benchmark(model: Model, load: Load, showing: Showing) -> None:
    """Measure latency and throughput as a client of the gateway sees them, never answered from a cache."""
    connection = showing.connection()

    async def run() -> dict[str, Any]:
        async with connection.client() as client:
            found = await find_model(client, model)
            with progress(f"benchmark of {model}", load.samples) as advance:
                return asdict(await measure(client, found.model, load, advance))

    told = asyncio.run(run())
    if connection.form is not Format.TABLE:
        dump(told, connection.form)
        return
    latency = told.pop("latency_ms")
    show_one({**told, **{f"latency {name} ms": value for name, value in latency.items()}}, Format.TABLE)


def main() -> NoReturn:
    """Entry point of the console script."""
    sys.exit(exit_code(app))
