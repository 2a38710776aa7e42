"""What users do with jobs, on both databases: list, pause, resume, cancel, retry, failed items, clean-up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from hanax.core.errors import (
    AlreadyExists,
    JobNotFound,
    LeaseLost,
    ModelConflict,
    Overloaded,
    Unavailable,
    WrongJobState,
)
from hanax.core.job_specs import JobKind
from hanax.metadata.jobs.forgetting import forget_some
from hanax.metadata.jobs.job import MAX_ITEM_BYTES, FailedItem, JobOrder, JobState
from hanax.metadata.jobs.retrying import retry_items
from hanax.metadata.jobs.task import Step, TaskKind
from tests.integration.metadata.job_world import AT_ONCE, LEASE_S, JobWorld


async def test_a_job_is_kept_as_it_was_ordered(world: JobWorld) -> None:
    upload = await world.upload()
    spec = {"kind": "bulk_embed", "text_field": "Größe", "items": []}
    order = JobOrder(JobKind.BULK_EMBED, spec, 7, "mini", "docs", "uid-1", 12, upload)
    job = await world.jobs.submit(order)
    assert await world.jobs.get(job.id) == job
    assert (job.kind, job.state, job.spec, job.priority) == (JobKind.BULK_EMBED, JobState.QUEUED, spec, 7)
    assert (job.model, job.collection, job.collection_uid) == ("mini", "docs", "uid-1")
    assert (job.total, job.done, job.failed, job.error, job.result) == (12, 0, 0, None, None)
    assert job.created_at_us == world.now_us


async def test_jobs_are_listed_newest_first_page_by_page_and_by_state(world: JobWorld) -> None:
    ids = [(await world.submit()).id for _ in range(5)]
    newest = ids[::-1]
    assert [job.id for job in await world.jobs.list(2)] == newest[:2]
    assert [job.id for job in await world.jobs.list(2, before=newest[1])] == newest[2:4]
    assert [job.id for job in await world.jobs.list(9, before=newest[3])] == newest[4:]
    await world.jobs.cancel(ids[2])
    assert [job.id for job in await world.jobs.list(9, JobState.CANCELLED)] == [ids[2]]
    assert len(await world.jobs.list(9, JobState.QUEUED)) == 4


async def test_of_reembeds_into_one_target_that_come_at_once_one_is_taken(world: JobWorld) -> None:
    order = JobOrder(JobKind.REEMBED, {"kind": "reembed", "target": "made"}, 5, "mini", "docs")
    ended = await asyncio.gather(*(world.jobs.submit(order) for _ in range(6)), return_exceptions=True)
    refused = [told for told in ended if isinstance(told, BaseException)]
    assert [type(error) for error in refused] == [AlreadyExists] * 5
    assert len(await world.jobs.list(9)) == 1
    other = replace(order, spec={"kind": "reembed", "target": "another"})
    assert (await world.jobs.submit(other)).state is JobState.QUEUED


async def test_a_job_that_is_not_there_is_told(world: JobWorld) -> None:
    jobs = world.jobs
    for attempt in (
        jobs.get("x"),
        jobs.pause("x"),
        jobs.resume("x"),
        jobs.cancel("x"),
        jobs.retry("x"),
        jobs.failed_items("x", -1, 10),
        jobs.list(10, before="x"),
    ):
        with pytest.raises(JobNotFound):
            await attempt


async def test_a_paused_job_is_claimed_by_nobody_and_records_what_was_under_way(world: JobWorld) -> None:
    job = await world.divided(4, 2)
    claim = await world.claim("a")
    assert (await world.jobs.pause(job.id)).state is JobState.PAUSED
    assert await world.maybe_claim("b") is None
    assert await world.step(claim, 2, 2) is JobState.PAUSED
    assert await world.work.renew(claim, LEASE_S) is JobState.PAUSED
    await world.work.release(claim)
    assert await world.maybe_claim("b") is None
    assert (await world.jobs.resume(job.id)).state is JobState.QUEUED
    again = await world.claim("b")
    assert (again.task.id, again.task.watermark) == (claim.task.id, 2)
    await world.do(again)
    await world.do_all()
    told = await world.jobs.get(job.id)
    assert (told.state, told.done) == (JobState.SUCCEEDED, 6)


async def test_a_paused_job_makes_room_for_another(world: JobWorld) -> None:
    jobs = [await world.submit() for _ in range(AT_ONCE + 1)]
    claims = [await world.claim(f"p{number}") for number in range(AT_ONCE)]
    await world.jobs.pause(jobs[0].id)
    assert (await world.claim("more")).job.id == jobs[-1].id
    # Resumed, it waits for its turn like any other.
    await world.jobs.resume(jobs[0].id)
    await world.work.release(claims[0])
    assert await world.maybe_claim("more") is None


async def test_a_cancelled_job_records_nothing_more_and_lets_go_of_its_upload(world: JobWorld) -> None:
    upload = await world.upload()
    job = await world.divided(4, upload_id=upload)
    claim = await world.claim()
    await world.step(claim, 1, 1)
    ended = await world.jobs.cancel(job.id)
    assert (ended.state, ended.done, ended.upload_id) == (JobState.CANCELLED, 1, None)
    assert ended.ended_at_us == world.now_us
    with pytest.raises(LeaseLost):
        await world.step(claim, 2, 1)
    assert await world.maybe_claim("b") is None
    world.pass_s(60.0)
    assert await world.uploads.sweep(30.0) == 1


async def test_a_cancel_that_is_sent_again_changes_nothing(world: JobWorld) -> None:
    job = await world.divided(1)
    cancelled = await world.jobs.cancel(job.id)
    world.pass_s(5.0)
    assert await world.jobs.cancel(job.id) == cancelled == await world.jobs.get(job.id)


async def test_an_ended_job_is_forgotten_when_that_is_asked(world: JobWorld) -> None:
    job = await world.divided(1)
    await world.do(await world.claim(), failed=[0])
    await world.do_all()
    assert (await world.jobs.forget(job.id)).state is JobState.FAILED
    with pytest.raises(JobNotFound):
        await world.jobs.get(job.id)


@pytest.mark.parametrize(
    ("state", "refused"),
    [
        ("queued", ["resume", "retry", "forget"]),
        ("running", ["resume", "retry", "forget"]),
        ("paused", ["pause", "retry", "forget"]),
        ("succeeded", ["pause", "resume", "retry", "cancel"]),
        ("cancelled", ["pause", "resume", "retry"]),
        ("partial", ["pause", "resume", "cancel"]),
        ("failed", ["pause", "resume", "cancel"]),
    ],
)
async def test_what_does_not_go_with_a_state_is_refused_and_changes_nothing(
    world: JobWorld, state: str, refused: list[str]
) -> None:
    job_id = await job_in(world, state)
    before = await world.jobs.get(job_id)
    assert before.state == state
    for action in refused:
        with pytest.raises(WrongJobState) as told:
            await getattr(world.jobs, action)(job_id)
        assert told.value.details["state"] == state
    # Errors are not equal to one another.
    assert replace(await world.jobs.get(job_id), error=None) == replace(before, error=None)


async def job_in(world: JobWorld, state: str) -> str:
    if state == "queued":
        return (await world.submit()).id
    job = await world.divided(2)
    match state:
        case "paused":
            await world.jobs.pause(job.id)
        case "succeeded" | "partial" | "failed":
            failed = {"succeeded": [], "partial": [1], "failed": [0, 1]}[state]
            await world.do(await world.claim(), failed=failed)
            await world.do_all()
        case "cancelled":
            await world.jobs.cancel(job.id)
    return job.id


async def test_a_retry_does_the_failed_items_alone_and_counts_them_once(world: JobWorld) -> None:
    job = await world.divided(6, 6)
    await world.do(await world.claim(), failed=[1, 4])
    await world.do(await world.claim(), failed=[8])
    await world.do_all()
    assert (await world.jobs.get(job.id)).state is JobState.PARTIAL
    again = await world.jobs.retry(job.id)
    assert (again.state, again.done, again.failed, again.ended_at_us) == (JobState.QUEUED, 9, 0, None)
    # They do not count as failed while they are tried again.
    assert await world.jobs.failed_items(job.id, -1, 10) == []
    claim = await world.claim()
    assert (claim.task.kind, claim.task.count, claim.task.position) == (TaskKind.RUN, 3, {"failed": True})
    assert [item.number for item in await world.work.retried(claim, -1, 2)] == [1, 4]
    assert [item.number for item in await world.work.retried(claim, 4, 2)] == [8]
    await world.step(claim, 2, 1, failed=[4])
    # A crash in between: its heir goes on behind the last one.
    assert [item.number for item in await world.work.retried(claim, 4, 10)] == [8]
    await world.step(claim, 3, 1)
    await world.work.end_task(claim)
    await world.do_all()
    told = await world.jobs.get(job.id)
    assert (told.state, told.total, told.done, told.failed) == (JobState.PARTIAL, 12, 11, 1)
    assert [item.number for item in await world.jobs.failed_items(job.id, -1, 10)] == [4]
    await world.jobs.retry(job.id)
    await world.do_all()
    told = await world.jobs.get(job.id)
    assert (told.state, told.done, told.failed) == (JobState.SUCCEEDED, 12, 0)


async def test_a_retry_of_many_failed_items_has_several_tasks(
    world: JobWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hanax.metadata.jobs.retrying._TASK_ITEMS", 2)
    job = await world.divided(5)
    await world.do(await world.claim(), failed=range(5))
    await world.do_all()
    await world.jobs.retry(job.id)
    claims = [await world.claim(f"p{number}") for number in range(3)]
    numbers = [[item.number for item in await world.work.retried(claim, -1, 10)] for claim in claims]
    assert numbers == [[0, 1], [2, 3], [4]]


async def test_a_retry_that_was_broken_off_is_gone_on_with_by_the_next(
    world: JobWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items are taken in several transactions; until the last the job is as it was."""
    monkeypatch.setattr("hanax.metadata.jobs.retrying._TASK_ITEMS", 2)
    job = await world.divided(8)
    await world.do(await world.claim(), failed=range(7))
    await world.do_all()
    calls = 0

    async def some(*told: Any) -> int | None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Unavailable("the database is away")
        return await retry_items(*told)

    monkeypatch.setattr("hanax.metadata.jobs.jobs.retry_items", some)
    with pytest.raises(Unavailable):
        await world.jobs.retry(job.id)
    told = await world.jobs.get(job.id)
    assert (told.state, told.failed) == (JobState.PARTIAL, 7)
    assert await world.maybe_claim() is None
    await world.jobs.retry(job.id)
    retried: list[int] = []
    while (claim := await world.claim()).task.kind is TaskKind.RUN:
        retried += [item.number for item in await world.work.retried(claim, -1, 10)]
        await world.do(claim)
    assert retried == list(range(7))
    assert await world.do(claim) is JobState.SUCCEEDED


