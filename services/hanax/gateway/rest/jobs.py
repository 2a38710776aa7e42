"""/api/v1/jobs and /api/v1/queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hanax.core.errors import HanaxError, NotFound, WrongJobState
from hanax.core.job_specs import SPEC_BY_KIND, ResultFormat
from hanax.gateway.jobs.following import Change, Followers
from hanax.gateway.jobs.store import JobStore
from hanax.gateway.jobs.submissions import Submissions, parse_spec
from hanax.gateway.rest import job_schemas, schemas
from hanax.gateway.rest.answers import answer, call_of
from hanax.gateway.rest.bodies import decode_json, read_json
from hanax.gateway.rest.job_rendering import (
    accepted,
    render_error,
    render_item,
    render_job,
    render_queue,
)
from hanax.gateway.rest.multipart import JobForm
from hanax.gateway.rest.openapi import ERRORS, any_of, form_body
from hanax.metadata.jobs.job import Job, JobState

State = Annotated[
    Literal["queued", "running", "paused", "succeeded", "partial", "failed", "cancelled"] | None,
    Query(description="jobs in this state alone"),
]

JOB_BODIES: Final[list[type[BaseModel]]] = list(SPEC_BY_KIND.values())

_MEDIA_TYPES: Final = {
    ResultFormat.JSONL.value: "application/jsonl",
    ResultFormat.NPY.value: "application/octet-stream",
}


def job_routes(store: JobStore, submissions: Submissions, followers: Followers) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["jobs"], responses=ERRORS)
    _add_submitting(router, submissions)
    _add_looking(router, store, followers)
    _add_changing(router, store)
    return router


def _add_submitting(router: APIRouter, submissions: Submissions) -> None:
    @router.post(
        "/jobs",
        status_code=202,
        response_model=schemas.Envelope[job_schemas.Job],
        openapi_extra=form_body(
            ["job", "file"],
            any_of(JOB_BODIES),
            texts_into_a_collection={
                "kind": "bulk_embed",
                "collection": "docs",
                "items": [{"id": 1, "text": "how do I compute a checksum?", "year": 2024}],
            },
            texts_into_a_file={"kind": "bulk_embed", "items": [{"text": "first"}, {"text": "second"}]},
            vectors={
                "kind": "bulk_insert",
                "collection": "docs",
                "items": [{"id": 1, "vector": [0.1, 0.2, 0.3]}],
            },
            another_model={
                "kind": "reembed",
                "collection": "docs-1",
                "target": "docs-2",
                "model": "e5",
                "alias": "docs",
            },
        ),
    )
    async def submit(request: Request) -> Response:
        """Queue a job: JSON with its items, or multipart/form-data with the parts job (JSON) and file.

        Everything the job names has to be there. A file is stored while it arrives. Rows that are wrong
        become failed items of the job.
        """
        if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            form = JobForm(request)
            spec = parse_spec(decode_json(await form.job()))
            name, data = await form.file()
            return accepted(request, await submissions.submit_upload(spec, name, data))
        return accepted(request, await submissions.submit(await read_json(request)))


def _add_looking(router: APIRouter, store: JobStore, followers: Followers) -> None:
    @router.get("/jobs", response_model=schemas.Envelope[job_schemas.JobList])
    async def list_jobs(
        request: Request,
        state: State = None,
        limit: Annotated[int, Query(ge=1, le=1_000, description="jobs at most")] = 100,
        before: Annotated[str | None, Query(description="a job's id: those that are older")] = None,
    ) -> Response:
        """The newest jobs first."""
        found = await store.jobs.list(limit, None if state is None else JobState(state), before)
        return answer(request, {"jobs": [render_job(job) for job in found]})

    @router.get("/queue", response_model=schemas.Envelope[job_schemas.Queue])
    async def queue(request: Request) -> Response:
        """How many jobs there are in each state, and how much waits."""
        return answer(request, render_queue(await store.jobs.queue()))

    @router.get("/jobs/{job_id}", response_model=schemas.Envelope[job_schemas.Job])
    async def get_job(request: Request, job_id: str) -> Response:
        """One job. 404 job_not_found."""
        return answer(request, render_job(await store.jobs.get(job_id)))

    @router.get("/jobs/{job_id}/items", response_model=schemas.Envelope[job_schemas.FailedItems])
    async def items(
        request: Request,
        job_id: str,
        status: Annotated[Literal["failed"], Query(description="those that failed, the only ones kept")],
        after: Annotated[int, Query(ge=-1, description="next_after of the page before; -1: the first")] = -1,
        limit: Annotated[int, Query(ge=1, le=1_000, description="items at most")] = 100,
    ) -> Response:
        """Items that failed, in their order, each with its reason."""
        found = await store.jobs.failed_items(job_id, after, limit)
        shown = {
            "items": [render_item(item) for item in found],
            "next_after": found[-1].number if len(found) == limit else None,
        }
        return answer(request, shown)

    @router.get("/jobs/{job_id}/events", response_class=StreamingResponse)
    async def events(request: Request, job_id: str) -> Response:
        """The job's changes as server-sent events: `progress`, and `end` with the ended job.

        The data of an event are the job. With Last-Event-ID, what that one told is not told again.
        """
        job = await store.jobs.get(job_id)
        followers.check_room()
        last = request.headers.get("last-event-id", "")
        seen = int(last) if last.isascii() and last.isdigit() and len(last) < 20 else -1
        changes = followers.follow(job, seen)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(request, changes), 200, headers, "text/event-stream")

    @router.get("/jobs/{job_id}/result", response_class=StreamingResponse)
    async def result(request: Request, job_id: str) -> Response:
        """The result file of a job without a collection, once it has ended.

        404 not_found: it has none; 409 wrong_job_state: not yet.
        """
        job = await store.jobs.get(job_id)
        upload_id = _result_of(job)
        size = await store.uploads.size(upload_id)
        format_ = str(job.spec.get("result_format", ResultFormat.JSONL.value))
        headers = {
            "Content-Length": str(size),
            "Content-Disposition": f'attachment; filename="{job.id}.{format_}"',
        }
        data = _away(request, store.uploads.read(upload_id))
        return StreamingResponse(data, 200, headers, _MEDIA_TYPES[format_])


def _add_changing(router: APIRouter, store: JobStore) -> None:
    @router.post("/jobs/{job_id}/pause", response_model=schemas.Envelope[job_schemas.Job])
    async def pause(request: Request, job_id: str) -> Response:
        """Begin nothing new of a job that is queued or runs. 409 wrong_job_state."""
        return answer(request, render_job(await store.jobs.pause(job_id)))

    @router.post("/jobs/{job_id}/resume", response_model=schemas.Envelope[job_schemas.Job])
    async def resume(request: Request, job_id: str) -> Response:
        """Queue a job that is paused. 409 wrong_job_state."""
        return answer(request, render_job(await store.jobs.resume(job_id)))

    @router.post("/jobs/{job_id}/retry", response_model=schemas.Envelope[job_schemas.Job])
    async def retry(request: Request, job_id: str) -> Response:
        """Queue a partial or failed job again: its failed items, and what it had not come to.

        409 wrong_job_state.
        """
        return answer(request, render_job(await store.jobs.retry(job_id)))

    @router.delete("/jobs/{job_id}", response_model=schemas.Envelope[job_schemas.Job])
    async def cancel_job(request: Request, job_id: str) -> Response:
        """Cancel a job that has not ended; forget one that has, and its result. 404 job_not_found.

        What a cancelled job has stored already stays.
        """
        before = await store.jobs.get(job_id)
        job = await store.jobs.cancel(job_id)
        # What still belongs to the job stays. Should this fail, they are swept.
        for upload_id in (before.upload_id, before.result_upload_id):
            if upload_id is not None:
                await store.uploads.delete(upload_id)
        return answer(request, render_job(job))


def _result_of(job: Job) -> str:
    if job.result_upload_id is not None:
        return job.result_upload_id
    if not job.state.ended:
        raise WrongJobState(
            f"the job is {job.state}: its result is not there yet", job=job.id, state=job.state
        )
    raise NotFound(f"the job {job.id} has no result file", job=job.id)


async def _events(request: Request, changes: AsyncIterator[Change]) -> AsyncIterator[bytes]:
    # Such a client waits, and nothing is worked on for it.
    with call_of(request).away():
        try:
            async for change in changes:
                if change.job is None:
                    yield b": waiting\n\n"
                    continue
                name = b"end" if change.job.state.ended else b"progress"
                data = orjson.dumps(render_job(change.job), option=orjson.OPT_UTC_Z)
                yield b"id: %d\nevent: %s\ndata: %s\n\n" % (change.number, name, data)
        except HanaxError as error:
            # The answer has begun; the client comes again, or learns that the job is gone.
            yield b"event: error\ndata: %s\n\n" % orjson.dumps(render_error(error))


async def _away(request: Request, data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with call_of(request).away():
        async for portion in data:
            yield portion
