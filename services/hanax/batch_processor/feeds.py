"""Where a task's batches come from: its part of an upload, or the failed items of a retry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from hanax.batch_processor.batches import MAX_BATCH_BYTES, Batch
from hanax.batch_processor.columns import TableReader
from hanax.batch_processor.points import Point
from hanax.batch_processor.sources import Item, Part, Source
from hanax.batch_processor.sources.tables import Table, TableSource
from hanax.core.errors import HanaxError
from hanax.core.limits import MAX_BATCH_POINTS
from hanax.metadata.jobs.job import FailedItem
from hanax.metadata.jobs.task import Claim
from hanax.metadata.jobs.work import Work

# Failed items that a batch may have, which need no call, and what is kept of them: many batches wait at once.
_MOST_FAILED: Final = 2_000
_MOST_FAILED_BYTES: Final = 1024 * 1024
# Vectors of a call with columns, several of which are on their way.
_TABLE_BYTES: Final = 2 * 1024 * 1024
# Of an upload, where an item is looked for.
_LOOKED_AT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """items: what the job says of a batch. One call carries no more points than that, nor bytes."""

    items: int
    bytes: int = MAX_BATCH_BYTES

    @property
    def points(self) -> int:
        return min(self.items, MAX_BATCH_POINTS)


class Reader(Protocol):
    def read(self, item: Item) -> Point | FailedItem: ...

    def faults(self, points: Sequence[Point]) -> Mapping[int, HanaxError]:
        """What is wrong with points that were read, by their place among these."""
        ...


class FileFeed:
    """`Feed` of a part of an upload. It is read and checked in threads."""

    def __init__(self, source: Source, part: Part, reader: Reader, sizes: Sizes) -> None:
        self._source = source
        self._part = part
        self._reader = reader
        self._sizes = sizes

    async def batches(self, watermark: int, cursor: Mapping[str, Any] | None) -> AsyncGenerator[Batch, None]:
        items = self._source.read(self._part, watermark)
        while (batch := await asyncio.to_thread(take, items, self._reader, self._sizes)).items:
            yield batch


class TableFeed:
    """`Feed` of a part of an upload that is read by columns. What is not good as a whole goes row by row.

    A batch takes what goes into a call well, which may be several of those that the job speaks of.
    """

    def __init__(self, source: TableSource, part: Part, reader: TableReader, sizes: Sizes) -> None:
        self._source = source
        self._part = part
        self._reader = reader
        self._sizes = sizes
        self._most = max(sizes.points, min(_TABLE_BYTES // (4 * reader.dimension), MAX_BATCH_POINTS))

    async def batches(self, watermark: int, cursor: Mapping[str, Any] | None) -> AsyncGenerator[Batch, None]:
        tables = self._source.tables(self._part, watermark, self._most)
        while (batches := await asyncio.to_thread(self._next, tables)) is not None:
            for batch in batches:
                yield batch

    def _next(self, tables: Iterator[Table]) -> list[Batch] | None:
        table = next(tables, None)
        if table is None:
            return None
        columns = self._reader.read(table)

        def rows() -> Iterator[Batch]:
            return by_rows(table.items(), self._reader.rows, self._sizes)

        if columns is not None and columns.bytes <= self._sizes.bytes:
            return [Batch([], [], columns=columns, rows=rows)]
        return list(rows())


def by_rows(items: Iterator[Item], reader: Reader, sizes: Sizes) -> Iterator[Batch]:
    while (batch := take(items, reader, sizes)).items:
        yield batch


def take(items: Iterator[Item], reader: Reader, sizes: Sizes) -> Batch:
    """The next batch; one without items: there are no more."""
    batch = Batch([], [])
    left_bytes, left_failed_bytes = sizes.bytes, _MOST_FAILED_BYTES
    for item in items:
        read = reader.read(item)
        batch.add(read)
        if isinstance(read, Point):
            left_bytes -= read.bytes
        else:
            left_failed_bytes -= len(read.item)
        if len(batch.points) == sizes.points or len(batch.failed) == _MOST_FAILED:
            break
        if left_bytes <= 0 or left_failed_bytes <= 0:
            break
    batch.fail(reader.faults(batch.points))
    return batch


class RetryFeed:
    """`Feed` of items that failed and are tried again, as they were kept, or else as `find` finds them.

    cursor: the number of the last one.
    """

    def __init__(
        self, work: Work, claim: Claim, reader: Reader, sizes: Sizes, find: Callable[[int], Item]
    ) -> None:
        """find: an item by its number, for ascending numbers; in a thread."""
        self._work = work
        self._claim = claim
        self._reader = reader
        self._sizes = sizes
        self._find = find

    async def batches(self, watermark: int, cursor: Mapping[str, Any] | None) -> AsyncGenerator[Batch, None]:
        after = -1 if cursor is None else int(cursor["number"])
        while kept := await self._work.retried(self._claim, after, self._sizes.points):
            after = kept[-1].number
            batch = Batch([], [], {"number": after})
            for item in await asyncio.to_thread(self._items, kept):
                batch.add(self._reader.read(item))
            batch.fail(self._reader.faults(batch.points))
            yield batch

    def _items(self, kept: Sequence[FailedItem]) -> list[Item]:
        return [
            Item(one.number, one.line, orjson.loads(one.item)) if one.item else self._find(one.number)
            for one in kept
        ]


class Lookup:
    """Items of an upload by ascending numbers, in one pass."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parts = source.divide(_LOOKED_AT, None)
        self._part = Part(0, 0, {})

    def find(self, number: int) -> Item:
        while number >= self._part.first + self._part.count:
            self._part = next(self._parts)
        return next(self._source.read(self._part, number - self._part.first))


async def ahead(batches: AsyncGenerator[Batch, None]) -> AsyncIterator[Batch]:
    """The same; while one is worked on the next is read and checked."""
    following = asyncio.ensure_future(anext(batches, None))
    try:
        while (batch := await following) is not None:
            following = asyncio.ensure_future(anext(batches, None))
            yield batch
    finally:
        following.cancel()
        # What the reader met that nobody waits for any more.
        await asyncio.gather(following, return_exceptions=True)
        await batches.aclose()
