"""Where jobs and their uploads are kept, if anywhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from hanax.core.errors import HanaxError
from hanax.metadata.database import Database
from hanax.metadata.jobs.job import Job
from hanax.metadata.jobs.jobs import Jobs
from hanax.metadata.opening import configured
from hanax.metadata.uploads.opening import UploadOptions, open_uploads
from hanax.metadata.uploads.port import Uploads


class JobSettings(Protocol):
    """What the settings of a service say of jobs."""

    @property
    def jobs_dir(self) -> Path | None: ...
    @property
    def job_upload_bytes(self) -> int: ...


class JobStore:
    """database: None where none is configured; both properties raise DatabaseNotConfigured then."""

    def __init__(self, database: Database | None, settings: JobSettings, now_us: Callable[[], int]) -> None:
        self._database = database
        self.upload_bytes = settings.job_upload_bytes
        if database is not None:
            options = UploadOptions(settings.jobs_dir, settings.job_upload_bytes)
            self._jobs = Jobs(database, now_us)
            self._uploads = open_uploads(database, options, now_us)

    async def cancel(self, job_id: str) -> Job:
        """End a job that has not ended; may be sent again. Its upload is let go.

        Raises JobNotFound, and WrongJobState for one that ended otherwise.
        """
        before = await self.jobs.get(job_id)
        job = await self.jobs.cancel(job_id)
        await self._let_go(before)
        return job

    async def forget(self, job_id: str) -> Job:
        """Remove a job that has ended, with its files. Raises JobNotFound and WrongJobState."""
        job = await self.jobs.forget(job_id)
        await self._let_go(job)
        return job

    async def _let_go(self, job: Job) -> None:
        """What still belongs to the job stays. The job has changed: what can't be removed now is swept."""
        for upload_id in (job.upload_id, job.result_upload_id):
            if upload_id is not None:
                with suppress(HanaxError):
                    await self.uploads.delete(upload_id)

    @property
    def jobs(self) -> Jobs:
        configured(self._database)
        return self._jobs

    @property
    def uploads(self) -> Uploads:
        configured(self._database)
        return self._uploads
