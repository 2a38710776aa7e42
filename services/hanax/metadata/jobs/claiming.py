"""Which task is next, and who gets it.

A task is free when nobody holds a lease on it (`free_at_us` is over). Of the jobs that run the one of the
highest priority comes first, of equals the one with the fewest leases, then the oldest; and of its tasks the
one of the lowest number.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, RowMapping, Select, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import Internal
from hanax.metadata.jobs.endings import fail
from hanax.metadata.jobs.job import JobState
from hanax.metadata.jobs.locks import lock_job, lock_starting
from hanax.metadata.jobs.tables import JOB_TASKS, JOBS

# So often a lease may run out on a task before its job is given up: it ends those who do it.
MAX_LOSSES: Final = 10

_ORDER: Final = (JOBS.c.priority.desc(), JOBS.c.created_at_us, JOBS.c.id)


class Waiting(NamedTuple):
    """A task that nobody has. again: it was announced before, and nobody came."""

    task_id: str
    again: bool


async def start_jobs(connection: AsyncConnection, at_once: int, now_us: int) -> None:
    """Start queued jobs, in their order, while fewer than at_once run."""
    if not await _startable(connection, at_once):
        return
    await lock_starting(connection)
    free = await _startable(connection, at_once)
    if not free:
        return
    query = (
        select(JOBS.c.id)
        .where(JOBS.c.state == JobState.QUEUED)
        .order_by(*_ORDER)
        .limit(free)
        .with_for_update(skip_locked=True)
    )
    for job_id in (await connection.scalars(query)).all():
        await connection.execute(
            update(JOBS)
            .where(JOBS.c.id == job_id)
            .values(
                state=JobState.RUNNING,
                began_at_us=func.coalesce(JOBS.c.began_at_us, now_us),
                rated_at_us=now_us,
                updated_at_us=now_us,
            )
        )


async def free_task(connection: AsyncConnection, now_us: int, task_id: str | None) -> RowMapping | None:
    """The next free task, locked; or the one that is named, if it is free."""
    if task_id is not None:
        return await _first(connection, _free(now_us).where(JOB_TASKS.c.id == task_id))
    tasks = JOB_TASKS
    leases = (
        select(func.count())
        .where(tasks.c.job_id == JOBS.c.id, tasks.c.ended.is_(False), tasks.c.free_at_us > now_us)
        .scalar_subquery()
    )
    running = select(JOBS.c.id).where(JOBS.c.state == JobState.RUNNING)
    order = (JOBS.c.priority.desc(), leases, *_ORDER[1:])
    for job_id in (await connection.scalars(running.order_by(*order))).all():
        of_job = _free(now_us).where(JOB_TASKS.c.job_id == job_id).order_by(JOB_TASKS.c.number)
        if (found := await _first(connection, of_job)) is not None:
            return found
    return None


async def take(
    connection: AsyncConnection, task: RowMapping, owner: str, until_us: int, now_us: int
) -> RowMapping | None:
    """Lease the locked task; the row as it is then. None: it was lost too often, and its job has failed."""
    losses = task["losses"] + 1 if task["owner"] is not None else 0
    if losses > MAX_LOSSES:
        await _give_up(connection, task, losses, now_us)
        return None
    values: dict[str, Any] = {
        "owner": owner,
        "fence": task["fence"] + 1,
        "free_at_us": until_us,
        "losses": losses,
    }
    await connection.execute(update(JOB_TASKS).where(JOB_TASKS.c.id == task["id"]).values(values))
    taken = select(JOB_TASKS).where(JOB_TASKS.c.id == task["id"])
    return (await connection.execute(taken)).mappings().one()


async def unannounced(connection: AsyncConnection, limit: int, now_us: int, before_us: int) -> list[Waiting]:
    """Free tasks of running jobs, in their order, that were announced before `before_us`, or never; told as
    announced.
    """
    query = (
        _free(now_us)
        .with_only_columns(JOB_TASKS.c.id, JOB_TASKS.c.announced_at_us)
        .where(JOB_TASKS.c.announced_at_us <= before_us)
        .order_by(*_ORDER, JOB_TASKS.c.number)
        .limit(limit)
    )
    found = [Waiting(task_id, told_us > 0) for task_id, told_us in (await connection.execute(query)).all()]
    if found:
        told = update(JOB_TASKS).where(JOB_TASKS.c.id.in_([one.task_id for one in found]))
        await connection.execute(told.values(announced_at_us=now_us))
    return found


def is_free(now_us: int) -> ColumnElement[bool]:
    """Of a task, beside a job that runs."""
    return and_(JOB_TASKS.c.ended.is_(False), JOB_TASKS.c.free_at_us <= now_us)


async def _startable(connection: AsyncConnection, at_once: int) -> int:
    """How many jobs may be started now."""
    counts = select(JOBS.c.state, func.count()).where(JOBS.c.state.in_([JobState.QUEUED, JobState.RUNNING]))
    rows = await connection.execute(counts.group_by(JOBS.c.state))
    found = {state: int(count) for state, count in rows.all()}
    return max(0, min(found.get(JobState.QUEUED, 0), at_once - found.get(JobState.RUNNING, 0)))


def _free(now_us: int) -> Select[Any]:
    joined = select(JOB_TASKS).join(JOBS, JOBS.c.id == JOB_TASKS.c.job_id)
    found = joined.where(JOBS.c.state == JobState.RUNNING, is_free(now_us))
    return found.with_for_update(of=JOB_TASKS, skip_locked=True)


async def _first(connection: AsyncConnection, query: Select[Any]) -> RowMapping | None:
    row: RowMapping | None = (await connection.execute(query.limit(1))).mappings().one_or_none()
    return row


async def _give_up(connection: AsyncConnection, task: RowMapping, losses: int, now_us: int) -> None:
    job = await lock_job(connection, task["job_id"])
    if not JobState(job["state"]).ended:
        error = Internal(
            f"task {task['number']} was left {losses} times in a row by who had claimed it", job=job["id"]
        )
        await fail(connection, job["id"], error, now_us)