async def test_a_job_of_many_failed_items_is_forgotten_in_parts(
    world: JobWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is half gone can't be tried again."""
    monkeypatch.setattr("hanax.metadata.jobs.forgetting._ITEMS", 2)
    job = await world.divided(6)
    await world.do(await world.claim(), failed=range(5))
    await world.do_all()
    calls = 0

    async def some(*told: Any) -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Unavailable("the database is away")
        return await forget_some(*told)

    monkeypatch.setattr("hanax.metadata.jobs.jobs.forget_some", some)
    with pytest.raises(Unavailable):
        await world.jobs.forget(job.id)
    assert [item.number for item in await world.jobs.failed_items(job.id, -1, 10)] == [2, 3, 4]
    with pytest.raises(WrongJobState):
        await world.jobs.retry(job.id)
    assert (await world.jobs.forget(job.id)).id == job.id
    with pytest.raises(JobNotFound):
        await world.jobs.get(job.id)


async def test_a_retry_goes_on_where_a_job_failed_as_a_whole(world: JobWorld) -> None:
    job = await world.divided(4, 2)
    failing, other = await world.claim("a"), await world.claim("b")
    await world.step(failing, 2, 1, failed=[1])
    await world.work.fail_job(failing, ModelConflict("another dimension", got=3))
    told = await world.jobs.get(job.id)
    assert told.error is not None
    assert (told.error.code, told.error.details, told.error.message) == (
        "model_conflict",
        {"got": 3},
        "another dimension",
    )
    await world.jobs.retry(job.id)
    # Leases of the time before are void, even before another takes the task.
    with pytest.raises(LeaseLost):
        await world.step(other, 1, 1)
    await world.do_all()
    told = await world.jobs.get(job.id)
    assert (told.state, told.total, told.done, told.failed, told.error) == (
        JobState.SUCCEEDED,
        6,
        6,
        0,
        None,
    )


async def test_a_job_that_failed_in_its_finish_finishes_again(world: JobWorld) -> None:
    job = await world.divided(2)
    await world.do(await world.claim(), failed=[0])
    await world.work.fail_job(await world.claim(), ModelConflict("no"))
    await world.jobs.retry(job.id)
    await world.do_all()
    assert (await world.jobs.get(job.id)).state is JobState.SUCCEEDED


async def test_failed_items_are_told_page_by_page_as_they_were(world: JobWorld) -> None:
    job = await world.divided(4)
    claim = await world.claim()
    items = [
        FailedItem(0, "invalid_text", "nul \x00 and half \ud800", 1, 7, '{"text":"\\u0000"}'),
        FailedItem(2, "invalid_id", "b", None, "7", "{}"),
        FailedItem(3, "invalid_text", "long", 4, None, "x" * (MAX_ITEM_BYTES + 1)),
    ]
    await world.work.advance(claim, LEASE_S, Step(4, 1), items)
    first = await world.jobs.failed_items(job.id, -1, 2)
    assert [(item.number, item.id, item.line, item.item) for item in first] == [
        (0, 7, 1, '{"text":"\\u0000"}'),
        (2, "7", None, "{}"),
    ]
    assert first[0].message == "nul \ufffd and half ?"
    (last,) = await world.jobs.failed_items(job.id, 2, 2)
    # Too long to be kept: it is found again in the upload.
    assert (last.number, last.id, last.item) == (3, None, "")


async def test_old_jobs_are_forgotten_and_their_uploads_with_them(world: JobWorld) -> None:
    old = await world.divided(1, upload_id=await world.upload())
    await world.do(await world.claim(), failed=[0])
    await world.do_all()
    world.pass_s(100.0)
    new = await world.divided(1, upload_id=await world.upload())
    waiting = await world.submit(upload_id=await world.upload())
    await world.do_all()
    assert await world.uploads.sweep(50.0) == 0
    assert await world.jobs.sweep(50.0) == 1
    with pytest.raises(JobNotFound):
        await world.jobs.get(old.id)
    assert await world.uploads.sweep(50.0) == 1
    # One that has not ended is kept however old it is.
    await world.jobs.pause((await world.submit()).id)
    world.pass_s(1_000.0)
    assert {(await world.jobs.get(job.id)).id for job in (new, waiting)} == {new.id, waiting.id}


async def test_the_queue_tells_what_waits_and_for_how_long(world: JobWorld) -> None:
    for _ in range(AT_ONCE):
        await world.submit()
    await world.claim("a")
    world.pass_s(10.0)
    await world.submit()
    world.pass_s(2.0)
    status = await world.jobs.queue()
    assert (status.jobs[JobState.RUNNING], status.jobs[JobState.QUEUED]) == (AT_ONCE, 1)
    assert (status.running, status.waiting) == (1, AT_ONCE)
    assert status.oldest_wait_s == pytest.approx(2.0)


async def test_jobs_past_what_may_wait_are_refused(world: JobWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanax.metadata.jobs.jobs.MAX_WAITING_JOBS", 2)
    jobs = [await world.submit() for _ in range(2)]
    with pytest.raises(Overloaded):
        await world.submit()
    await world.jobs.cancel(jobs[0].id)
    await world.submit()
