"""`hana-x-db export`: the points of a collection into a file: JSON lines, Parquet or npy.

A file appears under its name when it is whole; one that is there is replaced only with --force.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hanax.cli.connection import Connection, Showing
from hanax.cli.db.collections import Name
from hanax.cli.db.queries import read_filter
from hanax.cli.db.writers import PointWriter, open_writer
from hanax.cli.grouping import grouped
from hanax.cli.printing import Format, dump, show_one
from hanax.cli.progress import progress
from hanax.core.errors import InvalidArgument
from hxp_vector_client import AsyncVectorClient
from hxp_vector_client.models import Point

_PAGE: Final = 500
# As long as a shard takes to be restarted.
_PATIENCE_S: Final = 60.0


class FileFormat(StrEnum):
    JSONL = "jsonl"
    PARQUET = "parquet"
    NPY = "npy"


@dataclass(frozen=True)
class Chosen:
    """Which points, and what of them."""

    filter: Annotated[
        str | None, typer.Option("--filter", help='A JSON filter: {"year": {"$gte": 2020}}.')
    ] = None
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Points at most.")] = None
    vectors: Annotated[
        bool, typer.Option("--vectors/--no-vectors", help="With the vectors, or ids and metadata alone.")
    ] = True


@dataclass(frozen=True, slots=True)
class Exported:
    """What is told in the end."""

    collection: str
    files: list[str]
    format: str
    points: int
    bytes: int
    seconds: float


@grouped
def export_points(
    name: Name,
    file: Annotated[str, typer.Argument(help="Where to: .jsonl, .parquet or .npy; -: standard output.")],
    chosen: Chosen,
    showing: Showing,
    to: Annotated[
        FileFormat | None, typer.Option("--to", help="Format of the file (else by the ending of its name).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Write the points of a collection to a file, that `import` reads.

    jsonl: a point in each line. parquet: columns id, vector, metadata (JSON) and expires_at. npy: the
    vectors, float32, and beside them NAME.points.jsonl with the ids and metadata of its rows.
    """
    connection = showing.connection()
    form = to or _format_of(file)
    if file == "-" and form is not FileFormat.JSONL:
        raise InvalidArgument(f"standard output takes JSON lines, no {form}")
    told = asyncio.run(_export(connection, name, chosen, _Destination(file, form, force)))
    if file == "-":
        return
    if connection.form is Format.TABLE:
        show_one({**asdict(told), "seconds": f"{told.seconds:.1f}"}, Format.TABLE)
    else:
        dump(asdict(told), connection.form)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """filter: None: all. limit: None: however many there are."""

    collection: str
    filter: Any
    vectors: bool
    limit: int | None


@dataclass(frozen=True, slots=True)
class _Destination:
    file: str
    form: FileFormat
    force: bool


async def _export(connection: Connection, name: str, chosen: Chosen, to: _Destination) -> Exported:
    began = time.monotonic()
    wanted = _Wanted(
        name,
        None if chosen.filter is None else read_filter(chosen.filter),
        chosen.vectors,
        chosen.limit,
    )
    async with connection.client(_PATIENCE_S) as client:
        dimension = (await client.collections.get(name)).dimension
        if to.form is FileFormat.NPY and not chosen.vectors:
            raise InvalidArgument("a .npy file is made of vectors: leave out --no-vectors")
        writer = open_writer(to.file, to.form.value, dimension, to.force)
        try:
            points = await _write(client, writer, wanted)
            sizes = await asyncio.to_thread(writer.finish)
        finally:
            writer.abandon()
    seconds = round(time.monotonic() - began, 3)
    return Exported(name, list(sizes), to.form.value, points, sum(sizes.values()), seconds)


async def _write(client: AsyncVectorClient, writer: PointWriter, wanted: _Wanted) -> int:
    total = wanted.limit
    if total is None:
        total = await client.count(wanted.collection, wanted.filter)
    written = 0
    with progress(f"export of {wanted.collection}", total) as advance:
        async with aclosing(_pages(client, wanted)) as pages:
            async for page in pages:
                await asyncio.to_thread(writer.write, page)
                written += len(page)
                advance(len(page))
    return written


async def _pages(client: AsyncVectorClient, wanted: _Wanted) -> AsyncGenerator[list[Point], None]:
    """In an order that writes do not disturb: a point that is there all the while is written once."""
    left = sys.maxsize if wanted.limit is None else wanted.limit
    pages = client.pages(
        wanted.collection,
        filter=wanted.filter,
        include_vectors=wanted.vectors,
        page_size=min(_PAGE, left),
    )
    async for page in pages:
        if page.points:
            yield page.points[:left]
        left -= len(page.points)
        if left <= 0:
            return


def _format_of(file: str) -> FileFormat:
    """Raises InvalidArgument."""
    if file == "-":
        return FileFormat.JSONL
    ending = Path(file).suffix.lower().removeprefix(".").replace("ndjson", "jsonl")
    try:
        return FileFormat(ending)
    except ValueError:
        raise InvalidArgument(
            f"{file}: expected a name that ends in .jsonl, .parquet or .npy; or say --to"
        ) from None
