"""/api/v1/jobs and /api/v1/queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hanax.core.errors import HanaxError
from hanax.core.job_specs import SPEC_BY_KIND, ResultFormat
from hanax.gateway.bodies import decode_json, read_json
from hanax.gateway.jobs.desk import JobDesk
from hanax.gateway.jobs.following import Change, Followers
from hanax.gateway.jobs.results import result_upload
from hanax.gateway.jobs.store import JobStore
from hanax.gateway.jobs.submissions import Submissions
from hanax.gateway.list_cursors import read_key, read_number, write_key
from hanax.gateway.renderings.jobs import render_error, render_item, render_job, render_queue
from hanax.gateway.rest.accepted import accepted
from hanax.gateway.rest.answers import answer, call_of
from hanax.gateway.rest.etags import tagged
from hanax.gateway.rest.multipart import JobForm
from hanax.gateway.rest.openapi import ERRORS, any_of, form_body
from hanax.gateway.rest.pages import Cursor, Limit, page_to
from hanax.gateway.schemas import jobs as job_schemas
from hanax.gateway.schemas.envelopes import Envelope
from hanax.metadata.jobs.job import JobState

State = Annotated[
    Literal["queued", "running", "paused", "succeeded", "partial", "failed", "cancelled"] | None,
    Query(description="jobs in this state alone"),
]

JOB_BODIES: Final[list[type[BaseModel]]] = list(SPEC_BY_KIND.values())

_MEDIA_TYPES: Final = {
    ResultFormat.JSONL.value: "application/jsonl",
    ResultFormat.NPY.value: "application/octet-stream",
}


def job_routes(store: JobStore, desk: JobDesk, submissions: Submissions, followers: Followers) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["jobs"], responses=ERRORS)
    _add_submitting(router, submissions)
    _add_looking(router, store, desk, followers)
    _add_changing(router, desk)
    return router


def _add_submitting(router: APIRouter, submissions: Submissions) -> None:
    @router.post(
        "/jobs",
        status_code=202,
        response_model=Envelope[job_schemas.Job],
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
            told = decode_json(await form.job())
            name, data = await form.file()
            return accepted(request, await submissions.submit_upload(call_of(request), told, name, data))
        return accepted(request, await submissions.submit(call_of(request), await read_json(request)))


def _add_looking(router: APIRouter, store: JobStore, desk: JobDesk, followers: Followers) -> None:
    @router.get("/jobs", response_model=Envelope[job_schemas.JobList])
    async def list_jobs(
        request: Request,
        state: State = None,
        limit: Limit = 100,
        cursor: Cursor = None,
        before: Annotated[str | None, Query(description="a job's id: those that are older")] = None,
    ) -> Response:
        """The newest jobs first."""
        last = before if cursor is None else read_key(cursor)
        wanted = None if state is None else JobState(state)
        # One more tells whether there is a next page.
        found = await desk.list(call_of(request), limit + 1, wanted, last)
        page = found[:limit]
        after = page_to(request, write_key(page[-1].id) if len(found) > limit else None)
        shown = {"jobs": [render_job(job) for job in page], "next_cursor": after.cursor}
        return tagged(request, shown, headers=after.headers)

    @router.get("/queue", response_model=Envelope[job_schemas.Queue])
    async def queue(request: Request) -> Response:
        """How many jobs there are in each state, and how much waits."""
        return answer(request, render_queue(await desk.queue(call_of(request))))

    @router.get("/jobs/{job_id}", response_model=Envelope[job_schemas.Job])
    async def get_job(request: Request, job_id: str) -> Response:
        """One job. 404 job_not_found."""
        return tagged(request, render_job(await desk.get(call_of(request), job_id)))

    @router.get("/jobs/{job_id}/items", response_model=Envelope[job_schemas.FailedItems])
    async def items(
        request: Request,
        job_id: str,
        status: Annotated[Literal["failed"], Query(description="those that failed, the only ones kept")],
        after: Annotated[
            int, Query(ge=-1, le=2**63 - 1, description="next_after of the page before; -1: the first")
        ] = -1,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        """Items that failed, in their order, each with its reason."""
        last = after if cursor is None else read_number(cursor)
        found = await desk.failed_items(call_of(request), job_id, last, limit + 1)
        page = found[:limit]
        more = page[-1].number if len(found) > limit else None
        following = page_to(request, None if more is None else write_key(str(more)))
        shown = {
            "items": [render_item(item) for item in page],
            "next_cursor": following.cursor,
            "next_after": more,
        }
        return answer(request, shown, headers=following.headers)

    @router.get("/jobs/{job_id}/events", response_class=StreamingResponse)
    async def events(request: Request, job_id: str) -> Response:
        """The job's changes as server-sent events: `progress`, and `end` with the ended job.

        The data of an event are the job. With Last-Event-ID, what that one told is not told again.
        """
        job = await desk.get(call_of(request), job_id)
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
        job = await desk.get(call_of(request), job_id)
        upload_id = result_upload(job)
        size = await store.uploads.size(upload_id)
        format_ = str(job.spec.get("result_format", ResultFormat.JSONL.value))
        headers = {
            "Content-Length": str(size),
            "Content-Disposition": f'attachment; filename="{job.id}.{format_}"',
        }
        data = _away(request, store.uploads.read(upload_id))
        return StreamingResponse(data, 200, headers, _MEDIA_TYPES[format_])


def _add_changing(router: APIRouter, desk: JobDesk) -> None:
    @router.post("/jobs/{job_id}/pause", response_model=Envelope[job_schemas.Job])
    async def pause(request: Request, job_id: str) -> Response:
        """Begin nothing new of a job that is queued or runs. 409 wrong_job_state."""
        return answer(request, render_job(await desk.pause(call_of(request), job_id)))

    @router.post("/jobs/{job_id}/resume", response_model=Envelope[job_schemas.Job])
    async def resume(request: Request, job_id: str) -> Response:
        """Queue a job that is paused. 409 wrong_job_state."""
        return answer(request, render_job(await desk.resume(call_of(request), job_id)))

    @router.post("/jobs/{job_id}/retry", response_model=Envelope[job_schemas.Job])
    async def retry(request: Request, job_id: str) -> Response:
        """Queue a partial or failed job again: its failed items, and what it had not come to.

        409 wrong_job_state.
        """
        return answer(request, render_job(await desk.retry(call_of(request), job_id)))

    @router.delete("/jobs/{job_id}", response_model=Envelope[job_schemas.Job])
    async def cancel_job(
        request: Request,
        job_id: str,
        forget: Annotated[
            bool, Query(description="of a job that has ended: remove it and its files")
        ] = False,
    ) -> Response:
        """Cancel a job that has not ended; with `forget`, remove one that has. 404 job_not_found.

        What a cancelled job has stored already stays, and so does the job: to cancel it once more changes
        nothing. 409 wrong_job_state: it ended otherwise, or is to be forgotten before it has ended.
        """
        job = await (desk.forget if forget else desk.cancel)(call_of(request), job_id)
        return answer(request, render_job(job))


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
