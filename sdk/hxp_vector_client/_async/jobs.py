"""Jobs: much work at once, done by the server in its own time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from hxp_vector_client import operations
from hxp_vector_client._async.calls import AsyncCalls
from hxp_vector_client._async.waiting import sleep
from hxp_vector_client.errors import TimedOut
from hxp_vector_client.models import FailedItem, Job, Queue
from hxp_vector_client.options import ProgressCallback
from hxp_vector_client.requests import Request, Upload

_Jobs = list[Job]

# Between looks at a job: short ones are seen to end at once, and long ones cost little.
_FIRST_LOOK_S = 0.1
_LONGEST_LOOK_S = 2.0


class AsyncJobs:
    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls

    async def submit(
        self,
        kind: str,
        *,
        items: Sequence[Mapping[str, Any]] | None = None,
        file: str | Path | BinaryIO | None = None,
        **spec: Any,
    ) -> Job:
        """Queue a job of kind bulk_embed, bulk_insert or reembed.

        items: up to 2,000 rows; file: a path, or an open file, in JSON lines, CSV, Parquet, npy or fvecs.
        spec: the other fields of the job, as docs/jobs.md names them: collection, model, mode, ... A job
        with a file is submitted once, and not tried again.
        """
        body: dict[str, Any] = {"kind": kind, **spec}
        if items is not None:
            body["items"] = [dict(item) for item in items]
        if file is None:
            return await self._job(Request(operations.SUBMIT_JOB, body))
        if isinstance(file, str | Path):
            with Path(file).open("rb") as opened:  # noqa: ASYNC230 - to open one is no long wait
                upload = Upload(Path(file).name, opened)
                return await self._job(Request(operations.SUBMIT_JOB, body, upload=upload))
        upload = Upload(Path(getattr(file, "name", "items.jsonl")).name, file)
        return await self._job(Request(operations.SUBMIT_JOB, body, upload=upload))

    async def get(self, job: Job | str) -> Job:
        """As it is now. Raises JobNotFound."""
        return await self._change(operations.GET_JOB, job)

    async def list(self, *, state: str | None = None, limit: int = 100, before: str | None = None) -> _Jobs:
        """The newest first. before: a job's id: those that are older."""
        query = {"state": state, "limit": limit, "before": before}
        answer = await self._calls.call(Request(operations.LIST_JOBS, query=query))
        return [Job.read(one) for one in answer["jobs"]]

    async def wait(
        self, job: Job | str, *, timeout_s: float = 3600.0, progress: ProgressCallback | None = None
    ) -> Job:
        """Wait until it has ended, well or badly: look at its `state`. Raises TimedOut, JobNotFound.

        progress: called with (items done or failed, items; None until they are counted).
        """
        job_id = _named(job)["job_id"]
        give_up_at = time.monotonic() + timeout_s
        pause = _FIRST_LOOK_S
        while True:
            now = await self.get(job_id)
            if progress is not None:
                progress(now.progress.done + now.progress.failed, now.progress.total)
            if now.ended:
                return now
            if time.monotonic() + pause > give_up_at:
                raise TimedOut(f"the job {job_id} has not ended within {timeout_s:g} s: it is {now.state}")
            await sleep(pause)
            pause = min(_LONGEST_LOOK_S, pause * 1.5)

    async def watch(self, job: Job | str, *, timeout_s: float = 3600.0) -> AsyncIterator[Job]:
        """The job as it is, then each of its changes as the server tells them; ends with the ended job.

        Raises TimedOut, JobNotFound, and ConnectionFailed where the connection breaks meanwhile: begin anew.
        """
        async for change in self._calls.changes(Request(operations.JOB_EVENTS, path=_named(job)), timeout_s):
            yield Job.read(change)

    async def failed_items(self, job: Job | str, *, page_size: int = 100) -> AsyncIterator[FailedItem]:
        """Items that failed, in their order, each with its reason: read page by page as they are taken."""
        path = _named(job)
        after: int | None = None
        while True:
            query = {"status": "failed", "after": after, "limit": page_size}
            answer = await self._calls.call(Request(operations.JOB_ITEMS, path=path, query=query))
            for item in answer["items"]:
                yield FailedItem.read(item)
            after = answer["next_after"]
            if after is None:
                return

    async def result(self, job: Job | str) -> AsyncIterator[bytes]:
        """The result file of an ended job without a collection, in portions. Raises WrongJobState."""
        path = _named(job)
        async for portion in self._calls.download(Request(operations.JOB_RESULT, path=path)):
            yield portion

    async def download(self, job: Job | str, target: str | Path) -> Path:
        """Write the result file of an ended job to `target`; it is there once it is whole."""
        path = Path(target)
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as file:
                async for portion in self.result(job):
                    file.write(portion)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return path

    async def pause(self, job: Job | str) -> Job:
        """Begin nothing new of it. Raises WrongJobState."""
        return await self._change(operations.PAUSE_JOB, job)

    async def resume(self, job: Job | str) -> Job:
        """Queue one that is paused. Raises WrongJobState."""
        return await self._change(operations.RESUME_JOB, job)

    async def retry(self, job: Job | str) -> Job:
        """Queue one that is partial or failed again: its failed items, and what it had not come to."""
        return await self._change(operations.RETRY_JOB, job)

    async def cancel(self, job: Job | str) -> Job:
        """End one that has not ended; what it has stored already stays."""
        return await self._change(operations.CANCEL_JOB, job)

    async def forget(self, job: Job | str) -> Job:
        """Forget one that has ended, with its result."""
        return await self._change(operations.FORGET_JOB, job)

    async def queue(self) -> Queue:
        """How many jobs are in each state, and how much waits."""
        return Queue.read(await self._calls.call(Request(operations.QUEUE)))

    async def _change(self, operation: operations.Operation, job: Job | str) -> Job:
        query = {"forget": "true"} if operation is operations.FORGET_JOB else {}
        path = _named(job)
        return await self._job(Request(operation, path=path, query=query))

    async def _job(self, request: Request) -> Job:
        return Job.read(await self._calls.call(request))


def _named(job: Job | str) -> dict[str, str]:
    return {"job_id": job if isinstance(job, str) else job.job_id}
