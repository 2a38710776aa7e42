"""Once a second, and whenever a task may have become due: tell processors of tasks that nobody has.

This is what makes up for lost messages, lost leases and a Redis that is away: then this processor tells
itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from hanax.batch_processor.dispatch import Dispatch
from hanax.batch_processor.metrics import BatchMetrics
from hanax.batch_processor.runner import Limits, Runner
from hanax.batch_processor.uploaded import Uploaded
from hanax.core.errors import HanaxError
from hanax.metadata.jobs.jobs import Jobs
from hanax.metadata.jobs.work import Work
from hanax.metadata.uploads.port import Uploads

log = structlog.get_logger()

_SWEEP_S: Final = 1.0
_FAILED_PAUSE_S: Final = 2.0
# A task that nobody claimed is told of again.
_AGAIN_S: Final = 10.0
_QUEUE_S: Final = 5.0
_CLEAN_S: Final = 60.0
# Of uploads that no job came to.
_ABANDONED_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Kept:
    """What is looked after. job_keep_s: how long jobs that have ended are kept."""

    work: Work
    jobs: Jobs
    uploads: Uploads
    uploaded: Uploaded
    job_keep_s: float


class Sweeper:
    """Of one event loop. clock: seconds, monotonic."""

    def __init__(
        self,
        kept: Kept,
        dispatch: Dispatch,
        runner: Runner,
        limits: Limits,
        metrics: BatchMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._kept = kept
        self._dispatch = dispatch
        self._runner = runner
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._due = asyncio.Event()
        self._own: set[asyncio.Task[None]] = set()
        self._queue_at = self._clean_at = clock()

    def nudge(self) -> None:
        """There may be a new task."""
        self._due.set()

    async def run(self) -> None:
        """Until cancelled."""
        failing = False
        try:
            while True:
                self._due.clear()
                try:
                    await self._sweep()
                    failing = False
                except HanaxError as error:
                    if not failing:
                        log.warning("the metadata database does not answer", error=error.message)
                    failing = True
                    await asyncio.sleep(_FAILED_PAUSE_S)
                due = asyncio.create_task(self._due.wait())
                await asyncio.wait({due}, timeout=_SWEEP_S)
                due.cancel()
        finally:
            await asyncio.gather(*self._own, return_exceptions=True)

    async def _sweep(self) -> None:
        kept, limits = self._kept, self._limits
        found = await kept.work.announce(limits.tasks, _AGAIN_S, limits.jobs)
        if found and not await self._dispatch.announce(found):
            for _ in found:
                own = asyncio.create_task(self._runner.drain())
                self._own.add(own)
                own.add_done_callback(self._own.discard)
        await kept.uploaded.close_idle()
        now = self._clock()
        if now >= self._queue_at:
            self._queue_at = now + _QUEUE_S
            self._metrics.queue(await kept.jobs.queue())
        if now >= self._clean_at:
            self._clean_at = now + _CLEAN_S
            await kept.jobs.sweep(kept.job_keep_s)
            await kept.uploads.sweep(_ABANDONED_S)
