"""How a job ends, and what is let go then. All with the job's row locked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import HanaxError, error_from_code
from hanax.metadata.jobs.job import JobState
from hanax.metadata.jobs.rows import error_values
from hanax.metadata.jobs.tables import JOB_FAILED_ITEMS, JOB_PARTS, JOB_TASKS, JOBS
from hanax.metadata.jobs.task import TaskKind


async def end_job(
    connection: AsyncConnection,
    job_id: str,
    state: JobState,
    now_us: int,
    values: Mapping[str, Any] | None = None,
) -> None:
    """values: of the row, beside those that every end sets.

    What a retry needs stays, the upload included; where there is none to come it is let go.
    """
    changed: dict[str, Any] = {
        "state": state,
        "ended_at_us": now_us,
        "updated_at_us": now_us,
        **(values or {}),
    }
    if state in (JobState.SUCCEEDED, JobState.CANCELLED):
        changed["upload_id"] = None
        await connection.execute(delete(JOB_TASKS).where(JOB_TASKS.c.job_id == job_id))
        await connection.execute(delete(JOB_PARTS).where(JOB_PARTS.c.job_id == job_id))
    await connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(changed))


async def fail(connection: AsyncConnection, job_id: str, error: HanaxError, now_us: int) -> None:
    await end_job(connection, job_id, JobState.FAILED, now_us, {"error": error_values(error)})


async def end_as_counted(
    connection: AsyncConnection, job: RowMapping, now_us: int, values: Mapping[str, Any]
) -> JobState:
    """With the end of its finish: by how many items were done, and how many failed."""
    values = dict(values)
    if job["failed"] == 0:
        state = JobState.SUCCEEDED
    elif job["done"] > 0:
        state = JobState.PARTIAL
    else:
        state = JobState.FAILED
        values["error"] = error_values(await _why_all(connection, job))
        values["result"] = values["result_upload_id"] = None
    await end_job(connection, job["id"], state, now_us, values)
    return state


def task_values(
    job_id: str, kind: TaskKind, number: int, *, first: int, count: int, position: Mapping[str, Any]
) -> dict[str, Any]:
    """A new row of `job_tasks`."""
    return {
        "id": uuid4().hex,
        "job_id": job_id,
        "number": number,
        "kind": kind,
        "first": first,
        "count": count,
        "position": dict(position),
    }


async def _why_all(connection: AsyncConnection, job: RowMapping) -> HanaxError:
    items = JOB_FAILED_ITEMS
    query = select(items).where(items.c.job_id == job["id"]).order_by(items.c.number).limit(1)
    first = (await connection.execute(query)).mappings().one()
    message = f"all {job['failed']} items failed; item {first['number']}: {first['message']}"
    return error_from_code(first["code"], message, {"item": first["number"]})
