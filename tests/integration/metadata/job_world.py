"""A store of jobs with a clock that a test moves, and what a processor would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hanax.core.job_specs import JobKind
from hanax.metadata.database import Database
from hanax.metadata.jobs.job import FailedItem, Job, JobOrder, JobState
from hanax.metadata.jobs.jobs import Jobs
from hanax.metadata.jobs.task import Claim, NewTask, Step, TaskKind
from hanax.metadata.jobs.work import Work
from hanax.metadata.uploads.opening import UploadOptions, open_uploads

LEASE_S = 30.0
AT_ONCE = 3


class JobWorld:
    def __init__(self, database: Database) -> None:
        self.now_us = 1_000_000_000
        self.uploads = open_uploads(database, UploadOptions(None, 1 << 20), lambda: self.now_us)
        self.jobs = Jobs(database, lambda: self.now_us)
        self.work = Work(database, lambda: self.now_us)

    def pass_s(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)

    async def upload(self, data: bytes = b"bytes") -> str:
        async with self.uploads.create() as writer:
            await writer.write(data)
            await writer.finish()
        return writer.id

    async def submit(self, priority: int = 5, **order: Any) -> Job:
        """A moment after the last one."""
        self.pass_s(0.001)
        spec = order.pop("spec", {"kind": "bulk_insert"})
        return await self.jobs.submit(JobOrder(JobKind.BULK_INSERT, spec, priority, **order))

    async def claim(self, owner: str = "a", task_id: str | None = None) -> Claim:
        claim = await self.maybe_claim(owner, task_id)
        assert claim is not None
        return claim

    async def maybe_claim(self, owner: str = "a", task_id: str | None = None) -> Claim | None:
        return await self.work.claim(owner, LEASE_S, AT_ONCE, task_id)

    async def divided(self, *counts: int, priority: int = 5, **order: Any) -> Job:
        """A job that was divided into tasks of so many items."""
        job = await self.submit(priority, **order)
        divide = await self.claim("divider")
        assert (divide.job.id, divide.task.kind) == (job.id, TaskKind.DIVIDE)
        first, tasks = 0, []
        for count in counts:
            tasks.append(NewTask(first, count, {"at": first}))
            first += count
        await self.work.add_tasks(divide, tasks, first)
        await self.work.end_task(divide)
        return await self.jobs.get(job.id)

    async def step(self, claim: Claim, watermark: int, done: int, failed: Sequence[int] = ()) -> JobState:
        items = [failed_item(number) for number in failed]
        return await self.work.advance(claim, LEASE_S, Step(watermark, done), items)

    async def do(self, claim: Claim, failed: Sequence[int] = ()) -> JobState:
        """All of a run task, but for items that fail; or the finish."""
        if claim.task.kind is TaskKind.RUN:
            left = claim.task.count - claim.task.watermark
            await self.step(claim, claim.task.count, left - len(failed), failed)
        return await self.work.end_task(claim)

    async def do_all(self) -> None:
        while (claim := await self.maybe_claim()) is not None:
            await self.do(claim)


def failed_item(number: int) -> FailedItem:
    return FailedItem(
        number, "invalid_text", f"item {number} is bad", line=number + 1, id=f"p{number}", item="{}"
    )
