"""Forgetting a job that has ended: its failed items may be more than one transaction removes in its time."""

from __future__ import annotations

from typing import Final

from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.metadata.jobs.job import JobState
from hanax.metadata.jobs.tables import JOB_FAILED_ITEMS, JOBS

# Failed items of one transaction.
_ITEMS: Final = 2_000


async def forget_some(connection: AsyncConnection, job: RowMapping) -> bool:
    """Some failed items of a job that has ended, or all that is left of it; whether it is gone. With the
    job's row locked.

    One that is half gone is told as cancelled: it can't be retried.
    """
    items = JOB_FAILED_ITEMS
    of_job = items.c.job_id == job["id"]
    some = select(items.c.number).where(of_job).order_by(items.c.number).limit(_ITEMS)
    numbers = (await connection.scalars(some)).all()
    this = JOBS.c.id == job["id"]
    if len(numbers) < _ITEMS:
        await connection.execute(delete(JOBS).where(this))
        return True
    await connection.execute(delete(items).where(of_job, items.c.number <= numbers[-1]))
    if job["state"] != JobState.CANCELLED:
        await connection.execute(update(JOBS).where(this).values(state=JobState.CANCELLED))
    return False
