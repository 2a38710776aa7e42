"""Jobs as callers see them: those of collections that they may use.

A job that is not for a caller is not there for it. One without a collection has an id that nobody guesses:
who knows it, and may do as much with any collection, may do it with the job.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from hanax.gateway.calls import Call
from hanax.gateway.guard.scopes import Scope
from hanax.gateway.jobs.store import JobStore
from hanax.gateway.metrics import Metrics
from hanax.metadata.jobs.job import FailedItem, Job, JobState, QueueStatus
from hanax.metadata.jobs.locks import job_not_found

_ALL: Final = "the jobs of all collections"


class JobDesk:
    """Each method raises DatabaseNotConfigured, DatabaseUnavailable, Unauthenticated and PermissionDenied;
    those of one job JobNotFound.
    """

    def __init__(self, store: JobStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    async def list(
        self, call: Call, limit: int, state: JobState | None = None, before: str | None = None
    ) -> list[Job]:
        """The newest first, of all collections. before: the id of a job; those that are older."""
        call.caller.require_all(Scope.READ, _ALL)
        return await self._store.jobs.list(limit, state, before)

    async def queue(self, call: Call) -> QueueStatus:
        call.caller.require_all(Scope.READ, _ALL)
        return await self._store.jobs.queue()

    async def get(self, call: Call, job_id: str) -> Job:
        return await self._find(call, Scope.READ, job_id)

    async def failed_items(self, call: Call, job_id: str, after: int, limit: int) -> Sequence[FailedItem]:
        """By number, with those past number `after`; -1: from the first on."""
        await self._find(call, Scope.READ, job_id)
        return await self._store.jobs.failed_items(job_id, after, limit)

    async def pause(self, call: Call, job_id: str) -> Job:
        return await self._change(call, "pause_job", job_id, lambda: self._store.jobs.pause(job_id))

    async def resume(self, call: Call, job_id: str) -> Job:
        return await self._change(call, "resume_job", job_id, lambda: self._store.jobs.resume(job_id))

    async def retry(self, call: Call, job_id: str) -> Job:
        return await self._change(call, "retry_job", job_id, lambda: self._store.jobs.retry(job_id))

    async def cancel(self, call: Call, job_id: str) -> Job:
        return await self._change(call, "cancel_job", job_id, lambda: self._store.cancel(job_id))

    async def forget(self, call: Call, job_id: str) -> Job:
        return await self._change(call, "forget_job", job_id, lambda: self._store.forget(job_id))

    async def _change(self, call: Call, name: str, job_id: str, change: Callable[[], Awaitable[Job]]) -> Job:
        job = await self._find(call, Scope.WRITE, job_id)
        with self._metrics.changing(name, job.collection, call):
            return await change()

    async def _find(self, call: Call, scope: Scope, job_id: str) -> Job:
        caller = call.caller
        caller.require_unconfined("a job")
        caller.require_some(scope, "jobs")
        job = await self._store.jobs.get(job_id)
        if job.collection is not None and not caller.allows(scope, job.collection):
            raise job_not_found(job_id)
        return job
