"""Once a second, and whenever a task may have become due: tell processors of tasks that nobody has.

This is what makes up for lost messages, lost leases and a Redis that is away: then this processor tells
itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
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
        self._queue_at = clock()

    def nudge(self) -> None:
        """There may be a new task."""
        self._due.set()

    async def run(self) -> None:
        """Until cancelled. Whatever a sweep fails with, the next one comes: without it no job begins."""
        cleaning = asyncio.create_task(self._clean())
        failing = False
        try:
            while True:
                self._due.clear()
                try:
                    await self._sweep()
                    failing = False
                except Exception as error:
                    if not failing:
                        _tell("no work is looked for", error)
                    failing = True
                    await asyncio.sleep(_FAILED_PAUSE_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_SWEEP_S):
                        await self._due.wait()
        finally:
            cleaning.cancel()
            await asyncio.gather(cleaning, *self._own, return_exceptions=True)

    async def _sweep(self) -> None:
        kept, limits = self._kept, self._limits
        found = await kept.work.announce(limits.tasks, _AGAIN_S, limits.jobs)
        told = await self._dispatch.announce([one.task_id for one in found]) if found else 0
        # What nobody came for is done here too: messages may be lost as often as they are sent.
        for _ in range(sum(one.again for one in found) if told else len(found)):
            own = asyncio.create_task(self._runner.drain())
            self._own.add(own)
            own.add_done_callback(self._own.discard)
        await kept.uploaded.close_idle()
        now = self._clock()
        if now >= self._queue_at:
            self._queue_at = now + _QUEUE_S
            self._metrics.queue(await kept.jobs.queue())

    async def _clean(self) -> None:
        """Forget what is old. By itself: it takes its time, and work does not wait for it."""
        kept = self._kept
        while True:
            try:
                while await kept.jobs.sweep(kept.job_keep_s):
                    pass
            except Exception as error:
                _tell("old jobs are not forgotten", error)
            try:
                while await kept.uploads.sweep(_ABANDONED_S):
                    pass
            except Exception as error:
                _tell("old uploads are not removed", error)
            await asyncio.sleep(_CLEAN_S)


def _tell(what: str, error: Exception) -> None:
    """What is no HanaxError is a defect, to be found in the log."""
    if isinstance(error, HanaxError):
        log.warning(what, error=error.message)
    else:
        log.error(what, exc_info=error)
