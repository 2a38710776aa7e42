"""Following jobs: each change as it is seen, to the job's end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from hanax.core.errors import Overloaded
from hanax.gateway.jobs.store import JobStore
from hanax.metadata.jobs.job import Job

# Each follower reads the job's row so often.
_LOOK_EVERY_S: Final = 0.5
# Connections that proxies and clients may take for dead; shorter than the usual minute.
HEARTBEAT_S: Final = 15.0
MAX_FOLLOWERS: Final = 100
_RETRY_AFTER_S: Final = 10


@dataclass(frozen=True, slots=True)
class Change:
    """job: None for a heartbeat. number: grows with every change of the job."""

    number: int
    job: Job | None


class Followers:
    """Those of one gateway: so many at once."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._count = 0
        self._ending = asyncio.Event()

    def check_room(self) -> None:
        """Raises Overloaded when too many follow jobs already."""
        if self._count >= MAX_FOLLOWERS:
            raise Overloaded(
                f"{self._count} clients follow jobs already; look at the job now and then instead",
                retry_after_s=_RETRY_AFTER_S,
            )

    def end(self) -> None:
        """The gateway stops: they come again, elsewhere."""
        self._ending.set()

    async def follow(self, job: Job, seen: int) -> AsyncGenerator[Change]:
        """The job as it is, unless its change `seen` was told before; then its changes, to its end or the
        gateway's.

        Ends with a job that was forgotten meanwhile by JobNotFound.
        """
        self.check_room()
        self._count += 1
        try:
            silent_s = 0.0
            while True:
                # Another, not a later one: whoever writes a job has a clock of his own.
                if job.updated_at_us != seen or job.state.ended:
                    seen, silent_s = job.updated_at_us, 0.0
                    yield Change(seen, job)
                elif silent_s >= HEARTBEAT_S:
                    silent_s = 0.0
                    yield Change(seen, None)
                if job.state.ended or await self._ends_within(_LOOK_EVERY_S):
                    return
                silent_s += _LOOK_EVERY_S
                job = await self._store.jobs.get(job.id)
        finally:
            self._count -= 1

    async def _ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            return False
        return True
