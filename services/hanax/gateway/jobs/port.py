"""What is asked of whoever runs jobs, in memory or durably.

An order is data alone, so that it can be kept and begun again after a crash: work has to be such that doing
it twice is doing it once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hanax.core.errors import HanaxError


class JobKind(StrEnum):
    EMBED = "embed"
    INSERT = "insert"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class JobOrder:
    """texts: how many the model is to embed. body: JSON, all that the work needs."""

    kind: JobKind
    model: str
    texts: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it is now. Times are microseconds since 1970 UTC.

    embedded: how many of `texts` are. result: a JSON object, once it has succeeded.
    """

    id: str
    kind: JobKind
    model: str
    state: JobState
    texts: int
    created_at_us: int
    embedded: int = 0
    began_at_us: int | None = None
    ended_at_us: int | None = None
    result: bytes | None = None
    error: HanaxError | None = None


@dataclass(frozen=True, slots=True)
class JobRun:
    """A job that is being run. `progress` is told how many texts are embedded so far."""

    id: str
    order: JobOrder
    progress: Callable[[int], None]


# Does the job and returns its result, a JSON object; raises the HanaxError that it failed with.
Work = Callable[[JobRun], Awaitable[bytes]]


class JobRunner(Protocol):
    async def start(self, works: Mapping[JobKind, Work]) -> None:
        """Run what is submitted from now on, in the running event loop."""
        ...

    async def close(self) -> None: ...

    async def submit(self, order: JobOrder) -> Job:
        """Raises Overloaded when no more can be taken."""
        ...

    async def get(self, job_id: str) -> Job:
        """Raises JobNotFound; also for one that ended long ago."""
        ...

    async def list(self, limit: int, state: JobState | None = None) -> list[Job]:
        """The newest first, without their results."""
        ...

    async def cancel(self, job_id: str) -> Job:
        """End a job that has not ended, forget one that has; as it was left. Raises JobNotFound."""
        ...
