"""Claims, steps and ends of tasks, on both databases: fenced, exact, in order."""

from __future__ import annotations

import asyncio

import pytest

from hanax.core.errors import CollectionNotFound, Internal, LeaseLost
from hanax.metadata.database import Database
from hanax.metadata.jobs import claiming
from hanax.metadata.jobs.job import JobState
from hanax.metadata.jobs.task import NewTask, Part, Step, TaskKind
from tests.integration.metadata.job_world import AT_ONCE, LEASE_S, JobWorld


async def test_a_job_is_divided_run_and_finished_with_exact_counts(world: JobWorld) -> None:
    job = await world.divided(3, 2)
    assert (job.state, job.total, job.done) == (JobState.RUNNING, 5, 0)
    first, second = await world.claim("a"), await world.claim("b")
    assert [(c.task.number, c.task.first, c.task.position) for c in (first, second)] == [
        (1, 0, {"at": 0}),
        (2, 3, {"at": 3}),
    ]
    assert await world.maybe_claim("c") is None
    await world.step(first, 2, 1, failed=[1])
    await world.step(first, 3, 1)
    assert await world.work.end_task(first) is JobState.RUNNING
    await world.do(second)
    finish = await world.claim("c")
    assert finish.task.kind is TaskKind.FINISH
    assert await world.work.end_task(finish, {"place": "here"}) is JobState.PARTIAL
    ended = await world.jobs.get(job.id)
    assert (ended.state, ended.total, ended.done, ended.failed) == (JobState.PARTIAL, 5, 4, 1)
    assert ended.result == {"place": "here"}
    assert ended.ended_at_us == world.now_us


async def test_tasks_are_claimed_before_the_division_has_ended(world: JobWorld) -> None:
    job = await world.submit()
    divide = await world.claim("a")
    await world.work.add_tasks(divide, [NewTask(0, 2, {})], 2, {"row": 2})
    run = await world.claim("b")
    assert run.task.kind is TaskKind.RUN
    await world.do(run)
    # The finish waits for the division too.
    assert await world.maybe_claim("b") is None
    await world.work.add_tasks(divide, [], 2)
    await world.work.end_task(divide)
    assert (await world.claim("b")).task.kind is TaskKind.FINISH
    assert (await world.jobs.get(job.id)).total == 2


async def test_a_division_goes_on_where_a_crash_left_it_and_adds_no_task_twice(world: JobWorld) -> None:
    await world.submit()
    crashed = await world.claim("a")
    portion = [NewTask(0, 2, {})]
    await world.work.add_tasks(crashed, portion, 2, {"row": 2})
    # Its answer was lost.
    await world.work.add_tasks(crashed, portion, 2, {"row": 2})
    world.pass_s(LEASE_S + 1)
    heir = await world.claim("b", crashed.task.id)
    assert (heir.task.watermark, heir.task.cursor) == (2, {"row": 2})
    with pytest.raises(LeaseLost):
        await world.work.add_tasks(crashed, [NewTask(2, 2, {})], 4)
    await world.work.add_tasks(heir, [NewTask(2, 1, {})], 3)
    await world.work.end_task(heir)
    await world.do_all()
    (job,) = await world.jobs.list(10)
    assert (job.state, job.total, job.done) == (JobState.SUCCEEDED, 3, 3)


async def test_who_lost_the_lease_records_nothing(world: JobWorld) -> None:
    job = await world.divided(4)
    slow = await world.claim("slow")
    await world.step(slow, 1, 1)
    world.pass_s(LEASE_S + 1)
    quick = await world.claim("quick")
    assert (quick.task.id, quick.task.watermark) == (slow.task.id, 1)
    before = await world.jobs.get(job.id)
    for attempt in (
        world.step(slow, 2, 0, failed=[1]),
        world.work.renew(slow, LEASE_S),
        world.work.end_task(slow),
        world.work.fail_job(slow, CollectionNotFound("gone")),
    ):
        with pytest.raises(LeaseLost):
            await attempt
    # To give it back is no error, and takes nothing from the other.
    await world.work.release(slow)
    assert await world.maybe_claim("third") is None
    assert await world.jobs.get(job.id) == before
    assert await world.jobs.failed_items(job.id, -1, 10) == []
    await world.do(quick)
    assert (await world.jobs.get(job.id)).done == 4


