"""Rows of a metadata database that has been used for a while. md5 of a letter and a number makes an id."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.metadata.libraries.rows import CLOCK_PARTS

NOW_US: Final = 1_800_000_000_000_000
_CREATED: Final = {"created_at_us": f"{NOW_US} - n", "updated_at_us": f"{NOW_US} - n"}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many there are; chunks of each document, tasks and failed items of each job."""

    logged: int = 1_000_000
    libraries: int = 100
    documents: int = 100_000
    chunks: int = 10
    jobs: int = 10_000
    tasks: int = 10


def id_of(name: str) -> str:
    """As the database makes them: of "d7", the seventh document; of "c7-3", its fourth chunk."""
    return hashlib.md5(name.encode()).hexdigest()


async def fill(connection: AsyncConnection, sizes: Sizes) -> None:
    """An empty database of the newest schema, on PostgreSQL; `settle` comes behind it."""
    for table, values, series in _rows(sizes):
        rows = f"SELECT {', '.join(values.values())} FROM {series}"
        await connection.execute(text(f"INSERT INTO {table} ({', '.join(values)}) {rows}"))
    await connection.execute(text("ANALYZE"))


async def settle(url: str) -> None:
    """What the server would have done long ago with rows of that age, in place of beginning it now."""
    connection = await asyncpg.connect(url)
    try:
        for command in ("VACUUM", "CHECKPOINT"):
            await connection.execute(command)
    finally:
        await connection.close()


def _rows(sizes: Sizes) -> Iterator[tuple[str, Mapping[str, str], str]]:
    """Tables, the expression of each column, and what the rows are numbered by."""
    library = f"md5('l' || (1 + n % {sizes.libraries}))"
    yield (
        "operation_log",
        {
            "at_us": f"{NOW_US} - n * 1000",
            "duration_us": "1500",
            "operation": "(ARRAY['search', 'insert', 'get', 'delete'])[1 + n % 4]",
            "collection": "'collection-' || n % 50",
            "actor": "'anonymous'",
            "outcome": "CASE WHEN n % 100 = 0 THEN 'not_found' ELSE 'ok' END",
            "items": "n % 100",
            "request_id": "md5('r' || n)",
            "instance": "'gateway-0'",
        },
        f"generate_series(1, {sizes.logged}) AS n",
    )
    yield (
        "libraries",
        {
            "id": "md5('l' || n)",
            "name": "'library ' || n",
            "metadata": "'{}'",
            "model": "'model'",
            "dimension": "384",
            "metric": "'cosine'",
            "state": "'ready'",
            "collection_uid": "md5('u' || n)",
            "revision": "1",
            **_CREATED,
        },
        f"generate_series(1, {sizes.libraries}) AS n",
    )
    yield (
        "library_clocks",
        {"library_id": "md5('l' || n)", "part": "m", "commits": "1000", "moves": "0"},
        f"generate_series(1, {sizes.libraries}) AS n, generate_series(0, {CLOCK_PARTS - 1}) AS m",
    )
    yield (
        "documents",
        {
            "id": "md5('d' || n)",
            "library_id": library,
            "title": "'document ' || n",
            "metadata": "'{\"page\": 1}'",
            "chunks": str(sizes.chunks),
            "revision": "1",
            **_CREATED,
        },
        f"generate_series(1, {sizes.documents}) AS n",
    )
    yield (
        "chunks",
        {
            "id": "md5('c' || n || '-' || m)",
            "document_id": "md5('d' || n)",
            "library_id": library,
            "position": "m",
            "point_id": "md5('p' || n || '-' || m)",
            "change_id": "md5('g' || n)",
            "stamp": "1",
            "revision": "1",
            **_CREATED,
        },
        f"generate_series(1, {sizes.documents}) AS n, generate_series(0, {sizes.chunks - 1}) AS m",
    )
    yield (
        "jobs",
        {
            "id": "md5('j' || n)",
            "kind": "'bulk_embed'",
            "state": "CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'succeeded' END",
            "spec": "'{\"batch_size\": 100}'::jsonb",
            "priority": "n % 10",
            "collection": "'collection'",
            "total": "10000",
            "done": "9990",
            "failed": "10",
            "tasks_open": "0",
            "counts": "'{}'::jsonb",
            "facts": "'{}'::jsonb",
            "rate": "0",
            **_CREATED,
            "began_at_us": f"{NOW_US} - n",
            "ended_at_us": f"{NOW_US} - n",
        },
        f"generate_series(1, {sizes.jobs}) AS n",
    )
    series = f"generate_series(1, {sizes.jobs}) AS n, generate_series(0, {sizes.tasks - 1}) AS m"
    yield (
        "job_tasks",
        {
            "id": "md5('t' || n || '-' || m)",
            "job_id": "md5('j' || n)",
            "number": "m",
            "kind": "'run'",
            "first": "m * 1000",
            "count": "1000",
            "position": "'{}'::jsonb",
            "watermark": "1000",
            "ended": "true",
            "fence": "1",
            "free_at_us": "0",
            "losses": "0",
            "announced_at_us": "0",
        },
        series,
    )
    yield (
        "job_failed_items",
        {
            "job_id": "md5('j' || n)",
            "number": "m",
            "line": "m",
            "point_id": "m::text",
            "code": "'invalid_text'",
            "message": "'text: expected a text'",
            "item": "'{\"text\": 1}'",
        },
        series,
    )
