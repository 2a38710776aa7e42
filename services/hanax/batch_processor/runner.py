"""Claimed tasks, one after another on each of a few slots, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog

from hanax.batch_processor.flow import Flow
from hanax.batch_processor.gateway import CALLING_JOB
from hanax.batch_processor.metrics import BatchMetrics
from hanax.batch_processor.task_runs import Ended, Lease
from hanax.batch_processor.works import Works
from hanax.core.errors import (
    DatabaseUnavailable,
    DeadlineExceeded,
    HanaxError,
    Internal,
    LeaseLost,
    Unavailable,
)
from hanax.metadata.jobs.job import JobState
from hanax.metadata.jobs.task import Claim, TaskKind

T = TypeVar("T")

log = structlog.get_logger()

_RENEW_S: Final = 0.8
_TELL_PAUSE_S: Final = 0.5
_CLAIM_PAUSE_S: Final = 1.0
# A task that was left because something was away.
_LEFT_FOR_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """tasks: here at once. jobs: over all processors. in_flight: batches of one job."""

    tasks: int
    jobs: int
    in_flight: int


class _Left(Exception):
    """Somebody else, or later: the task is given back."""


class Runner:
    """Of one event loop. owner: this processor's name in leases."""

    def __init__(self, works: Works, lease: Lease, limits: Limits, metrics: BatchMetrics, owner: str) -> None:
        self.stopping = asyncio.Event()
        self._works = works
        self._lease = lease
        self._limits = limits
        self._metrics = metrics
        self._owner = owner
        self._ended: Callable[[], None] = lambda: None
        self._busy = 0
        self._flows: dict[str, tuple[Flow, int]] = {}
        metrics.follow_flows(
            lambda: sum(flow.in_flight for flow, _ in list(self._flows.values())),
            lambda: sum(flow.limit for flow, _ in list(self._flows.values())),
        )

    def on_ended(self, told: Callable[[], None]) -> None:
        """Call `told` when a task has ended: others may be due now."""
        self._ended = told

    async def drain(self) -> None:
        """Do tasks until there is none to claim, if there is a slot to do them on."""
        if self._busy >= self._limits.tasks:
            return
        self._busy += 1
        self._metrics.running.set(self._busy)
        try:
            while (claim := await self._claim()) is not None:
                await self._do(claim)
        finally:
            self._busy -= 1
            self._metrics.running.set(self._busy)

    async def _claim(self) -> Claim | None:
        """The next task; None: there is none, or it is time to end. The database is waited for."""
        while not self.stopping.is_set():
            try:
                return await self._lease.work.claim(self._owner, self._lease.seconds, self._limits.jobs)
            except HanaxError as error:
                self._metrics.unrecorded.inc()
                log.warning("no task claimed", error=error.message)
            except Exception:
                # A job that is not understood, of another version perhaps: this slot goes on all the same.
                log.exception("no task claimed")
            stop = asyncio.create_task(self.stopping.wait())
            await asyncio.wait({stop}, timeout=_CLAIM_PAUSE_S)
            stop.cancel()
        return None

    async def _do(self, claim: Claim) -> None:
        job, task = claim.job, claim.task
        CALLING_JOB.set(job.id)
        told = log.bind(job=job.id, kind=job.kind.value, task=task.kind.value, number=task.number)
        flow = self._enter(job.id)
        try:
            outcome = await self._outcome(claim, flow)
        except HanaxError as error:
            outcome = "failed"
            told.warning("job failed", code=error.code, error=error.message)
            await self._try(self._lease.work.fail_job(claim, error))
        except Exception as error:
            outcome = "failed"
            told.exception("job failed")
            defect = Internal(f"{type(error).__name__} in the batch processor; see its log")
            await self._try(self._lease.work.fail_job(claim, defect))
        finally:
            self._leave(job.id)
        self._metrics.tasks.labels(job.kind.value, outcome).inc()
        told.debug("task over", outcome=outcome)
        self._ended()

    async def _outcome(self, claim: Claim, flow: Flow) -> str:
        """Raises what fails the job."""
        work = self._lease.work
        try:
            result: dict[str, Any] | None = None
            upload_id: str | None = None
            if claim.task.kind is TaskKind.DIVIDE:
                await self._held(claim, self._works.divide(claim, flow))
            elif claim.task.kind is TaskKind.FINISH:
                result, upload_id = await self._held(claim, self._works.finish(claim, flow))
            else:
                ended = await self._works.run(claim, flow, self.stopping)
                if ended is Ended.LEFT:
                    raise _Left
                if ended is Ended.LOST:
                    return ended
            await self._told(lambda: work.end_task(claim, result, upload_id))
        except LeaseLost:
            return Ended.LOST
        except _Left:
            await self._try(work.release(claim))
            return Ended.LEFT
        except DatabaseUnavailable as error:
            log.warning("task left", job=claim.job.id, error=error.message)
            await self._try(work.release(claim, _LEFT_FOR_S))
            return Ended.LEFT
        return Ended.DONE

    async def _held(self, claim: Claim, body: Coroutine[Any, Any, T]) -> T:
        """What `body` gives, with the lease renewed meanwhile. Raises _Left, LeaseLost."""
        clock = self._lease.clock
        held_until = clock() + self._lease.seconds
        doing = asyncio.ensure_future(body)
        stop = asyncio.create_task(self.stopping.wait())
        try:
            while True:
                await asyncio.wait({doing, stop}, timeout=_RENEW_S, return_when=asyncio.FIRST_COMPLETED)
                if doing.done():
                    return doing.result()
                if stop.done():
                    raise _Left
                began = clock()
                try:
                    state = await self._lease.work.renew(claim, self._lease.seconds)
                except (Unavailable, DeadlineExceeded):
                    if clock() >= held_until:
                        raise LeaseLost("the metadata database is away for longer than the lease") from None
                    continue
                held_until = began + self._lease.seconds
                if state is JobState.PAUSED:
                    raise _Left
        finally:
            stop.cancel()
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)

    async def _told(self, tell: Callable[[], Awaitable[object]]) -> None:
        """Until the database has heard it, or the lease is over: then somebody finds it done."""
        ends = self._lease.clock() + self._lease.seconds
        while True:
            try:
                await tell()
                return
            except (Unavailable, DeadlineExceeded):
                if self._lease.clock() >= ends or self.stopping.is_set():
                    raise LeaseLost("the metadata database is away for longer than the lease") from None
            await asyncio.sleep(_TELL_PAUSE_S)

    async def _try(self, telling: Awaitable[object]) -> None:
        """What is lost with the database is found again when the lease is over."""
        try:
            await telling
        except LeaseLost:
            pass
        except HanaxError as error:
            log.warning("not told", error=error.message)

    def _enter(self, job_id: str) -> Flow:
        flow, users = self._flows.get(job_id, (Flow(self._limits.in_flight, self._lease.clock), 0))
        self._flows[job_id] = (flow, users + 1)
        return flow

    def _leave(self, job_id: str) -> None:
        flow, users = self._flows[job_id]
        if users == 1:
            del self._flows[job_id]
        else:
            self._flows[job_id] = (flow, users - 1)
