"""What processors do with jobs: claim a task, say how far it is, end it. Exact after any crash.

Every method is one transaction. Those that take a claim are fenced by it: they raise LeaseLost, and change
nothing, when another has claimed the task since, or the job has ended (cancelled, or failed by another task).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import HanaxError, Internal
from hanax.metadata.database import Database
from hanax.metadata.jobs import claiming
from hanax.metadata.jobs.claiming import Waiting
from hanax.metadata.jobs.endings import fail, task_values
from hanax.metadata.jobs.finishing import end_locked_task
from hanax.metadata.jobs.job import FailedItem, JobState
from hanax.metadata.jobs.locks import lock_claim
from hanax.metadata.jobs.rows import ITEM_COLUMNS, JOB_COLUMNS, claim_of, item_of, job_of
from hanax.metadata.jobs.steps import counted, keep_failed, keep_part, why_to_stop
from hanax.metadata.jobs.tables import JOB_FAILED_ITEMS, JOB_PARTS, JOB_TASKS, JOBS
from hanax.metadata.jobs.task import Claim, FoundPart, NewTask, Part, Step, TaskKind

# Built once: to build a statement takes as long as the database does. Parameters say which columns are set.
_CLAIMED: Final = update(JOB_TASKS).where(
    JOB_TASKS.c.id == bindparam("claimed_id"),
    JOB_TASKS.c.fence == bindparam("claimed_fence"),
    JOB_TASKS.c.owner == bindparam("claimed_owner"),
)
_COUNTED: Final = update(JOBS).where(JOBS.c.id == bindparam("job"))


class Work:
    """now_us: microseconds since 1970 UTC; the clocks of processors may differ by less than a lease."""

    def __init__(self, database: Database, now_us: Callable[[], int]) -> None:
        self._database = database
        self._now_us = now_us

    async def claim(
        self, owner: str, lease_s: float, jobs_at_once: int, task_id: str | None = None
    ) -> Claim | None:
        """The next task without a lease, of a running job; None: there is none that may be done now.

        By the job's priority, its age, and the task's number. Where fewer than jobs_at_once jobs run, over
        all processors, the next queued one is started first. task_id: that task alone, where its turn may be
        now.
        """

        async def work(connection: AsyncConnection) -> Claim | None:
            now_us = self._now_us()
            await claiming.start_jobs(connection, jobs_at_once, now_us)
            found = await claiming.free_task(connection, now_us, task_id)
            if found is None:
                return None
            taken = await claiming.take(connection, found, owner, now_us + round(lease_s * 1e6), now_us)
            if taken is None:
                return None
            query = select(*JOB_COLUMNS).where(JOBS.c.id == taken["job_id"])
            return claim_of(job_of((await connection.execute(query)).one()), taken)

        return await self._database.run_by_locks(work)

    async def renew(self, claim: Claim, lease_s: float) -> JobState:
        """Hold the lease for that long from now. PAUSED: end soon, with release."""

        async def work(connection: AsyncConnection) -> JobState:
            job, _ = await lock_claim(connection, claim)
            await self._change(connection, claim, self._lease(lease_s))
            return JobState(job["state"])

        return await self._database.run_by_locks(work)

    async def advance(
        self, claim: Claim, lease_s: float, step: Step, failed: Sequence[FailedItem] = ()
    ) -> JobState:
        """Record what was done, and renew. The same step once more, after an answer that was lost, is no
        error.

        len(failed) + step.done is how far the watermark moves. Past MAX_FAILED_ITEMS, or with the first
        failed item where the spec says on_error stop, the job fails: the answer is FAILED. PAUSED: it is
        recorded all the same; end soon, with release.
        """

        async def work(connection: AsyncConnection) -> JobState:
            job, task = await lock_claim(connection, claim)
            now_us = self._now_us()
            moved = step.done + len(failed)
            if moved and step.watermark == task["watermark"]:
                await self._change(connection, claim, self._lease(lease_s))
                return JobState(job["state"])
            if step.watermark != task["watermark"] + moved:
                raise Internal(
                    f"task {task['number']} of job {job['id']} is at {task['watermark']}: "
                    f"a step of {moved} items can't end at {step.watermark}"
                )
            changed: dict[str, Any] = {"watermark": step.watermark, "losses": 0, **self._lease(lease_s)}
            if step.cursor is not None:
                changed["cursor"] = dict(step.cursor)
            await self._change(connection, claim, changed)
            await keep_failed(connection, job["id"], failed)
            if step.part is not None:
                await keep_part(connection, task, step.part, now_us)
            await connection.execute(_COUNTED, {"job": job["id"], **counted(job, step, failed, now_us)})
            if (error := why_to_stop(job, failed)) is not None:
                await fail(connection, job["id"], error, now_us)
                return JobState.FAILED
            return JobState(job["state"])

        return await self._database.run_by_locks(work)

    async def add_tasks(
        self, claim: Claim, tasks: Sequence[NewTask], items: int, cursor: Mapping[str, Any] | None = None
    ) -> JobState:
        """Of a divide: run tasks that follow those before. items: how many all of them hold then.

        cursor: where to go on after a crash, kept with the divide task, whose watermark becomes `items`. The
        same once more, after an answer that was lost, is no error.
        """

        async def work(connection: AsyncConnection) -> JobState:
            job, task = await lock_claim(connection, claim)
            before = items - sum(new.count for new in tasks)
            if task["watermark"] == items and tasks:
                return JobState(job["state"])
            if task["watermark"] != before:
                raise Internal(f"job {job['id']} is divided up to {task['watermark']}, not {before}")
            number = await _next_number(connection, job["id"])
            rows = [
                task_values(
                    job["id"],
                    TaskKind.RUN,
                    number + i,
                    first=new.first,
                    count=new.count,
                    position=new.position,
                )
                for i, new in enumerate(tasks)
            ]
            if rows:
                await connection.execute(insert(JOB_TASKS), rows)
            changed: dict[str, Any] = {"watermark": items, "count": items, "losses": 0}
            if cursor is not None:
                changed["cursor"] = dict(cursor)
            await self._change(connection, claim, changed)
            values = {"tasks_open": JOBS.c.tasks_open + len(rows), "updated_at_us": self._now_us()}
            await connection.execute(update(JOBS).where(JOBS.c.id == job["id"]).values(values))
            return JobState(job["state"])

        return await self._database.run_by_locks(work)

    async def end_task(
        self,
        claim: Claim,
        result: Mapping[str, Any] | None = None,
        result_upload_id: str | None = None,
    ) -> JobState:
        """The task is done. Ends the job with a finish: succeeded, partial, or failed where no item was done.

        A divide sets the job's total from what was added. A run whose watermark is not its count had fewer
        or more items than was thought: the total follows. result, result_upload_id: of a finish; the counts
        and facts of all steps are put beside result.
        """

        async def work(connection: AsyncConnection) -> JobState:
            job, task = await lock_claim(connection, claim)
            given = {"result": dict(result or {}), "result_upload_id": result_upload_id}
            return await end_locked_task(connection, job, task, given, self._now_us())

        return await self._database.run_by_locks(work)

    async def fail_job(self, claim: Claim, error: HanaxError) -> None:
        """End the job as failed: what can't be mended by waiting, such as a collection that is gone.

        What was recorded stays, and a retry goes on from there.
        """

        async def work(connection: AsyncConnection) -> None:
            job, _ = await lock_claim(connection, claim)
            await fail(connection, job["id"], error, self._now_us())

        await self._database.run_by_locks(work)

    async def release(self, claim: Claim, again_after_s: float = 0.0) -> None:
        """Give the lease back; what was recorded stays. again_after_s: nobody claims it before.

        A lease that is lost already is no error.
        """

        async def work(connection: AsyncConnection) -> None:
            free_at_us = self._now_us() + round(again_after_s * 1e6)
            values = {"owner": None, "free_at_us": free_at_us, "announced_at_us": 0}
            await self._change(connection, claim, values)

        await self._database.run_by_locks(work)

    async def retried(self, claim: Claim, after: int, limit: int) -> list[FailedItem]:
        """The items of a task that a retry made, by number, with those past number `after`; -1: all.

        Those that were advanced as done are told until the task ends: begin after the last one.
        """
        items = JOB_FAILED_ITEMS
        query = select(*ITEM_COLUMNS).where(items.c.task_id == claim.task.id, items.c.number > after)
        rows = await self._database.ask(query.order_by(items.c.number).limit(limit))
        return [item_of(row) for row in rows]

    async def parts(self, claim: Claim) -> list[FoundPart]:
        """Of a finish: all result bytes of the job that count, by the first item of their tasks, then in the
        order in which they were written.
        """
        parts = JOB_PARTS
        found = select(parts.c.number, parts.c.first, parts.c.upload_id, parts.c.bytes)
        rows = await self._database.ask(
            found.where(parts.c.job_id == claim.job.id).order_by(parts.c.first, parts.c.number, parts.c.fence)
        )
        return [FoundPart(number, first, Part(upload_id, size)) for number, first, upload_id, size in rows]

    async def announce(self, limit: int, again_after_s: float, jobs_at_once: int) -> list[Waiting]:
        """Tasks that wait to be claimed, in their order, each again only after so many seconds."""

        async def work(connection: AsyncConnection) -> list[Waiting]:
            now_us = self._now_us()
            await claiming.start_jobs(connection, jobs_at_once, now_us)
            return await claiming.unannounced(connection, limit, now_us, now_us - round(again_after_s * 1e6))

        return await self._database.run_by_locks(work)

    def _lease(self, lease_s: float) -> dict[str, Any]:
        return {"free_at_us": self._now_us() + round(lease_s * 1e6)}

    async def _change(self, connection: AsyncConnection, claim: Claim, values: Mapping[str, Any]) -> None:
        """Of the task, as long as it is the claim's."""
        mine = {"claimed_id": claim.task.id, "claimed_fence": claim.fence, "claimed_owner": claim.owner}
        await connection.execute(_CLAIMED, {**mine, **values})


async def _next_number(connection: AsyncConnection, job_id: str) -> int:
    query = select(func.max(JOB_TASKS.c.number)).where(JOB_TASKS.c.job_id == job_id)
    last: int = (await connection.execute(query)).scalar_one()
    return last + 1
