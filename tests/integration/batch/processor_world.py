"""Processors on a real database and a folder of uploads, beside a gateway that fails as it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from hanax.batch_processor.process import BatchProcessor
from hanax.core.job_specs import JOB_SPEC, JobKind
from hanax.core.settings import BatchSettings
from hanax.metadata.database import Database
from hanax.metadata.jobs.job import FailedItem, Job, JobOrder, JobState
from hanax.metadata.jobs.jobs import Jobs
from hanax.metadata.uploads.opening import UploadOptions, open_uploads
from tests.integration.batch.gateway_double import GatewayDouble
from tests.integration.waiting import until_asked

WITHIN_S = 90.0


class Stopping:
    """In place of signals."""

    def __init__(self) -> None:
        self.requested = False

    def due(self) -> bool:
        return self.requested


class World:
    def __init__(self, database: Database, folder: Path, gateway: GatewayDouble) -> None:
        self.gateway = gateway
        self.database = database
        self._folder = folder
        self.jobs = Jobs(database, now_us)
        self.uploads = open_uploads(database, UploadOptions(folder, 1 << 30), now_us)

    @asynccontextmanager
    async def processor(self, **settings: Any) -> AsyncIterator[Stopping]:
        """One that works until the block ends, or until it is told to stop."""
        options = self.database.options
        told = {
            "batch_metrics_port": 0,
            "gateway_address": self.gateway.address,
            "jobs_dir": self._folder,
            "drain_grace_s": 1.0,
            "database_url": options.url,
            "redis_url": "",
            **settings,
        }
        stopping = Stopping()
        processor = BatchProcessor(BatchSettings(**told), Database(options))
        running = asyncio.create_task(processor.run(stopping))
        try:
            yield stopping
        finally:
            stopping.requested = True
            await running

    async def submit(self, spec: dict[str, Any], data: bytes | None = None) -> str:
        """As the gateway does. The job's id."""
        kept = {"format": "jsonl", **spec} if data is not None else spec
        read = JOB_SPEC.validate_python(kept)
        upload_id = None
        if data is not None:
            async with self.uploads.create() as upload:
                await upload.write(data)
                await upload.finish()
            upload_id = upload.id
        name = spec.get("collection")
        order = JobOrder(
            JobKind(read.kind),
            kept,
            read.priority,
            model=spec.get("model", "model-a"),
            collection=name,
            collection_uid=f"uid-{name}" if name else None,
            upload_id=upload_id,
        )
        return (await self.jobs.submit(order)).id

    def lose_uploads(self) -> None:
        for path in self._folder.iterdir():
            path.unlink()

    async def until(self, job_id: str, holds: Callable[[Job], bool]) -> Job:
        return await until_asked(f"job {job_id}", lambda: self.jobs.get(job_id), holds, WITHIN_S)

    async def ended(self, job_id: str) -> Job:
        return await self.until(job_id, lambda job: job.state.ended)

    async def failed(self, job_id: str) -> Sequence[FailedItem]:
        return await self.jobs.failed_items(job_id, -1, 1_000)

    async def result(self, job: Job) -> bytes:
        assert job.result_upload_id is not None
        return b"".join([piece async for piece in self.uploads.read(job.result_upload_id)])


def rows(*fields: dict[str, Any]) -> bytes:
    return b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in fields)


def texts(count: int) -> bytes:
    return rows(*({"id": number, "text": f"text {number}"} for number in range(count)))


def told(job: Job) -> tuple[JobState, int | None, int, int]:
    return job.state, job.total, job.done, job.failed


def now_us() -> int:
    return time.time_ns() // 1_000
