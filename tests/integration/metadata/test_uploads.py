"""Uploads in a folder and in the database: whole or not at all, bounded, found again, swept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hanax.core.errors import BodyTooLarge, DataLoss, HanaxError, Unavailable
from hanax.metadata.database import Database
from hanax.metadata.uploads.limits import PORTION_BYTES
from hanax.metadata.uploads.opening import UploadOptions, open_uploads
from hanax.metadata.uploads.port import Uploads
from tests.integration.metadata.job_world import JobWorld

LIMIT_BYTES = 4 * PORTION_BYTES
DATA = bytes(range(256)) * 10_000


@pytest.fixture(params=["folder", "database"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "jobs" if request.param == "folder" else None


@pytest.fixture
def uploads(database: Database, folder: Path | None, world: JobWorld) -> Uploads:
    """Of the world's clock."""
    return open_uploads(database, UploadOptions(folder, LIMIT_BYTES), lambda: world.now_us)


async def keep(uploads: Uploads, data: bytes, portion: int = 100_000) -> str:
    async with uploads.create() as writer:
        for at in range(0, len(data), portion):
            await writer.write(data[at : at + portion])
        assert await writer.finish() == len(data)
    return writer.id


async def read(uploads: Uploads, upload_id: str, limit_bytes: int | None = None) -> bytes:
    return b"".join([portion async for portion in uploads.read(upload_id, limit_bytes)])


@pytest.mark.parametrize("data", [b"", b"x", DATA, b"y" * LIMIT_BYTES], ids=["none", "one", "some", "most"])
async def test_what_was_written_is_read_and_opened(uploads: Uploads, data: bytes) -> None:
    upload_id = await keep(uploads, data)
    assert await uploads.size(upload_id) == len(data)
    assert await read(uploads, upload_id) == data
    assert await read(uploads, upload_id, len(data) // 2) == data[: len(data) // 2]
    async with uploads.opened(upload_id) as path:
        assert await asyncio.to_thread(path.read_bytes) == data


async def test_past_its_limit_it_is_refused_and_removed(uploads: Uploads, folder: Path | None) -> None:
    with pytest.raises(BodyTooLarge) as told:
        await keep(uploads, b"z" * (LIMIT_BYTES + 1))
    assert told.value.details["limit_bytes"] == LIMIT_BYTES
    await expect_nothing(uploads, folder)


async def test_one_that_was_interrupted_is_removed(uploads: Uploads, folder: Path | None) -> None:
    began = asyncio.Event()

    async def interrupted() -> None:
        async with uploads.create() as writer:
            await writer.write(DATA)
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(interrupted())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await expect_nothing(uploads, folder)


async def expect_nothing(uploads: Uploads, folder: Path | None) -> None:
    files = [] if folder is None else await asyncio.to_thread(lambda: list(folder.iterdir()))
    assert files == []
    assert await uploads.sweep(-1.0) == 0


async def test_one_without_its_end_is_not_there(uploads: Uploads) -> None:
    async with uploads.create() as writer:
        await writer.write(DATA)
        await writer.flush()
        for attempt in (uploads.size(writer.id), read(uploads, writer.id), opened(uploads, writer.id)):
            with pytest.raises(DataLoss):
                await attempt


async def opened(uploads: Uploads, upload_id: str) -> None:
    async with uploads.opened(upload_id):
        pass


async def test_what_was_flushed_can_be_read_by_its_length(uploads: Uploads) -> None:
    """As the parts of a job's result are, before their writer has ended."""
    async with uploads.create() as writer:
        await writer.write(DATA)
        size = await writer.flush()
        await writer.write(b"more, which does not count")
        assert await read(uploads, writer.id, size) == DATA
        with pytest.raises(DataLoss):
            await read(uploads, writer.id, LIMIT_BYTES)


async def test_one_that_is_missing_or_deleted_is_told(uploads: Uploads) -> None:
    upload_id = await keep(uploads, DATA)
    for _ in range(2):
        await uploads.delete(upload_id)
    for attempt in (
        uploads.size(upload_id),
        read(uploads, upload_id),
        read(uploads, upload_id, 1),
        opened(uploads, upload_id),
    ):
        with pytest.raises(DataLoss):
            await attempt


async def test_what_a_job_refers_to_is_not_removed(uploads: Uploads, world: JobWorld) -> None:
    upload_id = await keep(uploads, DATA)
    job = await world.submit(upload_id=upload_id)
    await uploads.delete(upload_id)
    world.pass_s(1_000.0)
    assert await uploads.sweep(1.0) == 0
    assert await read(uploads, upload_id) == DATA
    await world.jobs.cancel(job.id)
    assert await uploads.sweep(1.0) == 1


async def test_one_that_nobody_came_for_is_swept_after_a_while(
    uploads: Uploads, world: JobWorld, folder: Path | None
) -> None:
    await keep(uploads, DATA)
    world.pass_s(10.0)
    assert await uploads.sweep(10.5) == 0
    assert await uploads.sweep(9.5) == 1
    await expect_nothing(uploads, folder)


async def test_a_file_that_can_not_be_removed_does_not_keep_those_behind_it(
    uploads: Uploads, world: JobWorld, folder: Path | None
) -> None:
    if folder is None:
        return
    stuck, other = await keep(uploads, DATA), await keep(uploads, DATA)
    # As a file of a broken disk: it can't be unlinked.
    (folder / stuck).unlink()
    (folder / stuck).mkdir()
    world.pass_s(10.0)
    with pytest.raises(Unavailable):
        await uploads.sweep(5.0)
    assert not (folder / other).exists()
    (folder / stuck).rmdir()
    assert await uploads.sweep(5.0) == 1


async def test_a_writer_that_was_swept_learns_it(uploads: Uploads, world: JobWorld) -> None:
    async with uploads.create() as writer:
        await writer.write(b"some")
        world.pass_s(100.0)
        assert await uploads.sweep(50.0) == 1
        await writer.write(b"more")
        with pytest.raises(Unavailable):
            await writer.finish()


async def test_a_folder_that_can_not_be_written_is_a_clear_refusal(
    database: Database, tmp_path: Path, world: JobWorld
) -> None:
    (tmp_path / "file").write_bytes(b"")
    options = UploadOptions(tmp_path / "file" / "jobs", LIMIT_BYTES)
    blocked = open_uploads(database, options, lambda: world.now_us)
    with pytest.raises(HanaxError) as told:
        await keep(blocked, DATA)
    assert told.value.code == "unavailable"
