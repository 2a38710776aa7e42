"""The end of a task: what it means for its job, and when the job's finish is due. With the job's row
locked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.metadata.jobs.endings import end_as_counted, task_values
from hanax.metadata.jobs.job import JobState
from hanax.metadata.jobs.tables import JOB_FAILED_ITEMS, JOB_TASKS, JOBS
from hanax.metadata.jobs.task import TaskKind


async def end_locked_task(
    connection: AsyncConnection,
    job: RowMapping,
    task: Mapping[str, Any],
    given: Mapping[str, Any],
    now_us: int,
) -> JobState:
    """given: result and result_upload_id, of a finish."""
    ended = {"ended": True, "owner": None, "losses": 0}
    await connection.execute(update(JOB_TASKS).where(JOB_TASKS.c.id == task["id"]).values(ended))
    if task["kind"] == TaskKind.FINISH:
        result = {**job["facts"], **job["counts"], **given["result"]}
        return await end_as_counted(connection, job, now_us, {**given, "result": result})
    # What is left of them was done in the end.
    retried = JOB_FAILED_ITEMS.c.task_id == task["id"]
    await connection.execute(delete(JOB_FAILED_ITEMS).where(retried))
    tasks_open = job["tasks_open"] - 1
    values: dict[str, Any] = {"tasks_open": tasks_open, "updated_at_us": now_us}
    if (total := await _total(connection, job, task)) is not None:
        values["total"] = total
    await connection.execute(update(JOBS).where(JOBS.c.id == job["id"]).values(values))
    if tasks_open == 0:
        await add_finish(connection, job["id"])
    return JobState(job["state"])


async def add_finish(connection: AsyncConnection, job_id: str) -> None:
    last = select(func.max(JOB_TASKS.c.number)).where(JOB_TASKS.c.job_id == job_id)
    number = (await connection.execute(last)).scalar_one() + 1
    row = task_values(job_id, TaskKind.FINISH, number, first=0, count=0, position={})
    await connection.execute(insert(JOB_TASKS).values(row))


async def _total(connection: AsyncConnection, job: RowMapping, task: Mapping[str, Any]) -> int | None:
    """The job's total with the end of the task; None: as it was, or not known yet."""
    if task["kind"] == TaskKind.DIVIDE:
        # Run tasks may have ended with fewer items than they were made for, or more.
        tasks = JOB_TASKS
        query = select(func.sum(tasks.c.count - tasks.c.watermark)).where(
            tasks.c.job_id == job["id"], tasks.c.ended.is_(True), tasks.c.kind == TaskKind.RUN
        )
        return int(task["watermark"] - ((await connection.execute(query)).scalar_one() or 0))
    short_by = task["count"] - task["watermark"]
    return job["total"] - short_by if short_by and job["total"] is not None else None
