"""A retry: failed items become tasks of their own, and tasks that had not ended are free again.

The items are taken a task's worth in a transaction: all of them may be more than one does in its time. Until
the last of them the job is as it was, and a retry that was broken off is gone on with by the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.metadata.jobs.endings import task_values
from hanax.metadata.jobs.finishing import add_finish
from hanax.metadata.jobs.tables import JOB_FAILED_ITEMS, JOB_TASKS, JOBS
from hanax.metadata.jobs.task import TaskKind

# Items of one task, and of one transaction: with MAX_FAILED_ITEMS there are a hundred.
_TASK_ITEMS: Final = 1_000


async def retry_items(connection: AsyncConnection, job: RowMapping, after: int) -> int | None:
    """Failed items past number `after`; the number of the last, or None: it was, and the job is made ready.

    With the job's row locked; its state and counts are the caller's.
    """
    tasks, job_id = JOB_TASKS, job["id"]
    numbers = await _add_task(connection, job_id, after)
    tasks_open = job["tasks_open"] + bool(numbers)
    await connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(tasks_open=tasks_open))
    if len(numbers) == _TASK_ITEMS:
        return numbers[-1]
    # Who still holds a lease loses it.
    free: dict[str, Any] = {"owner": None, "free_at_us": 0, "announced_at_us": 0, "losses": 0}
    unfinished = (tasks.c.job_id == job_id, tasks.c.ended.is_(False))
    await connection.execute(update(tasks).where(*unfinished).values(free))
    await connection.execute(delete(tasks).where(*unfinished, tasks.c.kind == TaskKind.FINISH))
    if tasks_open == 0:
        await add_finish(connection, job_id)
    return None


async def _add_task(connection: AsyncConnection, job_id: str, after: int) -> Sequence[int]:
    """For the first items past number `after` that count as failed; their numbers."""
    items = JOB_FAILED_ITEMS
    failed = (items.c.job_id == job_id, items.c.task_id.is_(None), items.c.number > after)
    some = select(items.c.number).where(*failed).order_by(items.c.number).limit(_TASK_ITEMS)
    numbers = (await connection.scalars(some)).all()
    if numbers:
        last = select(func.max(JOB_TASKS.c.number)).where(JOB_TASKS.c.job_id == job_id)
        row = task_values(
            job_id,
            TaskKind.RUN,
            (await connection.execute(last)).scalar_one() + 1,
            first=numbers[0],
            count=len(numbers),
            position={"failed": True},
        )
        await connection.execute(insert(JOB_TASKS).values(row))
        taken = update(items).where(*failed, items.c.number <= numbers[-1])
        await connection.execute(taken.values(task_id=row["id"]))
    return numbers
