"""Between rows of the job tables and what the rest of the house sees of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from sqlalchemy import RowMapping

from hanax.core.errors import HanaxError, error_from_code
from hanax.core.job_specs import JobKind
from hanax.metadata.jobs.job import MAX_ITEM_BYTES, FailedItem, Job, JobState
from hanax.metadata.jobs.tables import JOB_FAILED_ITEMS, JOBS
from hanax.metadata.jobs.task import Claim, Task, TaskKind

_MAX_MESSAGE: Final = 2_000

# Rows of these are a `Job` and a `FailedItem`.
JOB_COLUMNS: Final = [JOBS.c[name] for name in Job.__dataclass_fields__]
ITEM_COLUMNS: Final = [
    JOB_FAILED_ITEMS.c["point_id" if name == "id" else name] for name in FailedItem.__dataclass_fields__
]


def job_of(row: Sequence[Any]) -> Job:
    """row: JOB_COLUMNS."""
    id, kind, state, *others, error, result, result_upload_id = row
    told = None if error is None else _error_of(error)
    return Job(id, JobKind(kind), JobState(state), *(*others, told, result, result_upload_id))


def job_within(row: RowMapping) -> Job:
    """row: has the columns of `jobs`, among others."""
    return job_of([row[column] for column in JOB_COLUMNS])


def claim_of(job: Job, row: RowMapping) -> Claim:
    """Of a row of `job_tasks` that was just claimed."""
    task = Task(
        id=row["id"],
        kind=TaskKind(row["kind"]),
        number=row["number"],
        first=row["first"],
        count=row["count"],
        position=row["position"],
        watermark=row["watermark"],
        cursor=row["cursor"],
    )
    return Claim(job, task, row["owner"], row["fence"])


def error_values(error: HanaxError) -> dict[str, Any]:
    """A HanaxError as JSON. Details that are none are left out."""
    try:
        details = orjson.loads(orjson.dumps(error.details, default=str))
    except TypeError:
        details = {}
    return {"code": error.code, "message": _text(error.message), "details": _without_nul(details)}


def item_values(job_id: str, item: FailedItem) -> dict[str, Any]:
    """A row of `job_failed_items`."""
    kept = item.item if len(item.item.encode(errors="replace")) <= MAX_ITEM_BYTES else ""
    return {
        "job_id": job_id,
        "number": item.number,
        "task_id": None,
        "line": item.line,
        "point_id": None if item.id is None else orjson.dumps(item.id).decode(),
        "code": item.code,
        "message": _text(item.message),
        "item": _text(kept, len(kept)),
    }


def item_of(row: Sequence[Any]) -> FailedItem:
    """row: ITEM_COLUMNS."""
    number, code, message, line, point_id, item = row
    return FailedItem(number, code, message, line, None if point_id is None else orjson.loads(point_id), item)


def _error_of(told: Mapping[str, Any]) -> HanaxError:
    return error_from_code(told["code"], told["message"], told["details"])


def _text(text: str, most: int = _MAX_MESSAGE) -> str:
    """What both databases take: no NUL, and no surrogates."""
    return text[:most].replace("\x00", "\ufffd").encode(errors="replace").decode()


def _without_nul(value: Any) -> Any:
    """PostgreSQL's JSONB can't hold the NUL character either."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, list):
        return [_without_nul(one) for one in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(one) for key, one in value.items()}
    return value
