"""Between rows of the job tables and what the rest of the house sees of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from sqlalchemy import RowMapping

from hanax.core.errors import HanaxError, error_from_code
from hanax.core.job_specs import JobKind
from hanax.metadata.jobs.job import MAX_ITEM_BYTES, FailedItem, Job, JobState
from hanax.metadata.jobs.task import Claim, Task, TaskKind

_MAX_MESSAGE: Final = 2_000


def job_of(row: RowMapping) -> Job:
    """Of a row of `jobs`, as a whole."""
    result = row["result"]
    return Job(
        id=row["id"],
        kind=JobKind(row["kind"]),
        state=JobState(row["state"]),
        spec=row["spec"],
        priority=row["priority"],
        created_at_us=row["created_at_us"],
        updated_at_us=row["updated_at_us"],
        model=row["model"],
        collection=row["collection"],
        collection_uid=row["collection_uid"],
        upload_id=row["upload_id"],
        total=row["total"],
        done=row["done"],
        failed=row["failed"],
        rate=row["rate"],
        began_at_us=row["began_at_us"],
        ended_at_us=row["ended_at_us"],
        error=None if row["error"] is None else _error_of(row["error"]),
        result=result,
        result_upload_id=row["result_upload_id"],
    )


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


def item_of(row: RowMapping) -> FailedItem:
    point_id = row["point_id"]
    return FailedItem(
        number=row["number"],
        code=row["code"],
        message=row["message"],
        line=row["line"],
        id=None if point_id is None else orjson.loads(point_id),
        item=row["item"],
    )


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
