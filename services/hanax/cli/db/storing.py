"""Rows of a source into a collection: in batches, several under way at once, in order.

A batch is one request, which the gateway stores whole or refuses with the place of a point that is wrong.
What is counted as done is what was answered, up to the first batch that was not: so a copy that stopped says
exactly where to go on. Rows of the batches behind may be stored already; sent again they are the same points.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from hanax.cli.db.points import PointSource, Row
from hanax.cli.failures import plain_error
from hanax.core.errors import FailedPrecondition, HanaxError
from hxp_vector_client import AsyncVectorClient, VectorError
from hxp_vector_client.models import Inserted
from hxp_vector_client.writing import Mode

_IN_FLIGHT: Final = 4
# As JSON that is about three times as much, well below what a body may have.
_BATCH_BYTES: Final = 4 * 1024 * 1024
_PLACE: Final = re.compile(r"^(?:vectors|points)\[\d+\](: |\.)")
_POINT: Final = re.compile(r"(?:vectors|points)\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Target:
    """mode: upsert, insert or update. max_errors: bad rows that are left out, beyond which it stops."""

    collection: str
    mode: Mode = "upsert"
    batch_size: int = 500
    max_errors: int = 0


@dataclass(slots=True)
class Stored:
    """What came of it. rows: that are dealt with, from the begin on; failed: why some of them are left out.

    stopped_by: what is wrong with the row behind them.
    """

    rows: int = 0
    inserted: int = 0
    updated: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    stopped_by: str | None = None

    def add(self, other: Stored) -> None:
        self.rows += other.rows
        self.inserted += other.inserted
        self.updated += other.updated
        self.skipped += other.skipped
        self.failed += other.failed


class CopyStopped(Exception):
    """Why, and what was stored until then."""

    def __init__(self, error: HanaxError, stored: Stored) -> None:
        super().__init__(error.message)
        self.error = error
        self.stored = stored


async def store(
    client: AsyncVectorClient, source: PointSource, target: Target, skip: int, told: Callable[[int], None]
) -> Stored:
    """All rows of the source behind the first `skip`. told: how many more rows are done.

    Raises CopyStopped, when more rows are wrong than may be, and for every other error.
    """
    stored = Stored()
    running: deque[_Running] = deque()

    async def finish_first() -> None:
        part = await running.popleft().task
        stored.add(part)
        told(part.rows)
        if part.stopped_by is not None:
            raise CopyStopped(FailedPrecondition(part.stopped_by), stored)
        if len(stored.failed) > target.max_errors:
            wrong = f"{len(stored.failed)} rows are wrong, {target.max_errors} may be left out"
            raise CopyStopped(FailedPrecondition(wrong), stored)

    async def finish() -> None:
        while running:
            await finish_first()

    try:
        async with aclosing(_batches(source, target.batch_size, skip)) as batches:
            async for batch in batches:
                ids = frozenset(map(_key, batch))
                # Of two rows with one id the later one stays, as if they came one by one.
                while len(running) == _IN_FLIGHT or any(ids & other.ids for other in running):
                    await finish_first()
                running.append(_Running(ids, asyncio.create_task(_store_batch(client, target, batch))))
        await finish()
    except _SourceFailed as failure:
        # What was read of it before is on its way.
        with suppress(VectorError):
            await finish()
        raise CopyStopped(failure.error, stored) from failure.error
    except VectorError as error:
        raise CopyStopped(plain_error(error), stored) from error
    except asyncio.CancelledError:
        for one in running:
            one.task.cancel()
        raise
    finally:
        # Behind one that failed: what they do is not counted, and over before the next copy begins.
        await asyncio.gather(*(one.task for one in running), return_exceptions=True)
    return stored


class _SourceFailed(Exception):
    def __init__(self, error: HanaxError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class _Running:
    ids: frozenset[str]
    task: asyncio.Task[Stored]


async def _batches(source: PointSource, most: int, skip: int) -> AsyncGenerator[list[Row], None]:
    """Up to `most` rows and _BATCH_BYTES, no two with one id; a row that is larger goes alone."""
    batch: list[Row] = []
    ids: set[str] = set()
    held = 0
    async with aclosing(_rows(source, skip)) as rows:
        async for row in rows:
            size, key = row.size(), _key(row)
            if batch and (len(batch) == most or held + size > _BATCH_BYTES or key in ids):
                yield batch
                batch, ids, held = [], set(), 0
            batch.append(row)
            ids.add(key)
            held += size
    if batch:
        yield batch


async def _rows(source: PointSource, skip: int) -> AsyncGenerator[Row, None]:
    try:
        async with aclosing(source.pages(skip)) as pages:
            async for page in pages:
                for row in page:
                    yield row
    except HanaxError as error:
        raise _SourceFailed(error) from error


async def _store_batch(client: AsyncVectorClient, target: Target, batch: Sequence[Row]) -> Stored:
    """Wrong rows are left out. With more of them than may be, it is stored up to the first one too many."""
    wrong = {place: row.fault.message for place, row in enumerate(batch) if row.fault is not None}
    while True:
        end = _end(wrong, target.max_errors, len(batch))
        places = [place for place in range(end) if place not in wrong]
        try:
            answer = await _insert(client, target, [batch[place] for place in places])
            break
        except VectorError as error:
            index: Any = error.details.get("index")
            if not isinstance(index, int) or not 0 <= index < len(places):
                raise
            rows = [batch[place] for place in places]
            wrong[places[index]] = _POINT.sub(
                lambda found, rows=rows: rows[int(found[1])].place,  # type: ignore[misc]
                _PLACE.sub("", error.message),
            )
    told = {place: f"{batch[place].place}: {wrong[place]}" for place in sorted(wrong) if place <= end}
    return Stored(
        rows=end,
        inserted=answer.inserted,
        updated=answer.updated,
        skipped=len(answer.skipped),
        failed=[message for place, message in told.items() if place < end],
        stopped_by=told.get(end),
    )


async def _insert(client: AsyncVectorClient, target: Target, rows: Sequence[Row]) -> Inserted:
    if not rows:
        return Inserted()
    points = [row.body() for row in rows]
    return await client.write_points(target.collection, points, mode=target.mode, urgent=True)


def _end(wrong: Collection[int], max_errors: int, count: int) -> int:
    """The place of the first wrong row that is one too many; count: there is none."""
    places = sorted(wrong)
    return places[max_errors] if len(places) > max_errors else count


def _key(row: Row) -> str:
    return repr(row.point["id"]) if row.fault is None else f"row {row.number}"
