"""Locks, and their order: the turn of starting jobs, or of submitting a reembed; then a job, then its tasks.

These transactions are `Database.run_by_locks`: row locks, taken before anything is read that they guard,
order them, so that none of them has to be run again because another was quicker. SQLite has one writer at a
time anyway. What each step of a task asks is built once: to build a statement takes as long as the database
does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import RowMapping, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import JobNotFound, LeaseLost
from hanax.metadata.jobs.job import JobState
from hanax.metadata.jobs.tables import JOB_TASKS, JOBS
from hanax.metadata.jobs.task import Claim
from hanax.metadata.turns import Turn, take_turn

_JOB: Final = select(JOBS).where(JOBS.c.id == bindparam("job")).with_for_update()
# What the task's columns are called beside the job's.
_OF_TASK: Final = "task_"
_CLAIMED: Final = (
    select(*JOBS.c, *(column.label(_OF_TASK + column.name) for column in JOB_TASKS.c))
    .join(JOB_TASKS, JOB_TASKS.c.job_id == JOBS.c.id)
    .where(JOB_TASKS.c.id == bindparam("task"))
    .with_for_update(of=[JOBS, JOB_TASKS])
)


async def lock_starting(connection: AsyncConnection) -> None:
    """Nobody else starts a job until the transaction ends."""
    await take_turn(connection, Turn.STARTING_JOBS)


async def lock_reembedding(connection: AsyncConnection) -> None:
    """Nobody else submits a reembed until the transaction ends."""
    await take_turn(connection, Turn.SUBMITTING_REEMBED)


async def lock_job(connection: AsyncConnection, job_id: str) -> RowMapping:
    """The job's row, which nobody else changes until the transaction ends. Raises JobNotFound."""
    row = (await connection.execute(_JOB, {"job": job_id})).mappings().one_or_none()
    if row is None:
        raise job_not_found(job_id)
    return row


async def lock_claim(connection: AsyncConnection, claim: Claim) -> tuple[RowMapping, Mapping[str, Any]]:
    """The rows of the job and of the task that is claimed, locked in this order. Raises LeaseLost."""
    found = await connection.execute(_CLAIMED, {"task": claim.task.id})
    row = found.mappings().one_or_none()
    # Tasks go with their job, and most of them when it ends.
    job = row or (await connection.execute(_JOB, {"job": claim.job.id})).mappings().one_or_none()
    if job is None or JobState(job["state"]).ended:
        state = "gone" if job is None else job["state"]
        raise LeaseLost(f"the job {claim.job.id} is {state}", job=claim.job.id)
    if row is not None:
        task = {column.name: row[_OF_TASK + column.name] for column in JOB_TASKS.c}
        if not task["ended"] and (task["fence"], task["owner"]) == (claim.fence, claim.owner):
            return row, task
    raise LeaseLost(f"task {claim.task.number} of job {claim.job.id} is another's by now", job=claim.job.id)


def job_not_found(job_id: str) -> JobNotFound:
    return JobNotFound(f"there is no job {job_id[:64]!r}", job=job_id[:64])
