"""Uploads that are open here: one source for all tasks of a job, kept for a while after the last of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from hanax.batch_processor.sources import Source
from hanax.batch_processor.sources.opening import open_source
from hanax.core.errors import Internal
from hanax.core.job_specs import BulkEmbed, BulkInsert
from hanax.metadata.jobs.job import Job
from hanax.metadata.uploads.port import Uploads

# The next task of the job usually comes at once; an upload from the database is copied to open it.
_KEPT_S: Final = 15.0


class _Opened:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.stack = AsyncExitStack()
        self.source: Source | None = None
        self.users = 0
        self.left_at = 0.0


class Uploaded:
    """Of one event loop. clock: seconds, monotonic."""

    def __init__(self, uploads: Uploads, clock: Callable[[], float]) -> None:
        self._uploads = uploads
        self._clock = clock
        self._opened: dict[str, _Opened] = {}

    @asynccontextmanager
    async def source(self, job: Job, spec: BulkEmbed | BulkInsert) -> AsyncIterator[Source]:
        """The job's upload, until the context is left. Raises InvalidUpload for one of another format."""
        if job.upload_id is None:
            raise Internal(f"job {job.id} has no upload")
        opened = self._opened.setdefault(job.id, _Opened())
        opened.users += 1
        try:
            async with opened.lock:
                if opened.source is None:
                    path = await opened.stack.enter_async_context(self._uploads.opened(job.upload_id))
                    opened.source = await asyncio.to_thread(open_source, path, spec)
            yield opened.source
        finally:
            opened.users -= 1
            opened.left_at = self._clock()

    async def close_idle(self, kept_s: float = _KEPT_S) -> None:
        """Close what nobody has used for so long."""
        before = self._clock() - kept_s
        for job_id, opened in list(self._opened.items()):
            if opened.users == 0 and opened.left_at <= before:
                del self._opened[job_id]
                if opened.source is not None:
                    opened.source.close()
                await opened.stack.aclose()
