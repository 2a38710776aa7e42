"""Jobs: work that the server does later."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hxp_vector_client.models.base import Model

ENDED = frozenset({"succeeded", "partial", "failed", "cancelled"})


class JobError(Model):
    code: str
    message: str
    type: str = ""
    details: dict[str, Any] = {}


class Progress(Model):
    """total: None until items are counted. rate: items a second. eta_s: seconds to the end, where known."""

    total: int | None = None
    done: int = 0
    failed: int = 0
    rate: float | None = None
    eta_s: float | None = None


class Job(Model):
    """state: queued, running, paused, succeeded, partial (some items failed), failed or cancelled."""

    job_id: str
    kind: str
    state: str
    model: str | None = None
    collection: str | None = None
    priority: int = 0
    progress: Progress = Progress()
    created_at: datetime
    updated_at: datetime
    began_at: datetime | None = None
    ended_at: datetime | None = None
    error: JobError | None = None
    result: dict[str, Any] | None = None
    spec: dict[str, Any] = {}
    ids: list[int | str] | None = None

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class FailedItem(Model):
    """number: of the item, from 0 on. line: in the upload, from 1 on, where its format has lines."""

    number: int
    line: int | None = None
    id: int | str | None = None
    error: JobError
    item: Any = None


class Queue(Model):
    """jobs: how many are in each state. tasks: parts of jobs, waiting and running."""

    jobs: dict[str, int]
    tasks: dict[str, int]
    oldest_wait_s: float
