"""The first task of a job: its source is checked and divided into run tasks, in portions.

The first tasks are small, so that all processors have work soon; the later ones of a long job are larger, so
that there are not too many. What is divided already may be worked on while the rest is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from hanax.batch_processor.gateway import Gateway
from hanax.batch_processor.patience import Patience
from hanax.batch_processor.reembedding import Pages, make_target, runs
from hanax.batch_processor.sources import Part, Source
from hanax.batch_processor.sources.tables import TableSource
from hanax.core.errors import DimensionMismatch, InvalidUpload
from hanax.core.job_specs import BulkEmbed, BulkInsert, Reembed
from hanax.metadata.jobs.task import Claim, NewTask
from hanax.metadata.jobs.work import Work

_BATCHES: Final = 10
_LEAST_ITEMS: Final = 1_000
# Of a file that is read by columns: done in half a second, beside which claiming and ending a task take long.
_LEAST_TABLE: Final = 25_000
_SMALL_TASKS: Final = 32
_LARGER: Final = 10
# Tasks that are added in one transaction.
_PORTION: Final = 16


class Division:
    """Of one job. added: told when there are new tasks."""

    def __init__(self, work: Work, claim: Claim, added: Callable[[], None]) -> None:
        self._work = work
        self._claim = claim
        self._added = added
        self._items = claim.task.watermark

    async def of_upload(self, source: Source, spec: BulkEmbed | BulkInsert, dimension: int | None) -> None:
        """dimension: of the collection's vectors. Raises InvalidUpload for a file that can't be right."""
        if isinstance(spec, BulkInsert) and source.dimension not in (None, dimension):
            raise DimensionMismatch(
                f"the upload has vectors of {source.dimension} numbers, the collection takes {dimension}",
                expected=dimension,
                got=source.dimension,
            )
        cursor = self._claim.task.cursor
        done = Part(cursor["first"], cursor["count"], cursor["position"]) if cursor else None
        # As many have been added as small ones, or it does not matter.
        least = _LEAST_TABLE if isinstance(source, TableSource) else _LEAST_ITEMS
        small = max(least, _BATCHES * spec.batch_size)
        if self._items < small * _SMALL_TASKS:
            done = await self._add_parts(source, small, done, _SMALL_TASKS)
        await self._add_parts(source, _LARGER * small, done, None)
        if not self._items:
            raise InvalidUpload("the upload has no items")

    async def of_collection(self, gateway: Gateway, patience: Patience, spec: Reembed) -> None:
        """Make the target, and go through the source's ids."""
        job, cursor = self._claim.job, self._claim.task.cursor
        source = await patience.run(lambda: gateway.collection(job.collection or "", job.collection_uid))
        uid = cursor["target_uid"] if cursor else await make_target(gateway, patience, spec, source)
        size = max(_LEAST_ITEMS, _BATCHES * spec.batch_size)
        async for task in runs(Pages(gateway, patience, job), size, cursor, uid):
            await self._add([task], {"first": task.first + task.count, **task.position})

    async def _add_parts(self, source: Source, size: int, done: Part | None, most: int | None) -> Part | None:
        """At most so many tasks; the last part there is then."""
        parts = source.divide(size, done)
        left = most
        while left is None or left > 0:
            count = _PORTION if left is None else min(_PORTION, left)
            portion = await asyncio.to_thread(_next, parts, count)
            if not portion:
                break
            done = portion[-1]
            cursor = {"first": done.first, "count": done.count, "position": done.position}
            await self._add([NewTask(part.first, part.count, part.position) for part in portion], cursor)
            left = None if left is None else left - len(portion)
        return done

    async def _add(self, tasks: Sequence[NewTask], cursor: dict[str, object]) -> None:
        self._items += sum(task.count for task in tasks)
        await self._work.add_tasks(self._claim, tasks, self._items, cursor)
        self._added()


def _next(parts: Iterator[Part], count: int) -> list[Part]:
    return list(islice(parts, count))
