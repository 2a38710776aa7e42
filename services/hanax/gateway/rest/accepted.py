"""The answer to a request that became a job."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from hanax.gateway.jobs.queueing import Queued
from hanax.gateway.renderings.jobs import JOBS_PATH, render_job
from hanax.gateway.rest.answers import answer
from hanax.gateway.schemas import jobs as job_schemas
from hanax.gateway.schemas.envelopes import Envelope
from hanax.metadata.jobs.job import Job

# What a model that queues its texts answers.
LATER: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "model": Envelope[job_schemas.Job],
        "description": "The model queues these texts: look at the job that Location names",
    }
}


def accepted(request: Request, made: Job | Queued) -> Response:
    """202: where the job can be looked at."""
    queued = made if isinstance(made, Queued) else Queued(made)
    shown = render_job(queued.job)
    if queued.ids is not None:
        shown["ids"] = queued.ids
    return answer(request, shown, 202, {"Location": f"{JOBS_PATH}/{queued.job.id}"})
