"""JobService: work that is done later."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from citadel.vector.v1 import jobs_pb2 as pb
from hanax.core.errors import InvalidArgument
from hanax.gateway.calls import Call
from hanax.gateway.grpc.job_shapes import read_items, read_order, write_item, write_job
from hanax.gateway.grpc.methods import Methods, Streamed, Unary, Uploaded
from hanax.gateway.grpc.readings import read_message
from hanax.gateway.jobs.desk import JobDesk
from hanax.gateway.jobs.following import Followers
from hanax.gateway.jobs.results import result_upload
from hanax.gateway.jobs.store import JobStore
from hanax.gateway.jobs.submissions import Submissions
from hanax.gateway.list_cursors import read_key, write_key
from hanax.gateway.list_requests import FailedItemsRequest, JobListRequest
from hanax.gateway.requests import parse_request
from hanax.metadata.jobs.job import Job, JobState


def job_methods(desk: JobDesk, submissions: Submissions, store: JobStore, followers: Followers) -> Methods:
    return {
        **_submitting(submissions),
        **_looking(desk),
        **_following(desk, store, followers),
        "PauseJob": _change(desk.pause, pb.PauseJobRequest, pb.PauseJobResponse),
        "ResumeJob": _change(desk.resume, pb.ResumeJobRequest, pb.ResumeJobResponse),
        "RetryJob": _change(desk.retry, pb.RetryJobRequest, pb.RetryJobResponse),
        "CancelJob": _change(desk.cancel, pb.CancelJobRequest, pb.CancelJobResponse),
        "ForgetJob": _change(desk.forget, pb.ForgetJobRequest, pb.ForgetJobResponse),
    }


def _submitting(submissions: Submissions) -> Methods:
    async def submit(call: Call, question: pb.SubmitJobRequest) -> pb.SubmitJobResponse:
        order = read_order(question.job)
        if question.items_json:
            order["items"] = read_items(question.items_json)
        return pb.SubmitJobResponse(job=write_job(await submissions.submit(call, order)))

    async def upload(call: Call, parts: AsyncIterator[pb.UploadJobRequest]) -> pb.SubmitJobResponse:
        first = await anext(parts, None)
        if first is None or not first.HasField("start"):
            raise InvalidArgument("expected the part start in the first message")
        order = read_order(first.start.job)
        job = await submissions.submit_upload(call, order, first.start.file_name, _file(parts))
        return pb.SubmitJobResponse(job=write_job(job))

    return {
        "SubmitJob": Unary(pb.SubmitJobRequest, submit, changes=True),
        "UploadJob": Uploaded(pb.UploadJobRequest, upload),
    }


async def _file(parts: AsyncIterator[pb.UploadJobRequest]) -> AsyncIterator[bytes]:
    async for part in parts:
        if part.HasField("start"):
            raise InvalidArgument("expected the part start in the first message alone, and data behind it")
        yield part.data


def _looking(desk: JobDesk) -> Methods:
    async def list_all(call: Call, question: pb.ListJobsRequest) -> pb.ListJobsResponse:
        asked = parse_request(JobListRequest, read_message(question))
        state = None if asked.state is None else JobState(asked.state)
        last = asked.before if asked.cursor is None else read_key(asked.cursor)
        # One more tells whether there is a next page.
        found = await desk.list(call, asked.limit + 1, state, last)
        following = write_key(found[asked.limit - 1].id) if len(found) > asked.limit else ""
        return pb.ListJobsResponse(jobs=map(write_job, found[: asked.limit]), next_cursor=following)

    async def get(call: Call, question: pb.GetJobRequest) -> pb.GetJobResponse:
        return pb.GetJobResponse(job=write_job(await desk.get(call, question.id)))

    async def failed(call: Call, question: pb.ListFailedItemsRequest) -> pb.ListFailedItemsResponse:
        asked = parse_request(FailedItemsRequest, read_message(question, without=("id",)))
        found = await desk.failed_items(call, question.id, asked.after, asked.limit + 1)
        page = found[: asked.limit]
        after = page[-1].number if len(found) > asked.limit else None
        return pb.ListFailedItemsResponse(items=map(write_item, page), next_after=after)

    async def queue(call: Call, question: pb.GetQueueRequest) -> pb.GetQueueResponse:
        status = await desk.queue(call)
        return pb.GetQueueResponse(
            jobs={state.value: count for state, count in status.jobs.items()},
            tasks_waiting=status.waiting,
            tasks_running=status.running,
            oldest_wait_s=status.oldest_wait_s,
        )

    return {
        "ListJobs": Unary(pb.ListJobsRequest, list_all),
        "GetJob": Unary(pb.GetJobRequest, get),
        "ListFailedItems": Unary(pb.ListFailedItemsRequest, failed),
        "GetQueue": Unary(pb.GetQueueRequest, queue),
    }


def _following(desk: JobDesk, store: JobStore, followers: Followers) -> Methods:
    async def watch(call: Call, question: pb.WatchJobRequest) -> AsyncGenerator[pb.WatchJobResponse]:
        job = await desk.get(call, question.id)
        seen = question.after if question.HasField("after") else -1
        # Such a client waits, and nothing is worked on for it.
        with call.away():
            async with aclosing(followers.follow(job, seen)) as changes:
                async for change in changes:
                    told = None if change.job is None else write_job(change.job)
                    yield pb.WatchJobResponse(number=change.number, job=told)

    async def result(call: Call, question: pb.ReadResultRequest) -> AsyncGenerator[pb.ReadResultResponse]:
        upload = result_upload(await desk.get(call, question.id))
        yield pb.ReadResultResponse(size=await store.uploads.size(upload))
        async for portion in store.uploads.read(upload):
            yield pb.ReadResultResponse(data=portion)

    return {
        "WatchJob": Streamed(pb.WatchJobRequest, watch),
        "ReadResult": Streamed(pb.ReadResultRequest, result),
    }


def _change(
    change: Callable[[Call, str], Awaitable[Job]], question: type[Any], answer: type[Any]
) -> Unary[Any, Any]:
    async def changed(call: Call, asked: Any) -> Any:
        return answer(job=write_job(await change(call, asked.id)))

    return Unary(question, changed, changes=True)
