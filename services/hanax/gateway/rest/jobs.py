"""/api/v1/jobs, and how jobs are shown."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from hanax.gateway.jobs.port import Job, JobRunner, JobState
from hanax.gateway.rest import model_schemas, schemas
from hanax.gateway.rest.answers import answer, render_instant
from hanax.gateway.rest.openapi import ERRORS

_ROOT: Final = "/api/v1/jobs"

# What a model that queues its texts answers.
LATER: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "model": schemas.Envelope[model_schemas.Job],
        "description": "The model queues these texts: look at the job that Location names",
    }
}

State = Annotated[
    Literal["queued", "running", "succeeded", "failed", "cancelled"] | None,
    Query(description="jobs in this state alone"),
]


def job_routes(jobs: JobRunner) -> APIRouter:
    router = APIRouter(prefix=_ROOT, tags=["jobs"], responses=ERRORS)

    @router.get("", response_model=schemas.Envelope[model_schemas.JobList])
    async def list_jobs(
        request: Request,
        state: State = None,
        limit: Annotated[int, Query(ge=1, le=1_000, description="jobs at most")] = 100,
    ) -> Response:
        """The newest jobs first, without their results."""
        found = await jobs.list(limit, None if state is None else JobState(state))
        return answer(request, {"jobs": [render_job(job) for job in found]})

    @router.get("/{job_id}", response_model=schemas.Envelope[model_schemas.Job])
    async def get_job(request: Request, job_id: str) -> Response:
        """One job, with its result once it has succeeded. 404 job_not_found."""
        return answer(request, render_job(await jobs.get(job_id)))

    @router.delete("/{job_id}", response_model=schemas.Envelope[model_schemas.Job])
    async def cancel_job(request: Request, job_id: str) -> Response:
        """Cancel a job that has not ended; forget one that has, and its result. 404 job_not_found.

        What a cancelled job has stored already stays.
        """
        return answer(request, render_job(await jobs.cancel(job_id)))

    return router


def accepted(request: Request, job: Job) -> Response:
    """202: where the job can be looked at."""
    return answer(request, render_job(job), 202, {"Location": f"{_ROOT}/{job.id}"})


def render_job(job: Job) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "job_id": job.id,
        "kind": job.kind,
        "model": job.model,
        "state": job.state,
        "texts": job.texts,
        "embedded": job.embedded,
        "created_at": render_instant(job.created_at_us),
        "began_at": None if job.began_at_us is None else render_instant(job.began_at_us),
        "ended_at": None if job.ended_at_us is None else render_instant(job.ended_at_us),
        "error": None,
    }
    if job.error is not None:
        shown["error"] = {
            "code": job.error.code,
            "type": type(job.error).__name__,
            "message": job.error.message,
            "details": job.error.details,
        }
    if job.result is not None:
        shown["result"] = orjson.Fragment(job.result)
    return shown
