"""Jobs over every transport: ordered, followed to their end, and their results read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import orjson
import pytest

from hxp_vector_client.errors import JobNotFound, NotSupported, VectorError, WrongJobState
from tests.integration.sdk.conftest import MODEL, Client


async def test_a_job_stores_points_and_tells_of_its_failed_items(client: Client, name: str) -> None:
    await client("collections.create", name, 2)
    items = [{"id": 1, "vector": [1, 0], "year": 2024}, {"id": 2, "vector": [1]}]
    job = await client("jobs.submit", "bulk_insert", collection=name, items=items, priority=7)
    assert (job.kind, job.collection, job.priority) == ("bulk_insert", name, 7)
    seen: list[tuple[int, int | None]] = []
    ended = await client("jobs.wait", job, timeout_s=100, progress=lambda *now: seen.append(now))
    assert (ended.state, ended.ended, ended.progress.done, ended.progress.failed) == ("partial", True, 1, 1)
    assert seen[-1] == (2, 2)
    assert ended.result is not None
    assert ended.result["inserted"] == 1
    (failed,) = await client("jobs.failed_items", job)
    assert (failed.number, failed.error.code) == (1, "dimension_mismatch")
    assert failed.item["id"] == 2
    assert (await client("get_one", name, 1)).metadata == {"year": 2024}
    assert job.job_id in [one.job_id for one in await client("jobs.list", state="partial")]
    assert (await client("jobs.queue")).jobs["partial"] >= 1
    again = await client("jobs.retry", job)
    assert again.job_id == job.job_id
    await client("jobs.wait", job, timeout_s=100)


async def test_a_job_is_watched_to_its_end(client: Client, name: str) -> None:
    await client("collections.create", name, 2)
    items = [{"id": number, "vector": [1, number]} for number in range(20)]
    job = await client("jobs.submit", "bulk_insert", collection=name, items=items)
    seen = await client("jobs.watch", job, timeout_s=100)
    assert {one.job_id for one in seen} == {job.job_id}
    assert [one.ended for one in seen] == [False] * (len(seen) - 1) + [True]
    assert (seen[-1].state, seen[-1].progress.done) == ("succeeded", 20)
    # One that has ended is told at once, and only once.
    assert [one.state for one in await client("jobs.watch", job.job_id)] == ["succeeded"]
    with pytest.raises(JobNotFound):
        await client("jobs.watch", "nobody")


async def test_a_result_file_is_read_and_the_job_forgotten(client: Client, tmp_path: Path) -> None:
    items = [{"id": number, "text": f"text {number}"} for number in range(3)]
    job = await client("jobs.submit", "bulk_embed", model=MODEL, items=items, result_format="npy")
    ended = await client("jobs.wait", job.job_id, timeout_s=100)
    assert ended.state == "succeeded"
    if client.transport == "graphql":
        with pytest.raises(NotSupported):
            await client("jobs.result", job)
        await client("jobs.forget", job)
        return
    vectors = np.load(io.BytesIO(b"".join(await client("jobs.result", job))))
    assert vectors.shape == (3, 384)
    path = await client("jobs.download", job, tmp_path / "vectors.npy")
    np.testing.assert_array_equal(np.load(path), vectors)
    assert _names(tmp_path) == ["vectors.npy"]
    with pytest.raises(WrongJobState):
        await client("jobs.cancel", job)
    await client("jobs.forget", job)
    with pytest.raises(JobNotFound):
        await client("jobs.get", job)
    with pytest.raises(JobNotFound):
        await client("jobs.download", job, tmp_path / "gone.npy")
    assert _names(tmp_path) == ["vectors.npy"]


def _names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_a_file_is_uploaded_with_a_job(client: Client, name: str, tmp_path: Path) -> None:
    await client("collections.create", name, 2)
    path = tmp_path / "points.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps({"id": row, "vector": [row, 1]}) for row in range(50)))
    if client.transport == "graphql":
        with pytest.raises(NotSupported):
            await client("jobs.submit", "bulk_insert", collection=name, file=path)
        return
    job = await client("jobs.submit", "bulk_insert", collection=name, file=path)
    assert (await client("jobs.wait", job, timeout_s=100)).state == "succeeded"
    assert await client("count", name) == 50
    with path.open("rb") as file:
        again = await client("jobs.submit", "bulk_insert", collection=name, file=file, mode="insert")
    assert (await client("jobs.wait", again, timeout_s=100)).result["skipped"] == 50


async def test_a_job_that_can_not_be_is_refused(client: Client) -> None:
    for spec in ({"kind": "bulk_fly"}, {"kind": "bulk_insert", "collection": "c", "wings": 2}):
        with pytest.raises(VectorError) as refused:
            await client("jobs.submit", **spec, items=[{"id": 1}])
        assert refused.value.code == "invalid_argument"
    with pytest.raises(JobNotFound):
        await client("jobs.get", "nobody")
