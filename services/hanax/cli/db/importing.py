"""`hana-x-db import`: points of a file, or of another database, into a collection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer

from hanax.cli.connection import Connection, Showing
from hanax.cli.db.points import PointSource, Shape
from hanax.cli.db.sources.files import Fields, FileSource, format_of
from hanax.cli.db.sources.foreign import Foreign, foreign_source
from hanax.cli.db.storing import CopyStopped, Stored, Target, store
from hanax.cli.failures import complain
from hanax.cli.grouping import grouped
from hanax.cli.names import collection_names
from hanax.cli.printing import Format, dump, show_one
from hanax.cli.progress import progress
from hanax.core.errors import DimensionMismatch, FailedPrecondition, InvalidArgument
from hanax.core.job_specs import UploadFormat
from hxp_vector_client import AsyncVectorClient
from hxp_vector_client.errors import CollectionNotFound
from hxp_vector_client.writing import Mode

_SHOWN_ERRORS: Final = 20
# A write is given as long as a shard takes to be restarted.
_PATIENCE_S: Final = 60.0


class Kind(StrEnum):
    """Where points come from."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    NPY = "npy"
    FVECS = "fvecs"
    QDRANT = "qdrant"
    CHROMA = "chroma"
    PGVECTOR = "pgvector"


_DATABASES: Final = (Kind.QDRANT, Kind.CHROMA, Kind.PGVECTOR)


@dataclass(frozen=True)
class Writing:
    """How points are stored."""

    collection: Annotated[
        str,
        typer.Option("--collection", "-c", help="Where they go.", autocompletion=collection_names),
    ]
    create: Annotated[bool, typer.Option("--create", help="Make the collection where there is none.")] = False
    metric: Annotated[
        str | None, typer.Option("--metric", help="Of the new collection (else the source's, else cosine).")
    ] = None
    shards: Annotated[int, typer.Option("--shards", min=1, help="Of the new collection.")] = 1
    model: Annotated[
        str | None, typer.Option("--model", help="Of the new collection: what embeds its texts.")
    ] = None
    mode: Annotated[str, typer.Option("--mode", help="upsert, insert or update.")] = "upsert"
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, max=2_000, help="Points of one request.")
    ] = 500
    skip: Annotated[int, typer.Option("--skip", min=0, help="Rows to pass over, from the begin.")] = 0
    max_errors: Annotated[
        int, typer.Option("--max-errors", min=0, help="Wrong rows that may be left out; with more it stops.")
    ] = 0

    def target(self) -> Target:
        return Target(self.collection, cast(Mode, self.mode), self.batch_size, self.max_errors)


@dataclass(frozen=True, slots=True)
class Imported:
    """What is told in the end. rows: behind those that were skipped over; source_count, target_count: of the
    source, and of the collection, afterwards; None: not known."""

    source: str
    collection: str
    created: bool
    rows: int
    inserted: int
    updated: int
    skipped: int
    failed: int
    errors: list[str]
    source_count: int | None
    target_count: int | None
    seconds: float


@grouped
def import_points(
    source: Annotated[str, typer.Argument(help="A file, or the URL of another database.")],
    *,
    kind: Annotated[
        Kind | None, typer.Option("--from", help="What the source is (else by the file's ending).")
    ] = None,
    writing: Writing,
    fields: Fields,
    foreign: Foreign,
    showing: Showing,
) -> None:
    """Store the points of a file, or copy a collection of another database with ids and metadata.

    Points that are there already are replaced, so an import may be repeated. It stops at the first row that
    is wrong, and says where; --skip goes on from there. Exit code 1: it stopped, rows were left out, or the
    counts differ in the end.
    """
    connection = showing.connection()
    told = asyncio.run(_import(connection, source, _opened(source, kind, fields, foreign), writing))
    if connection.form is Format.TABLE:
        shown = {name: value for name, value in asdict(told).items() if name != "errors"}
        show_one({**shown, "seconds": f"{told.seconds:.1f}"}, Format.TABLE)
    else:
        dump(asdict(told), connection.form)
    _complain_of(told.errors)
    if told.failed:
        raise typer.Exit(1)


def _opened(source: str, kind: Kind | None, fields: Fields, foreign: Foreign) -> PointSource:
    if kind in _DATABASES:
        return foreign_source(kind.value, source, foreign)
    path = Path(source)
    if kind is None and "://" in source:
        raise InvalidArgument(f"{source}: say what it is: --from qdrant, chroma or pgvector")
    return FileSource(path, format_of(path) if kind is None else UploadFormat(kind.value), fields)


