"""Jobs, their failed items and the queue."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import orjson

from hanax.core.errors import HanaxError
from hanax.gateway.jobs.results import progress_of
from hanax.gateway.renderings.instants import render_if_any, render_instant
from hanax.metadata.jobs.job import FailedItem, Job, QueueStatus

JOBS_PATH: Final = "/api/v1/jobs"


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
        "began_at": render_if_any(job.began_at_us),
        "ended_at": render_if_any(job.ended_at_us),
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
    return {**job.result, "location": f"{JOBS_PATH}/{job.id}/result"}


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