async def test_the_same_owner_that_claims_again_has_another_fence(world: JobWorld) -> None:
    """A process that hung, and started its task anew, is two claimants."""
    await world.divided(2)
    old = await world.claim("a")
    world.pass_s(LEASE_S + 1)
    new = await world.claim("a")
    assert new.fence > old.fence
    with pytest.raises(LeaseLost):
        await world.step(old, 1, 1)


async def test_a_lease_that_ran_out_untaken_still_counts(world: JobWorld) -> None:
    await world.divided(2)
    claim = await world.claim("a")
    world.pass_s(LEASE_S + 1)
    await world.step(claim, 1, 1)
    # It is renewed by that.
    assert await world.maybe_claim("b") is None


async def test_a_step_that_is_sent_twice_counts_once(world: JobWorld) -> None:
    job = await world.divided(4)
    claim = await world.claim("a")
    for _ in range(2):
        assert await world.step(claim, 2, 1, failed=[1]) is JobState.RUNNING
    told = await world.jobs.get(job.id)
    assert (told.done, told.failed) == (1, 1)
    with pytest.raises(Internal):
        await world.step(claim, 4, 1)
    assert await world.jobs.get(job.id) == told


async def test_counts_and_facts_of_steps_are_the_jobs_result(world: JobWorld) -> None:
    job = await world.divided(2, 2)
    for claim in (await world.claim("a"), await world.claim("b")):
        step = Step(2, 2, counts={"inserted": 1, "updated": 1}, facts={"dimension": 8})
        await world.work.advance(claim, LEASE_S, step)
        await world.work.end_task(claim)
    await world.work.end_task(await world.claim(), {"format": "jsonl"})
    told = await world.jobs.get(job.id)
    assert told.result == {"inserted": 2, "updated": 2, "dimension": 8, "format": "jsonl"}


async def test_a_run_with_other_items_than_were_thought_changes_the_total(world: JobWorld) -> None:
    job = await world.submit()
    divide = await world.claim("a")
    await world.work.add_tasks(divide, [NewTask(0, 5, {}), NewTask(5, 5, {}), NewTask(10, 5, {})], 15)
    short, long, late = await world.claim("b"), await world.claim("c"), await world.claim("d")
    await world.step(short, 3, 3)
    await world.work.end_task(short)
    await world.work.end_task(divide)
    assert (await world.jobs.get(job.id)).total == 13
    await world.step(long, 6, 6)
    await world.work.end_task(long)
    await world.do(late)
    await world.do_all()
    told = await world.jobs.get(job.id)
    assert (told.state, told.total, told.done) == (JobState.SUCCEEDED, 14, 14)


async def test_a_job_whose_items_all_failed_has_failed(world: JobWorld) -> None:
    job = await world.divided(2)
    await world.do(await world.claim(), failed=[0, 1])
    await world.do(await world.claim())
    told = await world.jobs.get(job.id)
    assert (told.state, told.failed) == (JobState.FAILED, 2)
    assert told.error is not None
    assert (told.error.code, told.error.details) == ("invalid_text", {"item": 0})


async def test_a_job_without_items_succeeds(world: JobWorld) -> None:
    job = await world.divided()
    await world.do_all()
    told = await world.jobs.get(job.id)
    assert (told.state, told.total) == (JobState.SUCCEEDED, 0)


