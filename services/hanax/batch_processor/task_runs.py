"""One claimed task from its watermark to its end.

Batches are taken in order, a bounded number is on its way at once, and the watermark is the end of the
longest run of them, from the start, that is durable. What is past it after a crash is done again: with the
same ids, so that doing it twice is doing it once. Once a second, or when many are done, the watermark, the
counts and the failed items since the last time are recorded in one transaction, under the lease; the answer
says whether the job was paused or ended.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog

from hanax.batch_processor.batches import Batch, Feed, Outcome, Target
from hanax.batch_processor.feeds import ahead
from hanax.batch_processor.flow import Flow
from hanax.batch_processor.metrics import TaskMetrics
from hanax.core.errors import DeadlineExceeded, HanaxError, LeaseLost, Unavailable
from hanax.metadata.jobs.job import JobState
from hanax.metadata.jobs.task import Claim, Part, Step
from hanax.metadata.jobs.work import Work
from hanax.metadata.uploads.port import Uploads, UploadWriter

log = structlog.get_logger()

_RECORD_S: Final = 0.9
# Without news: a lease is renewed, and a pause or a cancellation noticed.
_RENEW_S: Final = 0.8
# Batches that are done, or on their way, and not recorded yet, for each that may be on its way: one that is
# slow holds up the watermark. When half of them are done they are recorded at once.
_WINDOW: Final = 8
# What runs when a job is paused may end.
_PAUSE_GRACE_S: Final = 1.0
# Failed items that are recorded together: a transaction that takes part of a second.
_FAILED_AT_ONCE: Final = 2_000
_FAILED_BYTES_AT_ONCE: Final = 4 * 1024 * 1024


class Ended(StrEnum):
    """LEFT: released, for someone to go on. LOST: another has the task, or its job has ended."""

    DONE = "done"
    LEFT = "left"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Lease:
    """How a task is held. patience_s: how long a result that can't be written is waited for. clock: seconds,
    monotonic.
    """

    work: Work
    uploads: Uploads
    seconds: float
    drain_grace_s: float
    patience_s: float
    clock: Callable[[], float]


@dataclass(slots=True)
class _Place:
    """A batch in its order; done once it has an outcome."""

    outcome: Outcome | None = None


class TaskRun:
    def __init__(
        self, lease: Lease, claim: Claim, feed: Feed, target: Target, flow: Flow, metrics: TaskMetrics
    ) -> None:
        self._lease = lease
        self._metrics = metrics
        self._claim = claim
        self._feed = feed
        self._target = target
        self._flow = flow
        self._order: deque[_Place] = deque()
        self._window = asyncio.Semaphore(_WINDOW * flow.most)
        self._unrecorded = 0
        self._many = asyncio.Event()
        self._watermark = claim.task.watermark
        # Done, and out of the order; its result bytes are not written yet.
        self._whole: Outcome | None = None
        # Told to the database, which may not have answered yet: it is told the same again.
        self._step: tuple[Step, Outcome] | None = None
        self._unwritten_since: float | None = None
        self._part: _PartWriter
        self._feeding: asyncio.Task[None] | None = None
        self._held_until = lease.clock() + lease.seconds
        self._told_at = lease.clock()

    async def run(self, stopping: asyncio.Event) -> Ended:
        """Raises a HanaxError that fails the job."""
        async with AsyncExitStack() as stack:
            self._part = _PartWriter(self._lease.uploads, stack)
            pump = asyncio.create_task(self._pump())
            stop = asyncio.create_task(stopping.wait())
            try:
                return await self._follow(pump, stop)
            except LeaseLost:
                return Ended.LOST
            finally:
                stop.cancel()
                await self._drain(pump, 0.0)

    async def _follow(self, pump: asyncio.Task[None], stop: asyncio.Task[bool]) -> Ended:
        while True:
            many = asyncio.create_task(self._many.wait())
            await asyncio.wait({pump, stop, many}, timeout=_RECORD_S, return_when=asyncio.FIRST_COMPLETED)
            many.cancel()
            # Also where they can't be recorded now: the next look is in its time, or when more are done.
            self._many.clear()
            ended = pump.done()
            state = await self._record()
            if state is JobState.FAILED:
                return Ended.LOST
            if stop.done() or state is JobState.PAUSED:
                await self._drain(pump, self._lease.drain_grace_s if stop.done() else _PAUSE_GRACE_S)
                await self._record()
                return Ended.LEFT
            if self._lease.clock() >= self._held_until:
                return Ended.LOST
            if ended:
                # What fails the job, after what was done before is recorded.
                pump.result()
                if self._is_recorded:
                    return Ended.DONE
                await asyncio.sleep(_RECORD_S)

    async def _pump(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                self._feeding = group.create_task(self._feed_all(group))
        except* HanaxError as failures:
            raise _first(failures) from None

    async def _feed_all(self, group: asyncio.TaskGroup) -> None:
        batches = self._feed.batches(self._watermark, self._claim.task.cursor)
        async for batch in ahead(batches):
            await self._window.acquire()
            await self._flow.enter()
            place = _Place()
            self._order.append(place)
            group.create_task(self._do(place, batch))

    async def _do(self, place: _Place, batch: Batch) -> None:
        began = self._lease.clock()
        try:
            place.outcome = await self._target.take(batch)
            self._unrecorded += 1
            if self._unrecorded >= _WINDOW * self._flow.most // 2:
                self._many.set()
        finally:
            self._flow.leave()
            self._metrics.batch_took(self._lease.clock() - began)

    async def _drain(self, pump: asyncio.Task[None], grace_s: float) -> None:
        """No new batches; those on their way get `grace_s` to be answered."""
        if self._feeding is not None:
            self._feeding.cancel()
        if not pump.done() and grace_s:
            await asyncio.wait({pump}, timeout=grace_s)
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)

    @property
    def _is_recorded(self) -> bool:
        return self._step is None and self._whole is None and not self._order

    async def _record(self) -> JobState | None:
        """Tell what is done since the last time. None: there was nothing to tell, or nobody to tell it to."""
        state = await self._record_step()
        # More failed items than one transaction takes.
        while state in (JobState.RUNNING, JobState.PAUSED) and self._has_more:
            state = await self._record_step()
        return state

    @property
    def _has_more(self) -> bool:
        return bool(self._order) and self._order[0].outcome is not None

    async def _record_step(self) -> JobState | None:
        work, lease_s = self._lease.work, self._lease.seconds
        began = self._lease.clock()
        try:
            if self._step is None:
                self._step = await self._next_step()
            if self._step is not None:
                step, outcome = self._step
                state = await work.advance(self._claim, lease_s, step, outcome.failed)
                self._step = None
                self._watermark = step.watermark
                self._metrics.recorded(outcome)
            elif began - self._told_at >= _RENEW_S:
                state = await work.renew(self._claim, lease_s)
            else:
                return None
        except (Unavailable, DeadlineExceeded) as error:
            self._metrics.unrecorded()
            log.warning("not recorded", job=self._claim.job.id, error=error.message)
            return None
        self._told_at = began
        self._held_until = began + lease_s
        return state

    async def _next_step(self) -> tuple[Step, Outcome] | None:
        """None: nothing is done, or its result can't be written now. Raises why when that has not passed."""
        whole = self._whole = self._whole or self._taken()
        if whole is None:
            return None
        try:
            part = await self._part.write(whole.result) if whole.result else None
        except HanaxError as error:
            now = self._lease.clock()
            if self._unwritten_since is None:
                self._unwritten_since = now
                log.warning("result not written", job=self._claim.job.id, error=error.message)
            if now - self._unwritten_since >= self._lease.patience_s:
                raise
            return None
        self._whole = self._unwritten_since = None
        watermark = self._watermark + whole.items
        step = Step(watermark, whole.done, whole.cursor, part, whole.counts, whole.facts)
        return step, whole

    def _taken(self) -> Outcome | None:
        """What is done of the order's start, as far as one transaction may record it."""
        whole = Outcome()
        failed_bytes = 0
        while self._order and (done := self._order[0].outcome) is not None:
            failed_bytes += sum(len(one.item) for one in done.failed)
            many = len(whole.failed) + len(done.failed) > _FAILED_AT_ONCE
            if whole.items and (many or failed_bytes > _FAILED_BYTES_AT_ONCE):
                break
            whole.add(done)
            self._order.popleft()
            self._unrecorded -= 1
            self._window.release()
        return whole if whole.items else None


class _PartWriter:
    """The result bytes of this claim: uploads that count as far as steps say."""

    def __init__(self, uploads: Uploads, stack: AsyncExitStack) -> None:
        self._uploads = uploads
        self._stack = stack
        self._writing: AsyncExitStack | None = None
        self._writer: UploadWriter

    async def write(self, pieces: list[bytes]) -> Part:
        """All of them. Where that fails they may be written in half: the next attempt is another upload."""
        if self._writing is None:
            writing = await self._stack.enter_async_context(AsyncExitStack())
            self._writer = await writing.enter_async_context(self._uploads.create())
            self._writing = writing
        try:
            for piece in pieces:
                await self._writer.write(piece)
            return Part(self._writer.id, await self._writer.flush())
        except HanaxError:
            await self._writing.aclose()
            self._writing = None
            raise


def _first(failures: BaseExceptionGroup[HanaxError]) -> HanaxError:
    found: BaseException = failures
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, HanaxError)
    return found
