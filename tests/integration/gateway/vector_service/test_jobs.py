"""JobService: what REST does with jobs, on a gateway whose jobs nobody does."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from citadel.vector.v1 import jobs_pb2 as pb
from citadel.vector.v1 import vector_pb2
from citadel.vector.v1.jobs_pb2_grpc import JobServiceStub
from tests.integration.gateway.stack import Stack
from tests.integration.gateway.vector_service.client import TIMEOUT_S, refused

ITEMS = [{"id": n, "vector": [1, n, 0], "year": 2020 + n} for n in range(3)]


@pytest.fixture
def jobs(kept_channel: grpc.Channel) -> JobServiceStub:
    return JobServiceStub(kept_channel)


def _submission(items: list[Any] | None = None, **spec: Any) -> pb.SubmitJobRequest:
    spec = spec or {"bulk_insert": pb.BulkInsert(collection="kept")}
    rows = ITEMS if items is None else items
    return pb.SubmitJobRequest(job=pb.JobSpec(**spec), items_json=[json.dumps(row).encode() for row in rows])


def _over_rest(stack: Stack, job_id: str) -> Any:
    return stack.data(stack.client.get(f"/api/v1/jobs/{job_id}"))


def _check_like_rest(stack: Stack, job: pb.Job) -> Any:
    over_rest = _over_rest(stack, job.id)
    assert job.kind == over_rest["kind"]
    assert pb.JobState.Name(job.state) == f"JOB_STATE_{over_rest['state'].upper()}"
    assert (job.model or None, job.collection or None) == (over_rest["model"], over_rest["collection"])
    assert json.loads(job.spec_json) == over_rest["spec"]
    assert job.priority == over_rest["priority"]
    total = job.progress.total if job.progress.HasField("total") else None
    assert total == over_rest["progress"]["total"]
    return over_rest


def test_a_job_of_items(kept_stack: Stack, jobs: JobServiceStub) -> None:
    insert = pb.BulkInsert(
        collection="kept", mode=vector_pb2.INSERT_MODE_INSERT, metadata=pb.METADATA_SOURCE_REST
    )
    told = jobs.SubmitJob(
        _submission(bulk_insert=insert, priority=7, batch_size=2, stop_on_error=True), timeout=TIMEOUT_S
    )
    spec = _check_like_rest(kept_stack, told.job)["spec"]
    assert (spec["mode"], spec["metadata"], spec["on_error"]) == ("insert", "rest", "stop")
    assert (spec["batch_size"], told.job.priority, told.job.progress.total) == (2, 7, 3)


def test_texts_into_a_file_and_their_defaults(kept_stack: Stack, jobs: JobServiceStub) -> None:
    embed = pb.BulkEmbed(id_field="", result_format=pb.RESULT_FORMAT_NPY)
    told = jobs.SubmitJob(_submission([{"text": "one"}], bulk_embed=embed), timeout=TIMEOUT_S)
    spec = _check_like_rest(kept_stack, told.job)["spec"]
    assert (spec["id_field"], spec["result_format"], spec["purpose"]) == (None, "npy", "document")
    assert told.job.model == "hash-384"
    with refused() as errors:
        list(jobs.ReadResult(pb.ReadResultRequest(id=told.job.id), timeout=TIMEOUT_S))
    assert errors[0].code == "wrong_job_state"


def test_a_file_that_is_sent_in_parts(kept_stack: Stack, jobs: JobServiceStub) -> None:
    lines = b"".join(json.dumps(item).encode() + b"\n" for item in ITEMS * 1_000)

    def parts(spec: pb.JobSpec, name: str = "points.jsonl") -> Iterator[pb.UploadJobRequest]:
        yield pb.UploadJobRequest(start=pb.UploadStart(job=spec, file_name=name))
        for start in range(0, len(lines), 10_000):
            yield pb.UploadJobRequest(data=lines[start : start + 10_000])

    spec = pb.JobSpec(bulk_insert=pb.BulkInsert(collection="kept"))
    told = jobs.UploadJob(parts(spec), timeout=TIMEOUT_S)
    assert _check_like_rest(kept_stack, told.job)["spec"]["format"] == "jsonl"

    for stream, code in (
        (iter([pb.UploadJobRequest(data=b"{}")]), "invalid_argument"),
        (iter(()), "invalid_argument"),
        (parts(spec, "points.doc"), "invalid_upload"),
        (parts(spec, "points.parquet"), "invalid_upload"),
        (parts(pb.JobSpec()), "invalid_argument"),
    ):
        with refused() as errors:
            jobs.UploadJob(stream, timeout=TIMEOUT_S)
        assert errors[0].code == code


def test_lists_the_queue_and_failed_items(kept_stack: Stack, jobs: JobServiceStub) -> None:
    ids = [jobs.SubmitJob(_submission(), timeout=TIMEOUT_S).job.id for _ in range(3)]
    newest = jobs.ListJobs(pb.ListJobsRequest(limit=2, state=pb.JOB_STATE_QUEUED), timeout=TIMEOUT_S)
    assert [job.id for job in newest.jobs] == ids[:0:-1]
    older = jobs.ListJobs(pb.ListJobsRequest(limit=1, before=ids[1]), timeout=TIMEOUT_S)
    assert [job.id for job in older.jobs] == [ids[0]]
    over_rest = kept_stack.data(kept_stack.client.get("/api/v1/queue"))
    queue = jobs.GetQueue(pb.GetQueueRequest(), timeout=TIMEOUT_S)
    assert dict(queue.jobs) == over_rest["jobs"]
    items = jobs.ListFailedItems(pb.ListFailedItemsRequest(id=ids[0]), timeout=TIMEOUT_S)
    assert (len(items.items), items.HasField("next_after")) == (0, False)


def test_a_job_is_paused_resumed_cancelled_and_forgotten(kept_stack: Stack, jobs: JobServiceStub) -> None:
    id_ = jobs.SubmitJob(_submission(), timeout=TIMEOUT_S).job.id
    paused = jobs.PauseJob(pb.PauseJobRequest(id=id_), timeout=TIMEOUT_S)
    assert paused.job.state == pb.JOB_STATE_PAUSED
    resumed = jobs.ResumeJob(pb.ResumeJobRequest(id=id_), timeout=TIMEOUT_S)
    assert resumed.job.state == pb.JOB_STATE_QUEUED
    for refusal in (
        lambda: jobs.RetryJob(pb.RetryJobRequest(id=id_), timeout=TIMEOUT_S),
        lambda: jobs.ForgetJob(pb.ForgetJobRequest(id=id_), timeout=TIMEOUT_S),
    ):
        with refused() as errors:
            refusal()
        assert errors[0].code == "wrong_job_state"
    for _ in range(2):
        cancelled = jobs.CancelJob(pb.CancelJobRequest(id=id_), timeout=TIMEOUT_S)
        assert cancelled.job.state == pb.JOB_STATE_CANCELLED
    jobs.ForgetJob(pb.ForgetJobRequest(id=id_), timeout=TIMEOUT_S)
    with refused() as errors:
        jobs.GetJob(pb.GetJobRequest(id=id_), timeout=TIMEOUT_S)
    assert errors[0].code == "job_not_found"


def test_changes_are_told_to_the_end(kept_stack: Stack, jobs: JobServiceStub) -> None:
    id_ = jobs.SubmitJob(_submission(), timeout=TIMEOUT_S).job.id
    changes = jobs.WatchJob(pb.WatchJobRequest(id=id_), timeout=TIMEOUT_S)
    first = next(changes)
    assert first.job.state == pb.JOB_STATE_QUEUED
    jobs.CancelJob(pb.CancelJobRequest(id=id_), timeout=TIMEOUT_S)
    *_, last = changes
    assert (last.job.state, last.number != first.number) == (pb.JOB_STATE_CANCELLED, True)
    # What was told is not told again, but the end is.
    (again,) = jobs.WatchJob(pb.WatchJobRequest(id=id_, after=last.number), timeout=TIMEOUT_S)
    assert again.number == last.number


BAD: list[tuple[dict[str, Any], list[Any] | None]] = [
    ({"bulk_insert": pb.BulkInsert(collection="nope")}, None),
    ({"bulk_insert": pb.BulkInsert(collection="kept")}, [1]),
    ({"bulk_insert": pb.BulkInsert(collection="kept"), "batch_size": 0}, None),
    ({"bulk_insert": pb.BulkInsert(collection="kept"), "priority": 10}, None),
    ({"bulk_insert": pb.BulkInsert()}, None),
    ({"bulk_insert": pb.BulkInsert(collection="kept")}, []),
    ({"bulk_embed": pb.BulkEmbed(model="nope")}, [{"text": "a"}]),
    ({"bulk_embed": pb.BulkEmbed(collection="kept")}, [{"text": "a"}]),
    ({"reembed": pb.Reembed(collection="kept", target="kept", model="hash-384")}, []),
    ({"reembed": pb.Reembed(collection="kept", target="other", model="hash-384")}, [{"text": "a"}]),
    ({"priority": 1}, None),
]


@pytest.mark.parametrize(("spec", "items"), BAD, ids=range(len(BAD)))
def test_a_mistake_is_the_same_over_rest(
    kept_stack: Stack, jobs: JobServiceStub, spec: dict[str, Any], items: list[Any] | None
) -> None:
    body: dict[str, Any] = {}
    for name, value in spec.items():
        if hasattr(value, "ListFields"):
            body |= {"kind": name, **{field.name: given for field, given in value.ListFields()}}
        else:
            body[name] = value
    rows = ITEMS if items is None else items
    if rows:
        body["items"] = rows
    over_rest = kept_stack.post("/api/v1/jobs", body).json()["error"]
    with refused() as errors:
        jobs.SubmitJob(_submission(items, **spec), timeout=TIMEOUT_S)
    assert (errors[0].code, errors[0].message) == (over_rest["code"], over_rest["message"])


def test_items_that_are_no_json_and_ids_of_no_job(jobs: JobServiceStub) -> None:
    request = _submission()
    request.items_json.append(b"{")
    with refused() as errors:
        jobs.SubmitJob(request, timeout=TIMEOUT_S)
    assert (errors[0].code, errors[0].details["index"]) == ("invalid_json", 3)
    with refused() as errors:
        list(jobs.WatchJob(pb.WatchJobRequest(id=uuid.uuid4().hex), timeout=TIMEOUT_S))
    assert errors[0].code == "job_not_found"
    with refused() as errors:
        jobs.ListJobs(pb.ListJobsRequest(limit=1_001), timeout=TIMEOUT_S)
    assert errors[0].code == "invalid_limit"
