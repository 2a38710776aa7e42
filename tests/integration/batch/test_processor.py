"""What a processor makes of jobs: exact counts, whatever its gateway does."""

from __future__ import annotations

import asyncio
import errno
import io
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import orjson
import pytest

from hanax.batch_processor import task_runs
from hanax.core.errors import HanaxError, Internal, InvalidArgument, Overloaded, Unavailable
from hanax.metadata.jobs.job import FailedItem, JobState
from hanax.metadata.jobs.steps import keep_failed
from tests.integration.batch.processor_world import World, rows, texts, told
from tests.integration.waiting import until

EMBED = {"kind": "bulk_embed", "collection": "docs", "batch_size": 10}


async def test_texts_become_points_and_what_is_wrong_dead_letters(world: World) -> None:
    docs = world.gateway.add("docs")
    lines = texts(3_000).splitlines()
    lines[5] = b"{broken"
    lines[1_500] = orjson.dumps({"id": 1_500})
    lines[2_999] = orjson.dumps({"id": 2_999, "text": "LONG text"})
    lines[7] = orjson.dumps({"id": 7, "text": "ODD text"})
    job_id = await world.submit({**EMBED, "batch_size": 100}, b"\n".join(lines))
    async with world.processor():
        job = await world.ended(job_id)
    assert told(job) == (JobState.PARTIAL, 3_000, 2_996, 4)
    assert len(docs.points) == 2_996
    failed = await world.failed(job_id)
    assert [(one.number, one.line, one.code) for one in failed] == [
        (5, 6, "invalid_json"),
        (7, 8, "dimension_mismatch"),
        (1_500, 1_501, "invalid_argument"),
        (2_999, 3_000, "text_too_long"),
    ]
    assert job.result is not None
    assert job.result["inserted"] == 2_996


async def test_what_failed_is_tried_again_and_the_rest_is_not(world: World) -> None:
    docs = world.gateway.add("docs")
    data = rows({"id": 1, "text": "a"}, {"id": 2, "text": "LONG"}, {"id": 3}) + b"{broken\n"
    job_id = await world.submit(EMBED, data)
    async with world.processor():
        assert told(await world.ended(job_id)) == (JobState.PARTIAL, 4, 1, 3)
        world.gateway.refuses_long = False
        await world.jobs.retry(job_id)
        job = await world.ended(job_id)
    assert told(job) == (JobState.PARTIAL, 4, 2, 2)
    assert docs.ids() == [1, 2]
    assert max(docs.writes.values()) == 1
    assert [one.number for one in await world.failed(job_id)] == [2, 3]


