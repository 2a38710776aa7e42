"""Locks, and their order: the turn of starting jobs, then a job, then its tasks.

These transactions run as READ COMMITTED: row locks, taken before anything is read that they guard, order
them, so that none of them has to be run again because another was quicker. SQLite has one writer at a time
anyway.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import RowMapping, Select, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import JobNotFound, LeaseLost
from hanax.metadata.jobs.job import JobState
from hanax.metadata.jobs.tables import JOB_TASKS, JOBS
from hanax.metadata.jobs.task import Claim

# Any number that nobody else locks by.
_STARTING: Final = 0x68616E61_6A6F6273


async def order_by_locks(connection: AsyncConnection) -> None:
    """First of all in a transaction: each statement sees what is committed by then."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL READ COMMITTED"))


async def lock_starting(connection: AsyncConnection) -> None:
    """Nobody else starts a job until the transaction ends."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _STARTING})


async def lock_job(connection: AsyncConnection, job_id: str) -> RowMapping:
    """The job's row, which nobody else changes until the transaction ends. Raises JobNotFound."""
    row = await _one(connection, select(JOBS).where(JOBS.c.id == job_id).with_for_update())
    if row is None:
        raise job_not_found(job_id)
    return row


async def lock_claim(connection: AsyncConnection, claim: Claim) -> tuple[RowMapping, RowMapping]:
    """The rows of the job and of the task that is claimed. Raises LeaseLost."""
    job = await _one(connection, select(JOBS).where(JOBS.c.id == claim.job.id).with_for_update())
    if job is None or JobState(job["state"]).ended:
        state = "gone" if job is None else job["state"]
        raise LeaseLost(f"the job {claim.job.id} is {state}", job=claim.job.id)
    task = await _one(connection, select(JOB_TASKS).where(JOB_TASKS.c.id == claim.task.id).with_for_update())
    if task is None or task["ended"] or (task["fence"], task["owner"]) != (claim.fence, claim.owner):
        raise LeaseLost(
            f"task {claim.task.number} of job {claim.job.id} is another's by now", job=claim.job.id
        )
    return job, task


def job_not_found(job_id: str) -> JobNotFound:
    return JobNotFound(f"there is no job {job_id[:64]!r}", job=job_id[:64])


async def _one(connection: AsyncConnection, query: Select[tuple[object, ...]]) -> RowMapping | None:
    return (await connection.execute(query)).mappings().one_or_none()