async def _import(connection: Connection, name: str, source: PointSource, writing: Writing) -> Imported:
    began = time.monotonic()
    try:
        async with connection.client(_PATIENCE_S) as client:
            shape = await source.shape()
            created = await _prepare(client, source, shape, writing)
            before = await client.count(writing.collection)
            stored = await _stored(client, source, shape, writing)
            after = await client.count(writing.collection)
            source_count = (await source.shape()).count
    finally:
        await source.close()
    told = Imported(
        source=_without_password(name),
        collection=writing.collection,
        created=created,
        rows=stored.rows,
        inserted=stored.inserted,
        updated=stored.updated,
        skipped=stored.skipped,
        failed=len(stored.failed),
        errors=stored.failed,
        source_count=source_count,
        target_count=after,
        seconds=round(time.monotonic() - began, 3),
    )
    _compare(told, writing.skip, before)
    return told


async def _stored(client: AsyncVectorClient, source: PointSource, shape: Shape, writing: Writing) -> Stored:
    """Raises what stopped it, saying where to go on."""
    total = None if shape.count is None else max(0, shape.count - writing.skip)
    try:
        with progress(f"import to {writing.collection}", total) as advance:
            return await store(client, source, writing.target(), writing.skip, advance)
    except CopyStopped as stop:
        done = writing.skip + stop.stored.rows
        _complain_of(stop.stored.failed)
        behind = f"rows 1 to {done:,} are done: go on with --skip {done}" if done else "nothing is stored"
        raise type(stop.error)(f"{stop.error.message}; {behind}", **stop.error.details) from None


async def _prepare(client: AsyncVectorClient, source: PointSource, shape: Shape, writing: Writing) -> bool:
    """Whether the collection was made. Raises CollectionNotFound, DimensionMismatch."""
    try:
        there = await client.collections.get(writing.collection)
    except CollectionNotFound as error:
        if not writing.create:
            raise CollectionNotFound(f"{error.message}; say --create to make it") from None
    else:
        if shape.dimension is not None and shape.dimension != there.dimension:
            raise DimensionMismatch(
                f"the source has vectors of {shape.dimension} numbers, {writing.collection} takes "
                f"{there.dimension}"
            )
        return False
    await client.collections.create(
        writing.collection,
        shape.dimension or await _first_dimension(client, source, writing.model),
        metric=cast(Any, writing.metric or shape.metric or "cosine"),
        shards=writing.shards,
        embedding_model=writing.model,
    )
    return True


async def _first_dimension(client: AsyncVectorClient, source: PointSource, model: str | None) -> int:
    """The model's, else that of the first vector. Raises InvalidArgument."""
    if model is not None:
        for one in await client.models.status():
            if one.model == model:
                return one.dimension
    async with aclosing(source.pages(0)) as pages:
        async for page in pages:
            for row in page:
                if row.vector is not None:
                    return len(row.vector)
            break
    raise InvalidArgument(
        "the source begins with no vector that would tell the dimension: say --model, or make the "
        "collection first"
    )


def _compare(told: Imported, skip: int, before: int) -> None:
    """Raises FailedPrecondition where something is missing, or came from elsewhere meanwhile."""
    if told.source_count is not None and told.source_count != skip + told.rows:
        raise FailedPrecondition(
            f"{told.source} has {told.source_count:,} points, {skip + told.rows:,} were read: it changed "
            "meanwhile; import it again"
        )
    if told.target_count != before + told.inserted:
        raise FailedPrecondition(
            f"{told.collection} has {told.target_count or 0:,} points, expected {before + told.inserted:,}: "
            f"{before:,} that were there and {told.inserted:,} new ones; others write to it, or some expired"
        )


def _complain_of(rows: Sequence[str]) -> None:
    for error in rows[:_SHOWN_ERRORS]:
        complain(error)
    if len(rows) > _SHOWN_ERRORS:
        complain(f"and {len(rows) - _SHOWN_ERRORS:,} more rows")


def _without_password(url: str) -> str:
    """No secret of a URL is told."""
    scheme, separator, rest = url.partition("://")
    if not separator or "@" not in rest:
        return url
    return f"{scheme}://***@{rest.rpartition('@')[2]}"
