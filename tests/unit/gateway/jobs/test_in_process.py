"""Jobs in memory: bounded, one at a time for each model, and forgotten in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hanax.core.errors import FailedPrecondition, JobNotFound, Overloaded
from hanax.gateway.jobs.in_process import InProcessJobs, JobLimits
from hanax.gateway.jobs.port import JobKind, JobOrder, JobRun, JobState

ROOMY = JobLimits(jobs=10, bytes=100_000, keep_s=60.0)


class Work:
    """Does nothing until it is let go; `result` is what it answers, `error` what it raises."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.running: list[str] = []
        self.most_by_model: dict[str, int] = {}
        self.result = b"{}"
        self.error: Exception | None = None

    async def __call__(self, run: JobRun) -> bytes:
        model = run.order.model
        self.running.append(model)
        here = self.running.count(model)
        self.most_by_model[model] = max(here, self.most_by_model.get(model, 0))
        run.progress(1)
        try:
            await self.go.wait()
            # Another turn of the loop, in which a second worker of the model would show.
            await asyncio.sleep(0)
        finally:
            self.running.remove(model)
        if self.error is not None:
            raise self.error
        return self.result


class Clock:
    now_us = 1_000_000

    def __call__(self) -> int:
        return self.now_us


@asynccontextmanager
async def running(limits: JobLimits, work: Work, clock: Clock | None = None) -> AsyncIterator[InProcessJobs]:
    jobs = InProcessJobs(limits, clock or Clock())
    await jobs.start({JobKind.EMBED: work})
    try:
        yield jobs
    finally:
        await jobs.close()


def order(model: str = "m", body: bytes = b"{}") -> JobOrder:
    return JobOrder(JobKind.EMBED, model, 2, body)


async def ended(jobs: InProcessJobs, job_id: str) -> JobState:
    async with asyncio.timeout(30):
        while True:
            state = (await jobs.get(job_id)).state
            if state.ended:
                return state
            await asyncio.sleep(0.001)


async def begun(jobs: InProcessJobs, job_id: str) -> None:
    async with asyncio.timeout(30):
        while True:
            if (await jobs.get(job_id)).state is not JobState.QUEUED:
                return
            await asyncio.sleep(0.001)


async def test_each_model_has_one_worker_and_holds_up_no_other() -> None:
    work = Work()
    async with running(ROOMY, work) as jobs:
        submitted = [(await jobs.submit(order(model))).id for model in "aabb"]
        for first in (submitted[0], submitted[2]):
            await begun(jobs, first)
        assert [(await jobs.get(job_id)).state for job_id in submitted] == [
            JobState.RUNNING,
            JobState.QUEUED,
            JobState.RUNNING,
            JobState.QUEUED,
        ]
        work.go.set()
        assert {await ended(jobs, job_id) for job_id in submitted} == {JobState.SUCCEEDED}
    assert work.most_by_model == {"a": 1, "b": 1}


async def test_what_a_job_came_to_is_kept() -> None:
    work = Work()
    work.go.set()
    async with running(ROOMY, work) as jobs:
        work.result = b'{"n":1}'
        good = (await jobs.submit(order())).id
        await ended(jobs, good)
        work.error = FailedPrecondition("no")
        bad = (await jobs.submit(order())).id
        await ended(jobs, bad)
        work.error = ZeroDivisionError()
        broken = (await jobs.submit(order())).id
        await ended(jobs, broken)
        assert (await jobs.get(good)).result == b'{"n":1}'
        assert (await jobs.get(good)).embedded == 1
        assert isinstance((await jobs.get(bad)).error, FailedPrecondition)
        told = (await jobs.get(broken)).error
        assert told is not None
        assert told.code == "internal"
        assert [job.id for job in await jobs.list(2)] == [broken, bad]
        assert [job.result for job in await jobs.list(10, JobState.SUCCEEDED)] == [None]


async def test_more_jobs_than_there_is_room_for_are_refused() -> None:
    work = Work()
    async with running(JobLimits(2, 100_000, 60.0), work) as jobs:
        first = (await jobs.submit(order())).id
        await jobs.submit(order())
        with pytest.raises(Overloaded) as refusal:
            await jobs.submit(order())
        assert refusal.value.details["retry_after_s"] > 0
        work.go.set()
        await ended(jobs, first)
        # The oldest that has ended makes room.
        await jobs.submit(order())
        with pytest.raises(JobNotFound):
            await jobs.get(first)


async def test_orders_and_results_are_bounded_in_bytes() -> None:
    work = Work()
    work.go.set()
    async with running(JobLimits(100, 20_000, 60.0), work) as jobs:
        with pytest.raises(Overloaded):
            await jobs.submit(order(body=b"x" * 20_000))
        kept = (await jobs.submit(order(body=b"x" * 10_000))).id
        work.result = b"y" * 10_000
        await ended(jobs, kept)
        # Its order is let go at its end, its result makes place for a newer one.
        newer = (await jobs.submit(order())).id
        assert await ended(jobs, newer) is JobState.SUCCEEDED
        with pytest.raises(JobNotFound):
            await jobs.get(kept)
        work.result = b"z" * 30_000
        large = (await jobs.submit(order())).id
        assert await ended(jobs, large) is JobState.FAILED
        told = (await jobs.get(large)).error
        assert told is not None
        assert told.code == "resource_exhausted"


async def test_jobs_are_forgotten_some_time_after_their_end() -> None:
    work, clock = Work(), Clock()
    work.go.set()
    async with running(ROOMY, work, clock) as jobs:
        job_id = (await jobs.submit(order())).id
        await ended(jobs, job_id)
        clock.now_us += 59_000_000
        await jobs.get(job_id)
        clock.now_us += 1_000_000
        with pytest.raises(JobNotFound):
            await jobs.get(job_id)


async def test_cancelling_ends_a_job_and_frees_its_place() -> None:
    work = Work()
    async with running(ROOMY, work) as jobs:
        job = await jobs.submit(order())
        behind = await jobs.submit(order())
        await begun(jobs, job.id)
        for job_id in (behind.id, job.id):
            assert (await jobs.cancel(job_id)).state is JobState.CANCELLED
        work.go.set()
        after = await jobs.submit(order())
        assert await ended(jobs, after.id) is JobState.SUCCEEDED
        assert (await jobs.get(job.id)).state is JobState.CANCELLED
        assert (await jobs.get(behind.id)).began_at_us is None
    assert not work.running


async def test_closing_ends_what_runs() -> None:
    work = Work()
    async with running(ROOMY, work) as jobs:
        job = await jobs.submit(order())
        await begun(jobs, job.id)
    assert not work.running
