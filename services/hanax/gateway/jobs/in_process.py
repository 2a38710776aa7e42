"""Jobs in the memory of one gateway: bounded in number and bytes, lost when it ends.

Each model has one worker, so that a slow model holds up its own jobs alone. Jobs that have ended are kept for
a while, and let go earlier, the oldest first, when there is no room for new ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from hanax.core.errors import HanaxError, Internal, JobNotFound, Overloaded, ResourceExhausted
from hanax.gateway.jobs.port import Job, JobKind, JobOrder, JobRun, JobState, Work

log = structlog.get_logger()

# What a job costs beside its body and its result.
_JOB_BYTES: Final = 1_024
# When there is no room: jobs take seconds to minutes.
_RETRY_AFTER_S: Final = 10


@dataclass(frozen=True, slots=True)
class JobLimits:
    """jobs, bytes: of all that are queued, run, or are kept after their end. keep_s: how long they are."""

    jobs: int
    bytes: int
    keep_s: float


@dataclass(slots=True)
class _Held:
    job: Job
    order: JobOrder
    task: asyncio.Task[bytes] | None = None

    @property
    def bytes(self) -> int:
        return _JOB_BYTES + len(self.order.body) + len(self.job.result or b"")


class InProcessJobs:
    """`JobRunner` in this process. now_us: microseconds since 1970 UTC."""

    def __init__(self, limits: JobLimits, now_us: Callable[[], int]) -> None:
        self._limits = limits
        self._now_us = now_us
        self._works: Mapping[JobKind, Work] = {}
        # In the order in which they were submitted.
        self._held: dict[str, _Held] = {}
        self._bytes = 0
        self._queues: dict[str, deque[str]] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}

    async def start(self, works: Mapping[JobKind, Work]) -> None:
        self._works = works

    async def close(self) -> None:
        """Jobs that have not ended are lost."""
        left = sum(not held.job.state.ended for held in self._held.values())
        if left:
            log.warning("jobs lost", jobs=left)
        workers = list(self._workers.values())
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    async def submit(self, order: JobOrder) -> Job:
        self._forget_old()
        size = _JOB_BYTES + len(order.body)
        self._make_room(size, 1)
        if len(self._held) >= self._limits.jobs or self._bytes + size > self._limits.bytes:
            raise Overloaded(
                f"the gateway holds {len(self._held)} jobs already", retry_after_s=_RETRY_AFTER_S
            )
        job = Job(uuid.uuid4().hex, order.kind, order.model, JobState.QUEUED, order.texts, self._now_us())
        self._held[job.id] = _Held(job, order)
        self._bytes += size
        self._queues.setdefault(order.model, deque()).append(job.id)
        if order.model not in self._workers:
            self._workers[order.model] = asyncio.create_task(self._work(order.model))
        return job

    async def get(self, job_id: str) -> Job:
        self._forget_old()
        return self._find(job_id).job

    async def list(self, limit: int, state: JobState | None = None) -> list[Job]:
        self._forget_old()
        found = [held.job for held in self._held.values() if state is None or held.job.state is state]
        return [replace(job, result=None) for job in reversed(found[-limit:])]

    async def cancel(self, job_id: str) -> Job:
        held = self._find(job_id)
        if held.job.state.ended:
            self._forget(job_id)
            return held.job
        self._end(held, JobState.CANCELLED)
        if held.task is not None:
            held.task.cancel()
        return held.job

    async def _work(self, model: str) -> None:
        """The model's jobs, one after another, until none is left."""
        queue = self._queues[model]
        try:
            while queue:
                held = self._held.get(queue.popleft())
                if held is not None and held.job.state is JobState.QUEUED:
                    await self._run(held)
        finally:
            del self._queues[model], self._workers[model]

    async def _run(self, held: _Held) -> None:
        def progress(embedded: int) -> None:
            if not held.job.state.ended:
                held.job = replace(held.job, embedded=embedded)

        held.job = replace(held.job, state=JobState.RUNNING, began_at_us=self._now_us())
        run = JobRun(held.job.id, held.order, progress)
        held.task = asyncio.ensure_future(self._works[held.order.kind](run))
        try:
            result = await held.task
        except asyncio.CancelledError:
            if held.job.state is not JobState.CANCELLED:
                # Not the job is cancelled, but its worker.
                held.task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await held.task
                raise
        except HanaxError as error:
            self._end(held, JobState.FAILED, error=error)
        except Exception as error:
            log.exception("job failed", job=held.job.id, kind=held.order.kind)
            self._end(held, JobState.FAILED, error=Internal(f"{type(error).__name__}; see the gateway's log"))
        else:
            self._keep(held, result)
        finally:
            held.task = None

    def _keep(self, held: _Held, result: bytes) -> None:
        if held.job.state.ended:
            return
        self._end(held, JobState.SUCCEEDED)
        self._make_room(len(result), 0, held.job.id)
        if self._bytes + len(result) > self._limits.bytes:
            error = ResourceExhausted(
                f"the job's result has {len(result)} bytes, for which there is no room; ask for fewer texts"
            )
            held.job = replace(held.job, state=JobState.FAILED, error=error)
            return
        held.job = replace(held.job, result=result)
        self._bytes += len(result)

    def _end(self, held: _Held, state: JobState, error: HanaxError | None = None) -> None:
        """The order is not needed any more."""
        if held.job.state.ended:
            return
        self._bytes -= len(held.order.body)
        held.order = replace(held.order, body=b"")
        held.job = replace(held.job, state=state, error=error, ended_at_us=self._now_us())

    def _find(self, job_id: str) -> _Held:
        held = self._held.get(job_id)
        if held is None:
            raise JobNotFound(f"there is no job {job_id[:64]!r}", job=job_id[:64])
        return held

    def _forget_old(self) -> None:
        before_us = self._now_us() - round(self._limits.keep_s * 1e6)
        for job_id, held in list(self._held.items()):
            if held.job.ended_at_us is not None and held.job.ended_at_us <= before_us:
                self._forget(job_id)

    def _make_room(self, size: int, jobs: int, but: str = "") -> None:
        """Forget jobs that have ended, the oldest first, until there is room for so many more and so much."""
        limits = self._limits
        for job_id, held in list(self._held.items()):
            if len(self._held) + jobs <= limits.jobs and self._bytes + size <= limits.bytes:
                return
            if held.job.state.ended and job_id != but:
                self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        self._bytes -= self._held.pop(job_id).bytes