async def test_stop_on_error_fails_the_job_with_its_first_failed_item(world: JobWorld) -> None:
    job = await world.divided(4, spec={"kind": "bulk_insert", "on_error": "stop"})
    claim = await world.claim()
    assert await world.step(claim, 2, 1, failed=[1]) is JobState.FAILED
    told = await world.jobs.get(job.id)
    assert (told.state, told.done, told.failed) == (JobState.FAILED, 1, 1)
    assert told.error is not None
    assert told.error.details == {"item": 1, "line": 2}
    with pytest.raises(LeaseLost):
        await world.step(claim, 4, 2)


async def test_too_many_failed_items_fail_the_job(world: JobWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanax.metadata.jobs.steps.MAX_FAILED_ITEMS", 2)
    job = await world.divided(9)
    claim = await world.claim()
    assert await world.step(claim, 2, 0, failed=[0, 1]) is JobState.RUNNING
    assert await world.step(claim, 3, 0, failed=[2]) is JobState.FAILED
    told = await world.jobs.get(job.id)
    assert told.error is not None
    assert told.error.code == "resource_exhausted"


async def test_a_task_that_ends_its_processors_fails_its_job(world: JobWorld) -> None:
    job = await world.divided(4)
    for number in range(claiming.MAX_LOSSES + 1):
        await world.claim(f"crashed-{number}")
        world.pass_s(LEASE_S + 1)
    assert await world.maybe_claim("wary") is None
    told = await world.jobs.get(job.id)
    assert told.state is JobState.FAILED
    assert told.error is not None
    assert told.error.code == "internal"


async def test_a_task_that_is_given_back_or_moves_on_is_not_given_up(world: JobWorld) -> None:
    await world.divided(50)
    for number in range(2 * claiming.MAX_LOSSES):
        claim = await world.claim(f"owner-{number}")
        if number % 2:
            await world.work.release(claim)
        else:
            await world.step(claim, claim.task.watermark + 1, 1)
            world.pass_s(LEASE_S + 1)
    assert await world.maybe_claim("next") is not None


async def test_a_task_that_is_given_back_for_later_waits(world: JobWorld) -> None:
    await world.divided(2)
    await world.work.release(await world.claim("a"), again_after_s=5.0)
    assert await world.maybe_claim("b") is None
    world.pass_s(5.0)
    assert (await world.claim("b")).task.number == 1


async def test_priority_comes_before_age_and_few_leases_before_many(world: JobWorld) -> None:
    old = await world.divided(1, 1, 1)
    await world.jobs.pause(old.id)
    new = await world.divided(1, 1)
    await world.jobs.resume(old.id)
    urgent = await world.submit(9)
    claimed = [(await world.claim(f"p{number}")).job.id for number in range(5)]
    assert claimed == [urgent.id, old.id, new.id, old.id, new.id]
    assert (await world.claim("last")).job.id == old.id


async def test_queued_jobs_are_started_by_priority_then_age(world: JobWorld) -> None:
    running = [await world.submit() for _ in range(AT_ONCE)]
    for _ in running:
        await world.claim("busy")
    low, old, new = await world.submit(1), await world.submit(), await world.submit()
    urgent = await world.submit(9)
    ends = running[0].id
    for expected in (urgent, old, new, low):
        assert await world.maybe_claim("next") is None
        await world.jobs.cancel(ends)
        ends = (await world.claim("next")).job.id
        assert ends == expected.id


async def test_no_more_jobs_run_at_once_than_may(world: JobWorld) -> None:
    ids = [(await world.submit()).id for _ in range(AT_ONCE + 2)]
    claims = [await world.claim(f"p{number}") for number in range(AT_ONCE)]
    assert [claim.job.id for claim in claims] == ids[:AT_ONCE]
    assert await world.maybe_claim("more") is None
    await world.jobs.cancel(ids[1])
    assert (await world.claim("more")).job.id == ids[AT_ONCE]
    states = [(await world.jobs.get(job_id)).state for job_id in ids]
    assert states.count(JobState.RUNNING) == AT_ONCE


async def test_two_processors_never_start_too_many_nor_share_a_task(
    world: JobWorld, database: Database
) -> None:
    for _ in range(6):
        await world.submit()
    got = await asyncio.gather(*(world.maybe_claim(f"p{number}") for number in range(8)))
    claims = [claim for claim in got if claim is not None]
    assert len({claim.task.id for claim in claims}) == len(claims) <= AT_ONCE
    running = [job for job in await world.jobs.list(10) if job.state is JobState.RUNNING]
    assert len(running) == AT_ONCE


async def test_steps_of_many_at_once_add_up(world: JobWorld) -> None:
    job = await world.divided(*[20] * 8)

    async def processor(name: str) -> None:
        while (claim := await world.maybe_claim(name)) is not None:
            if claim.task.kind is TaskKind.FINISH:
                await world.work.end_task(claim)
                continue
            for watermark in range(5, 21, 5):
                bad = claim.task.first + watermark - 1
                await world.step(claim, watermark, 4, failed=[bad])
            await world.work.end_task(claim)

    await asyncio.gather(*(processor(f"p{number}") for number in range(6)))
    await world.do_all()
    told = await world.jobs.get(job.id)
    assert (told.state, told.total, told.done, told.failed) == (JobState.PARTIAL, 160, 128, 32)
    assert len(await world.jobs.failed_items(job.id, -1, 1_000)) == 32


async def test_result_bytes_count_as_far_as_they_were_recorded(world: JobWorld) -> None:
    """A processor that was cut off left more bytes than count; its heir writes an upload of its own."""
    await world.divided(4, 2)
    crashed, other = await world.claim("a"), await world.claim("b")
    uploads = [await world.upload() for _ in range(3)]
    await world.work.advance(other, LEASE_S, Step(2, 2, part=Part(uploads[2], 50)))
    await world.work.end_task(other)
    for watermark, size in ((1, 10), (2, 25)):
        await world.work.advance(crashed, LEASE_S, Step(watermark, 1, part=Part(uploads[0], size)))
    world.pass_s(LEASE_S + 1)
    heir = await world.claim("c")
    with pytest.raises(LeaseLost):
        await world.work.advance(crashed, LEASE_S, Step(3, 1, part=Part(uploads[0], 40)))
    await world.work.advance(heir, LEASE_S, Step(4, 2, part=Part(uploads[1], 30)))
    await world.work.end_task(heir)
    parts = await world.work.parts(await world.claim("finisher"))
    assert [(part.first, part.part.upload_id, part.part.bytes) for part in parts] == [
        (0, uploads[0], 25),
        (0, uploads[1], 30),
        (4, uploads[2], 50),
    ]


async def test_tasks_are_announced_once_and_again_after_a_while(world: JobWorld) -> None:
    await world.divided(2, 2)
    claim = await world.claim("a")
    (waiting,) = await world.work.announce(10, 5.0, AT_ONCE)
    assert waiting.task_id != claim.task.id
    assert not waiting.again
    assert await world.work.announce(10, 5.0, AT_ONCE) == []
    world.pass_s(5.0)
    assert await world.work.announce(10, 5.0, AT_ONCE) == [(waiting.task_id, True)]
    # A lease that ran out is told too; and a job that is queued is started.
    world.pass_s(LEASE_S)
    await world.submit(9)
    assert len(await world.work.announce(10, 5.0, AT_ONCE)) == 3


async def test_the_rate_follows_what_is_done(world: JobWorld) -> None:
    job = await world.divided(1_000)
    claim = await world.claim()
    for step in range(1, 61):
        world.pass_s(1.0)
        await world.step(claim, step * 10, 10)
    assert (await world.jobs.get(job.id)).rate == pytest.approx(10, rel=0.05)
    # Nothing is done any more: neither one job nor a list of them tells a rate that was.
    world.pass_s(60.0)
    (listed,) = await world.jobs.list(1)
    assert listed.rate == (await world.jobs.get(job.id)).rate == pytest.approx(0.5, rel=0.1)
    world.pass_s(600.0)
    assert (await world.jobs.get(job.id)).rate == 0
