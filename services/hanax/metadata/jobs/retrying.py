"""A retry: failed items become tasks of their own, and tasks that had not ended are free again."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.metadata.jobs.endings import task_values
from hanax.metadata.jobs.finishing import add_finish
from hanax.metadata.jobs.tables import JOB_FAILED_ITEMS, JOB_TASKS, JOBS
from hanax.metadata.jobs.task import TaskKind

# Items of one task: with at most MAX_FAILED_ITEMS there are a hundred tasks.
_TASK_ITEMS: Final = 1_000


async def retry_items(connection: AsyncConnection, job: RowMapping) -> None:
    """With the job's row locked; its state and counts are the caller's."""
    tasks, job_id = JOB_TASKS, job["id"]
    # Who still holds a lease loses it.
    free: dict[str, Any] = {"owner": None, "free_at_us": 0, "announced_at_us": 0, "losses": 0}
    unfinished = (tasks.c.job_id == job_id, tasks.c.ended.is_(False))
    await connection.execute(update(tasks).where(*unfinished).values(free))
    await connection.execute(delete(tasks).where(*unfinished, tasks.c.kind == TaskKind.FINISH))
    tasks_open = job["tasks_open"] + await _add_tasks(connection, job_id)
    await connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(tasks_open=tasks_open))
    if tasks_open == 0:
        await add_finish(connection, job_id)


async def _add_tasks(connection: AsyncConnection, job_id: str) -> int:
    """For all items that count as failed; how many tasks."""
    items = JOB_FAILED_ITEMS
    last = select(func.max(JOB_TASKS.c.number)).where(JOB_TASKS.c.job_id == job_id)
    number: int = (await connection.execute(last)).scalar_one() + 1
    added = 0
    while True:
        failed = select(items.c.number).where(items.c.job_id == job_id, items.c.task_id.is_(None))
        numbers = (await connection.scalars(failed.order_by(items.c.number).limit(_TASK_ITEMS))).all()
        if not numbers:
            return added
        row = task_values(
            job_id,
            TaskKind.RUN,
            number + added,
            first=numbers[0],
            count=len(numbers),
            position={"failed": True},
        )
        await connection.execute(insert(JOB_TASKS).values(row))
        taken = (items.c.job_id == job_id, items.c.task_id.is_(None), items.c.number <= numbers[-1])
        await connection.execute(update(items).where(*taken).values(task_id=row["id"]))
        added += 1