async def test_a_task_that_is_quick_does_not_wait_for_the_time_of_its_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More batches than may be done and not recorded: when many are done they are recorded at once."""
    monkeypatch.setattr(task_runs, "_RECORD_S", 3_600.0)
    world.gateway.add("docs")
    job_id = await world.submit(EMBED, texts(1_000))
    async with world.processor():
        job = await world.ended(job_id)
    assert told(job) == (JobState.SUCCEEDED, 1_000, 1_000, 0)


async def test_vectors_of_a_file_become_points_with_ids_of_job_and_number(world: World) -> None:
    vecs = world.gateway.add("vecs")
    array = np.random.default_rng(5).standard_normal((1_200, 4))
    array[3] = 0
    data = io.BytesIO()
    np.save(data, array)
    job_id = await world.submit(
        {"kind": "bulk_insert", "collection": "vecs", "format": "npy"}, data.getvalue()
    )
    async with world.processor():
        job = await world.ended(job_id)
    assert told(job) == (JobState.PARTIAL, 1_200, 1_199, 1)
    stored = sorted(vector for _, vector, _ in vecs.points.values())
    assert stored == sorted(np.delete(array, 3, axis=0).astype("f4").tolist())


async def test_columns_that_the_gateway_refuses_go_row_by_row(world: World) -> None:
    vecs = world.gateway.add("vecs")
    data = io.BytesIO()
    np.save(data, np.random.default_rng(5).standard_normal((1_200, 4)))
    sizes: list[int] = []

    async def refuse(size: int) -> None:
        sizes.append(size)
        if size > 100:
            raise InvalidArgument("one of them is bad, and nobody says which")

    world.gateway.before = refuse
    spec = {"kind": "bulk_insert", "collection": "vecs", "format": "npy", "batch_size": 100}
    job_id = await world.submit(spec, data.getvalue())
    async with world.processor():
        job = await world.ended(job_id)
    assert told(job) == (JobState.SUCCEEDED, 1_200, 1_200, 0)
    assert len(vecs.points) == 1_200
    assert max(sizes) == 1_200


async def test_vectors_of_another_dimension_fail_the_job_before_anything_is_stored(world: World) -> None:
    vecs = world.gateway.add("vecs")
    data = io.BytesIO()
    np.save(data, np.ones((10, 3)))
    job_id = await world.submit(
        {"kind": "bulk_insert", "collection": "vecs", "format": "npy"}, data.getvalue()
    )
    async with world.processor():
        job = await world.ended(job_id)
    assert (job.state, job.error.code if job.error else None) == (JobState.FAILED, "dimension_mismatch")
    assert not vecs.points


async def test_more_failed_items_than_one_transaction_takes_are_recorded_in_several(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL takes 32,767 parameters, and a transaction has its time."""
    sizes: list[int] = []

    async def counted(connection: Any, job_id: str, failed: Sequence[FailedItem]) -> None:
        sizes.append(len(failed))
        await keep_failed(connection, job_id, failed)

    monkeypatch.setattr("hanax.metadata.jobs.work.keep_failed", counted)
    world.gateway.add("docs")
    spec = {**EMBED, "batch_size": 10_000}
    job_id = await world.submit(spec, b"{broken\n" * 40_000 + texts(5))
    async with world.processor(batch_tasks=1, batch_inflight=16):
        job = await world.ended(job_id)
    assert told(job) == (JobState.PARTIAL, 40_005, 5, 40_000)
    assert max(sizes) <= 4_000


async def test_a_result_that_can_not_be_written_is_waited_for_and_nothing_is_embedded_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = refused = 0

    async def count(size: int) -> None:
        nonlocal embedded
        embedded += size

    def full(file: BinaryIO, data: bytes) -> None:
        nonlocal refused
        refused += 1
        file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "no space left")

    world.gateway.before = count
    job_id = await world.submit({"kind": "bulk_embed", "batch_size": 10}, texts(300))
    with monkeypatch.context() as patched:
        patched.setattr("hanax.metadata.uploads.folder._write_all", full)
        async with world.processor():
            await until("it was tried again", lambda: refused > 2)
            patched.undo()
            job = await world.ended(job_id)
    assert told(job) == (JobState.SUCCEEDED, 300, 300, 0)
    assert embedded == 300
    found = [orjson.loads(line)["number"] for line in (await world.result(job)).splitlines()]
    assert found == list(range(300))


async def test_a_result_that_can_not_be_written_for_long_fails_the_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: BinaryIO, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    job_id = await world.submit({"kind": "bulk_embed"}, texts(300))
    monkeypatch.setattr("hanax.metadata.uploads.folder._write_all", full)
    async with world.processor(batch_patience_s=1.0):
        job = await world.ended(job_id)
    assert (job.state, job.error.code if job.error else None) == (JobState.FAILED, "storage_full")


