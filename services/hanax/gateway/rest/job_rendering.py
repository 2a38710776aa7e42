"""How jobs, their failed items and the queue are shown."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from hanax.core.errors import HanaxError
from hanax.gateway.jobs.queueing import Queued
from hanax.gateway.jobs.results import progress_of
from hanax.gateway.rest import job_schemas, schemas
from hanax.gateway.rest.answers import answer, render_instant
from hanax.metadata.jobs.job import FailedItem, Job, QueueStatus

_ROOT: Final = "/api/v1/jobs"

# What a model that queues its texts answers.
LATER: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "model": schemas.Envelope[job_schemas.Job],
        "description": "The model queues these texts: look at the job that Location names",
    }
}


def accepted(request: Request, made: Job | Queued) -> Response:
    """202: where the job can be looked at."""
    queued = made if isinstance(made, Queued) else Queued(made)
    shown = render_job(queued.job)
    if queued.ids is not None:
        shown["ids"] = queued.ids
    return answer(request, shown, 202, {"Location": f"{_ROOT}/{queued.job.id}"})


def render_job(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "kind": job.kind,
        "state": job.state,
        "model": job.model,
        "collection": job.collection,
        "priority": job.priority,
        "progress": _render_progress(job),
        "created_at": render_instant(job.created_at_us),
        "updated_at": render_instant(job.updated_at_us),
        "began_at": _render_maybe(job.began_at_us),
        "ended_at": _render_maybe(job.ended_at_us),
        "error": None if job.error is None else render_error(job.error),
        "result": _render_result(job),
        "spec": job.spec,
    }


def render_error(error: HanaxError) -> dict[str, Any]:
    return {
        "code": error.code,
        "type": type(error).__name__,
        "message": error.message,
        "details": error.details,
    }


def render_item(item: FailedItem) -> dict[str, Any]:
    return {
        "number": item.number,
        "line": item.line,
        "id": item.id,
        "error": {"code": item.code, "message": item.message},
        "item": orjson.Fragment(item.item) if _is_json(item.item) else item.item or None,
    }


def render_queue(status: QueueStatus) -> dict[str, Any]:
    return {
        "jobs": {state.value: count for state, count in status.jobs.items()},
        "tasks": {"waiting": status.waiting, "running": status.running},
        "oldest_wait_s": status.oldest_wait_s,
    }


def _render_progress(job: Job) -> dict[str, Any]:
    return asdict(progress_of(job))


def _render_result(job: Job) -> dict[str, Any] | None:
    if job.result is None:
        return None
    if job.result_upload_id is None:
        return job.result
    return {**job.result, "location": f"{_ROOT}/{job.id}/result"}


def _render_maybe(microseconds: int | None) -> Any:
    return None if microseconds is None else render_instant(microseconds)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
