"""One step of a task, as changes of rows: the watermark, counts, failed items and result bytes move
together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import RowMapping, delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hanax.core.errors import HanaxError, ResourceExhausted, error_from_code
from hanax.metadata.jobs.job import MAX_FAILED_ITEMS, FailedItem, Job
from hanax.metadata.jobs.rows import item_values
from hanax.metadata.jobs.tables import JOB_FAILED_ITEMS, JOB_PARTS
from hanax.metadata.jobs.task import Part, Step
from hanax.metadata.uploads.tables import UPLOADS

# Over how long a rate is told: short enough to follow, long enough to be read.
_RATE_WINDOW_S: Final = 15.0
# Parameters of one statement: PostgreSQL takes 32,767.
_NUMBERS: Final = 10_000
# Items a second: less is told as none.
_LEAST_RATE: Final = 0.001
# So that the window of a job that has just begun is no division by zero.
_LEAST_WINDOW_S: Final = 0.5


def counted(job: RowMapping, step: Step, failed: Sequence[FailedItem], now_us: int) -> dict[str, Any]:
    """Values of the job's row after the step."""
    moved = step.done + len(failed)
    return {
        "done": job["done"] + step.done,
        "failed": job["failed"] + len(failed),
        "counts": _sums(job["counts"], step.counts),
        "facts": {**job["facts"], **step.facts},
        "rate": _rate(job, moved, now_us),
        "rated_at_us": now_us,
        "updated_at_us": now_us,
    }


async def keep_failed(connection: AsyncConnection, job_id: str, failed: Sequence[FailedItem]) -> None:
    """Also of items that failed before and were tried again: the last reason is kept."""
    if not failed:
        return
    items = JOB_FAILED_ITEMS
    for at in range(0, len(failed), _NUMBERS):
        numbers = [item.number for item in failed[at : at + _NUMBERS]]
        await connection.execute(delete(items).where(items.c.job_id == job_id, items.c.number.in_(numbers)))
    await connection.execute(insert(items), [item_values(job_id, item) for item in failed])


async def keep_part(connection: AsyncConnection, task: Mapping[str, Any], part: Part, now_us: int) -> None:
    parts = JOB_PARTS
    values = {"bytes": part.bytes}
    changed = await connection.execute(
        update(parts).where(parts.c.upload_id == part.upload_id).values(values)
    )
    if changed.rowcount == 0:
        row = {key: task[key] for key in ("job_id", "number", "first", "fence")}
        made = {**row, **values, "upload_id": part.upload_id, "task_id": task["id"]}
        await connection.execute(insert(parts).values(made))
    touched = update(UPLOADS).where(UPLOADS.c.id == part.upload_id).values(touched_at_us=now_us)
    await connection.execute(touched)


def why_to_stop(job: RowMapping, failed: Sequence[FailedItem]) -> HanaxError | None:
    """What fails the whole job now that these items failed too. job: as it was before."""
    if failed and job["spec"].get("on_error") == "stop":
        first = failed[0]
        return error_from_code(
            first.code, f"item {first.number}: {first.message}", {"item": first.number, "line": first.line}
        )
    if job["failed"] + len(failed) > MAX_FAILED_ITEMS:
        return ResourceExhausted(f"more than {MAX_FAILED_ITEMS} items failed", limit=MAX_FAILED_ITEMS)
    return None


def _sums(before: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: before.get(name, 0) + more.get(name, 0) for name in {**before, **more}}


def _rate(job: RowMapping, moved: int, now_us: int) -> float:
    """Items a second: an exponentially weighted mean over the last seconds, shorter at first."""
    window_s = min(_RATE_WINDOW_S, max(_LEAST_WINDOW_S, (now_us - (job["began_at_us"] or now_us)) / 1e6))
    passed_s = max(1e-6, (now_us - (job["rated_at_us"] or now_us)) / 1e6)
    kept = math.exp(-passed_s / window_s)
    rate: float = kept * job["rate"] + (1 - kept) * moved / passed_s
    return rate


def of_now(job: Job, now_us: int) -> Job:
    """With the rate that it has by now: it fades when nothing is recorded for as long as it is told over."""
    silent_s = (now_us - job.updated_at_us) / 1e6 - _RATE_WINDOW_S
    if job.rate == 0 or silent_s <= 0:
        return job
    faded = job.rate * math.exp(-silent_s / _RATE_WINDOW_S)
    return replace(job, rate=faded if faded >= _LEAST_RATE else 0.0)