async def test_whatever_a_sweep_fails_with_jobs_are_begun(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.gateway.add("docs")
    failures: list[str] = []

    def failing(name: str) -> Callable[..., Awaitable[Any]]:
        async def fail(*_: Any) -> None:
            failures.append(name)
            raise OSError(errno.EIO, "the disk is broken")

        return fail

    monkeypatch.setattr("hanax.batch_processor.sweeper._FAILED_PAUSE_S", 0.01)
    for what in ("jobs.Jobs.sweep", "jobs.Jobs.queue"):
        monkeypatch.setattr(f"hanax.metadata.jobs.{what}", failing(what))
    async with world.processor():
        await until("both have failed", lambda: len(set(failures)) == 2)
        job = await world.ended(await world.submit(EMBED, texts(5)))
    assert told(job) == (JobState.SUCCEEDED, 5, 5, 0)


async def test_messages_that_are_lost_each_time_hold_up_no_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(self: object, task_ids: Sequence[str]) -> int:
        return len(task_ids)

    monkeypatch.setattr("hanax.batch_processor.dispatch.InProcess.announce", lose)
    monkeypatch.setattr("hanax.batch_processor.sweeper._AGAIN_S", 0.01)
    world.gateway.add("docs")
    async with world.processor():
        job = await world.ended(await world.submit(EMBED, texts(50)))
    assert told(job) == (JobState.SUCCEEDED, 50, 50, 0)


@pytest.mark.parametrize("told_format", ["jsonl", "npy"])
async def test_without_a_collection_the_vectors_are_a_file_in_the_items_order(
    world: World, told_format: str
) -> None:
    lines = texts(2_300).splitlines()
    lines[1_100] = orjson.dumps({"id": 1_100})
    spec = {"kind": "bulk_embed", "result_format": told_format, "batch_size": 50}
    job_id = await world.submit(spec, b"\n".join(lines))
    async with world.processor():
        job = await world.ended(job_id)
    assert told(job) == (JobState.PARTIAL, 2_300, 2_299, 1)
    data = await world.result(job)
    if told_format == "npy":
        array = np.load(io.BytesIO(data))
        assert array.shape == (2_300, 4)
        assert np.flatnonzero(np.isnan(array).any(axis=1)).tolist() == [1_100]
    else:
        found = [orjson.loads(line) for line in data.splitlines()]
        assert [one["id"] for one in found] == [number for number in range(2_300) if number != 1_100]
    assert job.result is not None
    assert (job.result["dimension"], job.result["model"]) == (4, "model-a")


async def test_a_collection_is_embedded_anew_and_the_alias_moves_at_the_end(world: World) -> None:
    docs = world.gateway.add("docs")
    async with world.processor():
        await world.ended(await world.submit({**EMBED, "batch_size": 500}, texts(2_500)))
        spec = {
            "kind": "reembed",
            "collection": "docs",
            "target": "docs-2",
            "model": "model-b",
            "alias": "current",
            "batch_size": 90,
        }
        job = await world.ended(await world.submit(spec))
    assert told(job) == (JobState.SUCCEEDED, 2_500, 2_500, 0)
    target = world.gateway.collections["docs-2"]
    assert (target.spec.dimension, target.spec.embedding_model) == (6, "model-b")
    assert target.ids() == docs.ids()
    assert [target.points[one][2] for one in docs.points] == [docs.points[one][2] for one in docs.points]
    assert max(target.writes.values()) == 1
    assert world.gateway.aliases == {"current": "docs-2"}


async def test_points_without_text_fail_and_the_alias_stays(world: World) -> None:
    docs = world.gateway.add("docs")
    async with world.processor():
        await world.ended(await world.submit(EMBED, texts(30)))
        next(iter(docs.points.values()))[2].pop("text")
        spec = {"kind": "reembed", "collection": "docs", "target": "b", "model": "model-b", "alias": "now"}
        job = await world.ended(await world.submit(spec))
    assert told(job) == (JobState.PARTIAL, 30, 29, 1)
    assert world.gateway.aliases == {}


async def test_outages_and_refusals_are_waited_for_and_the_flow_is_throttled(world: World) -> None:
    docs = world.gateway.add("docs")

    def faults() -> Iterator[HanaxError | None]:
        yield from [None] * 8
        for _ in range(3):
            yield Unavailable("away")
            yield Overloaded("full", retry_after_s=0.05)
        yield Internal("once")
        while True:
            yield None

    world.gateway.faults = faults()
    job_id = await world.submit(EMBED, texts(400))
    async with world.processor(batch_inflight=3):
        job = await world.ended(job_id)
    assert told(job) == (JobState.SUCCEEDED, 400, 400, 0)
    assert len(docs.points) == 400
    assert world.gateway.most_at_once <= 4


async def test_a_collection_that_is_gone_fails_the_job_by_name(world: World) -> None:
    job_id = await world.submit(EMBED, texts(5))
    async with world.processor():
        job = await world.ended(job_id)
    assert (job.state, job.error.code if job.error else None) == (JobState.FAILED, "collection_not_found")


async def test_a_file_of_another_format_fails_the_job_by_name(world: World) -> None:
    world.gateway.add("docs")
    job_id = await world.submit(EMBED, b"id,text\n1,a\n")
    async with world.processor():
        job = await world.ended(job_id)
    assert (job.state, job.error.code if job.error else None) == (JobState.FAILED, "invalid_upload")


async def test_an_upload_that_is_lost_while_it_is_read_fails_the_job_by_name(world: World) -> None:
    world.gateway.add("docs")
    gate = Gate(world)
    job_id = await world.submit(EMBED, texts(3_000))
    async with world.processor(batch_tasks=1):
        await until("calls wait", lambda: gate.waiting > 0)
        world.lose_uploads()
        gate.open.set()
        job = await world.ended(job_id)
    assert (job.state, job.error.code if job.error else None) == (JobState.FAILED, "data_loss")


class Gate:
    """Calls with points wait at it while it is shut."""

    def __init__(self, world: World) -> None:
        self.open = asyncio.Event()
        self.waiting = 0
        world.gateway.before = self._wait

    async def _wait(self, size: int) -> None:
        if size:
            self.waiting += 1
            await self.open.wait()


async def test_a_paused_job_goes_on_where_it_was_and_a_cancelled_one_ends(world: World) -> None:
    docs = world.gateway.add("docs")
    gate = Gate(world)
    job_id = await world.submit(EMBED, texts(500))
    async with world.processor(batch_tasks=1) as stopping:
        await world.until(job_id, lambda job: gate.waiting > 0)
        await world.jobs.pause(job_id)
        # Calls that were on their way are given up; nothing new is sent.
        await until("calls wait", lambda: world.gateway.at_once == 0)
        gate.open.set()
        assert (await world.jobs.get(job_id)).done == 0
        await world.jobs.resume(job_id)
        job = await world.ended(job_id)
        assert told(job) == (JobState.SUCCEEDED, 500, 500, 0)
        assert len(docs.points) == 500
        gate.open.clear()
        other = await world.submit(EMBED, texts(500))
        count = gate.waiting
        await until("calls wait", lambda: gate.waiting > count)
        await world.jobs.cancel(other)
        # The slot is free again although the calls were never answered.
        gate.waiting = 0
        third = await world.submit({**EMBED, "collection": None}, texts(5))
        await until("calls wait", lambda: gate.waiting > 0)
        gate.open.set()
        assert (await world.ended(third)).state is JobState.SUCCEEDED
        assert not stopping.requested


async def test_a_processor_that_is_told_to_stop_leaves_its_work_to_another(world: World) -> None:
    docs = world.gateway.add("docs")
    gate = Gate(world)
    job_id = await world.submit(EMBED, texts(3_000))
    async with world.processor() as stopping:
        await until("calls wait", lambda: gate.waiting > 3)
        stopping.requested = True
    # It is gone, and its leases too, though they were for half a minute.
    gate.open.set()
    async with world.processor():
        job = await world.ended(job_id)
    assert told(job) == (JobState.SUCCEEDED, 3_000, 3_000, 0)
    assert len(docs.points) == 3_000


async def test_two_processors_share_a_job_and_write_no_item_twice(world: World) -> None:
    docs = world.gateway.add("docs")
    job_id = await world.submit(EMBED, texts(6_000))
    async with world.processor(batch_tasks=2), world.processor(batch_tasks=2):
        job = await world.ended(job_id)
    assert told(job) == (JobState.SUCCEEDED, 6_000, 6_000, 0)
    assert set(docs.writes.values()) == {1}
    assert len(docs.points) == 6_000


async def test_the_first_failed_item_ends_a_job_that_shall_stop(world: World) -> None:
    world.gateway.add("docs")
    job_id = await world.submit({**EMBED, "on_error": "stop"}, texts(50) + b"{broken\n" + texts(50))
    async with world.processor():
        job = await world.ended(job_id)
    assert (job.state, job.error.code if job.error else None) == (JobState.FAILED, "invalid_json")


async def test_a_job_of_higher_priority_goes_first(world: World) -> None:
    world.gateway.add("docs")
    ids = [await world.submit({**EMBED, "priority": priority}, texts(30)) for priority in (1, 5, 9)]
    async with world.processor(batch_jobs=1, batch_tasks=1):
        jobs = [await world.ended(job_id) for job_id in ids]
    ended = [job.ended_at_us or 0 for job in jobs]
    assert ended == sorted(ended, reverse=True)
