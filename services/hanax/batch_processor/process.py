"""The batch-processor process: what it is made of, and the order in which that starts and ends.

Ready means: the metadata database is open. It ends on SIGTERM: no new work is claimed, batches that are on
their way get HANAX_DRAIN_GRACE_S, what is done is recorded, and leases are given back.
"""

from __future__ import annotations

import asyncio
import os
import platform
import random
import threading
import time
import uuid
from contextlib import AsyncExitStack
from typing import Final, Protocol

import structlog
import uvloop

from hanax.batch_processor.dispatch import Dispatch, InProcess
from hanax.batch_processor.gateway import Gateway
from hanax.batch_processor.metrics import BatchMetrics
from hanax.batch_processor.patience import Waiting
from hanax.batch_processor.runner import Limits, Runner
from hanax.batch_processor.sweeper import Kept, Sweeper
from hanax.batch_processor.task_runs import Lease
from hanax.batch_processor.uploaded import Uploaded
from hanax.batch_processor.works import Means, Works
from hanax.core.errors import HanaxError
from hanax.core.settings import BatchSettings
from hanax.metadata.database import Database
from hanax.metadata.jobs.jobs import Jobs
from hanax.metadata.jobs.work import Work
from hanax.metadata.metrics import DatabaseMetrics
from hanax.metadata.opening import Opening, configured, database_of
from hanax.metadata.uploads.opening import UploadOptions, open_uploads
from hanax.runtime.allocator import keep_freed_memory
from hanax.runtime.lifecycle import Shutdown
from hanax.runtime.logs import configure_logs
from hanax.runtime.metrics_port import MetricsPort

log = structlog.get_logger()

# How often a process with an event loop asks whether it shall end.
_STOP_CHECK_S: Final = 0.1
# What is written here are results alone; uploads are bounded where they are taken.
_MAX_RESULT_BYTES: Final = 2**40


class Ending(Protocol):
    def due(self) -> bool:
        """Whether it is time to end."""
        ...


class BatchProcessor:
    """A running batch processor: everything that is started, in one place. Made in the event loop."""

    def __init__(self, settings: BatchSettings, database: Database) -> None:
        """Raises OSError when the port of its metrics is taken."""
        self._settings = settings
        self._database = database
        self._ready = threading.Event()
        self.metrics = BatchMetrics()
        DatabaseMetrics("batch-processor", database, self.metrics.registry)
        self._metrics_port = MetricsPort(
            settings.batch_metrics_host,
            settings.batch_metrics_port,
            self.metrics.registry,
            self._ready.is_set,
        )
        self._opening = Opening(database)
        self._gateway = Gateway(
            settings.gateway_address, settings.batch_call_timeout_s, settings.service_key_file
        )
        clock = time.monotonic
        work = Work(database, _now_us)
        uploads = open_uploads(database, UploadOptions(settings.jobs_dir, _MAX_RESULT_BYTES), _now_us)
        self._uploaded = Uploaded(uploads, clock)
        lease = Lease(
            work,
            uploads,
            settings.batch_lease_s,
            settings.drain_grace_s,
            settings.batch_patience_s,
            clock,
        )
        waiting = Waiting(settings.batch_patience_s, clock, asyncio.sleep, random.Random())
        means = Means(self._gateway, lease, self._uploaded, waiting, self.metrics, self._nudge)
        limits = Limits(settings.batch_tasks, settings.batch_jobs, settings.batch_inflight)
        owner = f"{platform.node()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        self._runner = Runner(Works(means), lease, limits, self.metrics, owner)
        self._dispatch = _dispatch(settings, owner)
        kept = Kept(work, Jobs(database, _now_us), uploads, self._uploaded, settings.job_keep_s)
        self._sweeper = Sweeper(kept, self._dispatch, self._runner, limits, self.metrics, clock)
        self._runner.on_ended(self._nudge)

    async def run(self, shutdown: Ending) -> None:
        """Until `shutdown`."""
        self._metrics_port.start()
        log.info("listening", metrics_port=self._metrics_port.port, gateway=self._settings.gateway_address)
        async with AsyncExitStack() as stack:
            stack.callback(self._metrics_port.stop)
            stack.push_async_callback(self._database.close)
            stack.push_async_callback(self._gateway.close)
            await self._opening.start(0.0)
            stack.push_async_callback(self._opening.close)
            working = asyncio.create_task(self._work())
            try:
                while not shutdown.due() and not working.done():
                    await asyncio.wait({working}, timeout=_STOP_CHECK_S)
                if working.done():
                    working.result()
            finally:
                log.info("ending", grace_s=self._settings.drain_grace_s)
                self._ready.clear()
                self._runner.stopping.set()
                if not self._opening.opened.is_set():
                    working.cancel()
                await asyncio.gather(working, return_exceptions=True)
                await self._uploaded.close_idle(0.0)

    async def _work(self) -> None:
        await self._opening.opened.wait()
        self._ready.set()
        log.info("ready")
        sweeping = asyncio.create_task(self._sweeper.run())
        try:
            await self._dispatch.listen(self._runner.drain, self._runner.stopping)
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)

    def _nudge(self) -> None:
        self._sweeper.nudge()


def run(settings: BatchSettings) -> int:
    """Work until told to end. Returns the process's exit status."""
    configure_logs("batch-processor", settings.log_level)
    keep_freed_memory()
    shutdown = Shutdown(settings.parent_pid)
    try:
        database = configured(database_of(settings))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings, database, shutdown))
    except (HanaxError, OSError) as error:
        log.error("not started", error=str(error))
        return 1
    log.info("ended")
    return 0


async def _run(settings: BatchSettings, database: Database, shutdown: Shutdown) -> None:
    await BatchProcessor(settings, database).run(shutdown)


def _dispatch(settings: BatchSettings, owner: str) -> Dispatch:
    if not settings.redis_url:
        return InProcess(settings.batch_tasks)
    from hanax.batch_processor.redis_streams import RedisPlace, RedisStreams

    return RedisStreams(
        RedisPlace(
            settings.redis_url,
            settings.redis_password_file,
            f"{settings.redis_prefix}:jobs",
            owner,
            settings.batch_tasks,
        )
    )


def _now_us() -> int:
    return time.time_ns() // 1_000
