"""`hana-x-db collections`: what there is, made, described and deleted."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Annotated, Any, Final

import orjson
import typer
from rich.table import Table

from hanax.cli.command_line import new_app
from hanax.cli.connection import Asking, Showing
from hanax.cli.grouping import grouped
from hanax.cli.names import collection_names, model_names
from hanax.cli.printing import Format, cell, dump, plain_table, print_table, show, show_one
from hanax.core.errors import InvalidArgument
from hxp_vector_client import AsyncVectorClient
from hxp_vector_client.errors import CollectionExists, CollectionNotFound
from hxp_vector_client.models import CollectionStats, Shard

app = new_app("Collections: list, create, describe, delete.")

Name = Annotated[str, typer.Argument(help="The collection.", autocompletion=collection_names)]

_LISTED: Final = (
    "name",
    "dimension",
    "metric",
    "shards",
    "state",
    "embedding_model",
    "aliases",
    "created_at",
)


@app.command("list")
@grouped
def list_collections(showing: Showing) -> None:
    """List all collections, by name."""
    connection = showing.connection()

    async def ask() -> list[dict[str, Any]]:
        async with connection.client() as client:
            return [one.model_dump() for one in await client.collections.list()]

    show(asyncio.run(ask()), _LISTED, connection.form)


@dataclass(frozen=True)
class New:
    """What a new collection is."""

    dimension: Annotated[
        int | None, typer.Option("--dimension", min=1, help="Numbers in each vector (else the model's).")
    ] = None
    metric: Annotated[str, typer.Option("--metric", help="cosine, dot, euclidean or manhattan.")] = "cosine"
    shards: Annotated[int, typer.Option("--shards", min=1, help="Parts it is divided into.")] = 1
    model: Annotated[
        str | None,
        typer.Option("--model", help="Model that embeds its texts.", autocompletion=model_names),
    ] = None
    index: Annotated[
        str, typer.Option("--index", help="auto, flat, hnsw, ivf, lsh or kd_tree; or a JSON object.")
    ] = "auto"
    quantisation: Annotated[
        str | None, typer.Option("--quantisation", help="int8, product or binary; or a JSON object.")
    ] = None
    target_recall: Annotated[
        float | None, typer.Option("--target-recall", min=0.0, max=1.0, help="What answers are to hold.")
    ] = None
    ttl: Annotated[int | None, typer.Option("--ttl", min=1, help="Seconds that points are kept.")] = None

    def spec(self) -> dict[str, Any]:
        """As POST /api/v1/collections takes it, but for name and dimension."""
        told = {
            "metric": self.metric,
            "shards": self.shards,
            "embedding_model": self.model,
            "index": _typed(self.index, "--index"),
            "quantisation": None
            if self.quantisation is None
            else _typed(self.quantisation, "--quantisation"),
            "target_recall": self.target_recall,
            "ttl_seconds": self.ttl,
        }
        return {name: value for name, value in told.items() if value is not None}


@app.command("create")
@grouped
def create_collection(
    name: Annotated[str, typer.Argument(help="The collection.")],
    new: New,
    showing: Showing,
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="No error where there is one of this name.")
    ] = False,
) -> None:
    """Create a collection, ready for points on return."""
    spec = new.spec()
    connection = showing.connection()

    async def make() -> CollectionStats:
        async with connection.client() as client:
            dimension = new.dimension or await _dimension_of(client, new.model)
            try:
                return await client.collections.create(name, dimension, **spec)
            except CollectionExists:
                if not if_missing:
                    raise
                return await client.collections.get(name)

    show_one(_short(asyncio.run(make())), connection.form)


@app.command("describe")
@grouped
def describe_collection(name: Name, showing: Showing) -> None:
    """Show what a collection holds, how it is indexed, and what its shards say."""
    connection = showing.connection()

    async def ask() -> CollectionStats:
        async with connection.client() as client:
            return await client.collections.get(name)

    there = asyncio.run(ask())
    if connection.form is not Format.TABLE:
        dump(there.model_dump(exclude_unset=True), connection.form)
        return
    show_one(_short(there), Format.TABLE)
    print_table(_shard_table(there.shard_states), apart=True)


@app.command("delete")
@grouped
def delete_collection(
    name: Name,
    asking: Asking,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    with_aliases: Annotated[
        bool, typer.Option("--with-aliases", help="Delete the aliases that point to it too.")
    ] = False,
    if_exists: Annotated[bool, typer.Option("--if-exists", help="No error where there is none.")] = False,
) -> None:
    """Delete a collection and all its points, for good."""
    connection = asking.connection()

    async def delete() -> bool:
        async with connection.client() as client:
            if not yes:
                await _confirm(client, name, connection.url)
            await client.collections.delete(name, with_aliases=with_aliases)
        return True

    try:
        asyncio.run(delete())
    except CollectionNotFound:
        if not if_exists:
            raise
        typer.echo(f"There is no collection {name}.")
    else:
        typer.echo(f"Deleted {name}.")


async def _confirm(client: AsyncVectorClient, name: str, url: str) -> None:
    """Raises InvalidArgument where nobody can be asked, and typer.Abort."""
    there = await client.collections.get(name)
    if not sys.stdin.isatty():
        raise InvalidArgument("deleting a collection can't be undone: say --yes")
    points = "?" if there.points is None else f"{there.points:,}"
    typer.confirm(f"Delete {name} with {points} points from {url}?", abort=True, err=True)


async def _dimension_of(client: AsyncVectorClient, model: str | None) -> int:
    if model is None:
        raise InvalidArgument("say --dimension, or --model whose dimension it takes")
    for one in await client.models.status():
        if one.model == model:
            return one.dimension
    raise InvalidArgument(f"the gateway does not know the model {model!r}: say --dimension, or another model")


def _typed(given: str, option: str) -> dict[str, Any]:
    """A name is short for an object with that type. Raises InvalidArgument."""
    if not given.lstrip().startswith("{"):
        return {"type": given}
    try:
        return dict(orjson.loads(given))
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"{option}: expected a name or a JSON object: {error}") from None


def _short(there: CollectionStats) -> dict[str, Any]:
    """A description without what each shard says."""
    return there.model_dump(exclude_unset=True, exclude={"shard_states"})


def _shard_table(shards: list[Shard]) -> Table:
    table = plain_table("shard", "node", "state", "points", "segments", "disk", "reason")
    for one in shards:
        table.add_row(
            str(one.shard),
            one.node,
            one.state,
            cell(one.points),
            cell(one.segments),
            "-" if one.disk_bytes is None else f"{one.disk_bytes / 2**20:,.1f} MiB",
            one.reason or "-",
        )
    return table
