"""A gateway that takes jobs, and nobody who does them: tests play the processor where they need one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest

from hanax.core.model_routes import ModelRoute
from hanax.metadata.database import Database, DatabaseOptions
from hanax.metadata.jobs.task import NewTask
from hanax.metadata.jobs.work import Work
from tests.integration.gateway.stack import Stack, running_stack

T = TypeVar("T")

JOBS = "/api/v1/jobs"
UPLOAD_BYTES = 1_048_576
LEASE_S = 60.0


@dataclass
class JobStack:
    """files: of the folder that uploads are kept in."""

    stack: Stack
    database_url: str
    folder: Path

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.is_dir() else []

    def submit(self, spec: dict[str, Any]) -> Any:
        answer = self.stack.post(JOBS, spec)
        assert answer.status_code == 202, answer.text
        return self.stack.data(answer)

    def upload(self, spec: dict[str, Any], name: str, data: bytes) -> Any:
        form = {"job": orjson.dumps(spec)}
        return self.stack.client.post(JOBS, data=form, files={"file": (name, data)})

    def job(self, job_id: str) -> Any:
        return self.stack.data(self.stack.client.get(f"{JOBS}/{job_id}"))

    def jobs(self) -> Any:
        return self.stack.data(self.stack.client.get(JOBS))["jobs"]

    def process(self, act: Callable[[Work, Database], Awaitable[T]]) -> T:
        """What a processor does, in the gateway's database."""

        async def run() -> T:
            database = Database(DatabaseOptions(self.database_url, timeout_s=60.0))
            try:
                return await act(Work(database, lambda: time.time_ns() // 1000), database)
            finally:
                await database.close()

        return asyncio.run(run())

    def divide(self, job_id: str, items: int) -> None:
        """Into one task."""

        async def act(work: Work, database: Database) -> None:
            claim = await work.claim("divider", LEASE_S, 1_000)
            while claim is not None and claim.job.id != job_id:
                claim = await work.claim("divider", LEASE_S, 1_000)
            assert claim is not None
            await work.add_tasks(claim, [NewTask(0, items, {})], items)
            await work.end_task(claim)

        self.process(act)

    def forget_all(self) -> None:
        """Cancel what has not ended, and forget all."""
        for job in self.jobs():
            for forget in (False, True):
                self.stack.client.delete(f"{JOBS}/{job['job_id']}", params={"forget": forget})


@pytest.fixture(scope="package")
def _running_jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobStack]:
    folder = tmp_path_factory.mktemp("jobs")
    # Nobody asks them for anything.
    away = ("127.0.0.1:9",)
    models = tuple(
        ModelRoute(
            name=name, dimension=size, max_tokens=512, endpoints=away, external=True, pattern="bulk_only"
        )
        for name, size in (("tiny", 3), ("wide", 8))
    )
    url = f"sqlite:///{folder}/metadata.db"
    uploads = folder / "uploads"
    settings = {"database_url": url, "jobs_dir": uploads, "job_upload_bytes": UPLOAD_BYTES}
    with running_stack(folder, models, **settings) as stack:
        stack.create("docs")
        stack.create("texts", embedding_model="tiny")
        stack.data(stack.client.put("/api/v1/aliases/papers", json={"collection": "texts"}))
        yield JobStack(stack, url, uploads)


@pytest.fixture
def job_stack(_running_jobs: JobStack) -> Iterator[JobStack]:
    yield _running_jobs
    _running_jobs.forget_all()
