"""What the gateway does with jobs: take them, tell of them, and change what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Integer, RowMapping, Select, bindparam, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import AlreadyExists, JobNotFound, Overloaded, WrongJobState
from hanax.core.job_specs import JobKind
from hanax.metadata.database import Database
from hanax.metadata.jobs.endings import end_job, task_values
from hanax.metadata.jobs.forgetting import forget_some
from hanax.metadata.jobs.job import ENDED, WAITING, FailedItem, Job, JobOrder, JobState, QueueStatus
from hanax.metadata.jobs.locks import job_not_found, lock_job, lock_reembedding
from hanax.metadata.jobs.queue import COUNT_WAITING, QUEUE
from hanax.metadata.jobs.retrying import retry_items
from hanax.metadata.jobs.rows import ITEM_COLUMNS, JOB_COLUMNS, item_of, job_of, job_within
from hanax.metadata.jobs.steps import of_now
from hanax.metadata.jobs.tables import JOB_FAILED_ITEMS, JOB_TASKS, JOBS
from hanax.metadata.jobs.task import TaskKind
from hanax.metadata.pages import Pages, Place

# Jobs that have not ended: each is looked at by whoever looks for work.
MAX_WAITING_JOBS: Final = 10_000
_RETRY_AFTER_S: Final = 60

# Ended jobs that one sweep forgets.
_SWEPT_AT_ONCE: Final = 100

# Built once: to build a statement takes as long as the database does.
_ONE: Final = select(*JOB_COLUMNS).where(JOBS.c.id == bindparam("job"))
_INSERT_JOB: Final = insert(JOBS).returning(*JOB_COLUMNS)
_INSERT_TASK: Final = insert(JOB_TASKS)
_PAGES: Final = Pages(select(*JOB_COLUMNS), JOBS)
_PAGES_OF_STATE: Final = Pages(select(*JOB_COLUMNS).where(JOBS.c.state == bindparam("state")), JOBS)


def _failed_items() -> Select[Any]:
    """A page of items. A job without such items has a row, too, with none in it."""
    items = JOB_FAILED_ITEMS
    page = (
        select(*ITEM_COLUMNS)
        .where(
            items.c.job_id == bindparam("job"),
            items.c.task_id.is_(None),
            items.c.number > bindparam("after"),
        )
        .order_by(items.c.number)
        .limit(bindparam("limit", type_=Integer))
        .subquery()
    )
    return (
        select(*page.c)
        .select_from(JOBS.outerjoin(page, true()))
        .where(JOBS.c.id == bindparam("job"))
        .order_by(page.c.number)
    )


_FAILED_ITEMS: Final = _failed_items()


class Jobs:
    """now_us: microseconds since 1970 UTC. Methods of one job raise JobNotFound."""

    def __init__(self, database: Database, now_us: Callable[[], int]) -> None:
        self._database = database
        self._now_us = now_us

    async def submit(self, order: JobOrder) -> Job:
        """Queue a job, durable on return.

        Raises Overloaded when too many have not ended, AlreadyExists for a second reembed into one target.
        """
        now_us = self._now_us()
        job_id = uuid4().hex
        values = {
            "id": job_id,
            "kind": order.kind,
            "state": JobState.QUEUED,
            "spec": dict(order.spec),
            "priority": order.priority,
            "model": order.model,
            "collection": order.collection,
            "collection_uid": order.collection_uid,
            "upload_id": order.upload_id,
            "total": order.total,
            "tasks_open": 1,
            "created_at_us": now_us,
            "updated_at_us": now_us,
        }
        divide = task_values(job_id, TaskKind.DIVIDE, 0, first=0, count=0, position={})

        async def work(connection: AsyncConnection) -> Job:
            if order.kind is JobKind.REEMBED:
                await lock_reembedding(connection)
            # Of two that come at once neither counts the other: there may be a few more.
            count = (await connection.execute(COUNT_WAITING)).scalar_one()
            if count >= MAX_WAITING_JOBS:
                raise Overloaded(f"{count} jobs wait or run already", retry_after_s=_RETRY_AFTER_S)
            if order.kind is JobKind.REEMBED:
                await _check_target(connection, order.spec["target"])
            row = (await connection.execute(_INSERT_JOB, values)).one()
            await connection.execute(_INSERT_TASK, divide)
            return job_of(row)

        return await self._database.run_by_locks(work)

    async def get(self, job_id: str) -> Job:
        return of_now(_found(job_id, await self._database.ask(_ONE, {"job": job_id})), self._now_us())

    async def list(self, limit: int, state: JobState | None = None, before: str | None = None) -> list[Job]:
        """The newest first. before: the id of a job; those that are older. Raises JobNotFound for it."""
        after = None
        if before is not None:
            last = await self.get(before)
            after = Place(last.created_at_us, last.id)
        if state is None:
            question = _PAGES.at(limit, after)
        else:
            question = _PAGES_OF_STATE.at(limit, after, state=state)
        now_us = self._now_us()
        return [of_now(job_of(row), now_us) for row in await self._database.ask(*question)]

    async def pause(self, job_id: str) -> Job:
        """Of one that is queued or runs; what is being done is recorded. Raises WrongJobState."""
        return await self._move(job_id, JobState.PAUSED, (JobState.QUEUED, JobState.RUNNING), "pause")

    async def resume(self, job_id: str) -> Job:
        """Queue one that is paused. Raises WrongJobState."""
        return await self._move(job_id, JobState.QUEUED, (JobState.PAUSED,), "resume")

    async def cancel(self, job_id: str) -> Job:
        """End a job that has not ended. What it has stored stays, and the job.

        One that is cancelled is told as it is: a request that is sent again changes nothing. Raises
        WrongJobState for one that ended otherwise.
        """

        async def work(connection: AsyncConnection) -> Job:
            job = await lock_job(connection, job_id)
            if job["state"] == JobState.CANCELLED:
                return job_within(job)
            _check_state(job, WAITING, "cancel")
            await end_job(connection, job_id, JobState.CANCELLED, self._now_us())
            return await _job(connection, job_id)

        return await self._database.run_by_locks(work)

    async def forget(self, job_id: str) -> Job:
        """Remove a job that has ended; as it was left. What it has stored stays. Raises WrongJobState."""

        async def work(connection: AsyncConnection) -> tuple[Job, bool]:
            job = await lock_job(connection, job_id)
            _check_state(job, ENDED, "forget")
            return job_within(job), await forget_some(connection, job)

        left, gone = await self._database.run_by_locks(work)
        while not gone:
            _, gone = await self._database.run_by_locks(work)
        return left

    async def retry(self, job_id: str) -> Job:
        """Queue a partial or failed job again: its failed items, and what it had not come to.

        Raises WrongJobState.
        """

        last = -1

        async def work(connection: AsyncConnection) -> Job | int:
            job = await lock_job(connection, job_id)
            _check_state(job, (JobState.PARTIAL, JobState.FAILED), "retry")
            if (more := await retry_items(connection, job, last)) is not None:
                return more
            changed = {
                "state": JobState.QUEUED,
                "failed": 0,
                "error": None,
                "result": None,
                "result_upload_id": None,
                "ended_at_us": None,
                "updated_at_us": self._now_us(),
            }
            await connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(changed))
            return await _job(connection, job_id)

        while isinstance(told := await self._database.run_by_locks(work), int):
            last = told
        return told

    async def failed_items(self, job_id: str, after: int, limit: int) -> Sequence[FailedItem]:
        """By number, with those past number `after`; -1: from the first on."""
        asked = {"job": job_id, "after": after, "limit": limit}
        rows = await self._database.ask(_FAILED_ITEMS, asked)
        if not rows:
            raise job_not_found(job_id)
        return [item_of(row) for row in rows if row[0] is not None]

    async def queue(self) -> QueueStatus:
        """How much there is to do."""
        now_us = self._now_us()
        (found,) = await self._database.ask(QUEUE, {"now_us": now_us})
        oldest_us: int | None = found.oldest_us
        return QueueStatus(
            jobs={state: getattr(found, state) for state in JobState},
            waiting=max(0, found.unended - found.leased),
            running=found.leased,
            oldest_wait_s=0.0 if oldest_us is None else max(0.0, (now_us - oldest_us) / 1e6),
        )

    async def sweep(self, keep_s: float) -> int:
        """Forget some of the jobs that ended so long ago; how many. Their uploads are swept after them."""
        before_us = self._now_us() - round(keep_s * 1e6)
        old = select(JOBS.c.id).where(JOBS.c.ended_at_us <= before_us).order_by(JOBS.c.ended_at_us)
        forgotten = 0
        for (job_id,) in await self._database.ask(old.limit(_SWEPT_AT_ONCE)):
            # Another may have forgotten it, or somebody has it tried again.
            with suppress(JobNotFound, WrongJobState):
                await self.forget(job_id)
                forgotten += 1
        return forgotten

    async def _move(self, job_id: str, to: JobState, states: tuple[JobState, ...], action: str) -> Job:
        async def work(connection: AsyncConnection) -> Job:
            _check_state(await lock_job(connection, job_id), states, action)
            values = {"state": to, "rate": 0.0, "updated_at_us": self._now_us()}
            await connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(values))
            return await _job(connection, job_id)

        return await self._database.run_by_locks(work)


def _check_state(job: RowMapping, states: tuple[JobState, ...], action: str) -> None:
    if job["state"] not in states:
        raise WrongJobState(
            f"the job is {job['state']}; {action} is for jobs that are {' or '.join(states)}",
            job=job["id"],
            state=job["state"],
            expected=[str(state) for state in states],
        )


async def _job(connection: AsyncConnection, job_id: str) -> Job:
    return _found(job_id, (await connection.execute(_ONE, {"job": job_id})).all())


def _found(job_id: str, rows: Sequence[Sequence[Any]]) -> Job:
    if not rows:
        raise job_not_found(job_id)
    return job_of(rows[0])


async def _check_target(connection: AsyncConnection, target: str) -> None:
    """Raises AlreadyExists where a job that has not ended makes this collection."""
    same = select(JOBS.c.id).where(
        JOBS.c.kind == JobKind.REEMBED,
        JOBS.c.state.in_(WAITING),
        JOBS.c.spec["target"].as_string() == target,
    )
    if (found := (await connection.execute(same.limit(1))).scalar_one_or_none()) is not None:
        raise AlreadyExists(f"target: job {found} embeds into {target!r} already", job=found)
