"""Jobs as they are kept: what was ordered, how far it is, and how it ended. Times: microseconds since 1970
UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from hanax.core.errors import HanaxError
from hanax.core.job_specs import JobKind

# Past so many failed items a job fails as a whole: each of them is a row with its reason.
MAX_FAILED_ITEMS: Final = 100_000
# What is kept of a failed item; a longer one is found again in the upload, by its number.
MAX_ITEM_BYTES: Final = 65_536


class JobState(StrEnum):
    """partial: ended, and some of the items failed."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in WAITING


WAITING: Final = (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED)
ENDED: Final = tuple(state for state in JobState if state.ended)


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What is submitted. spec: JSON of core.job_specs, without items.

    model: as resolved, never auto; None where no text is embedded. collection, collection_uid: what is
    written to, or read by a reembed: the name, not an alias; another collection of that name is not meant.
    total: items, where they are known. upload_id: finished, of no other job; None for a reembed.
    """

    kind: JobKind
    spec: Mapping[str, Any]
    priority: int
    model: str | None = None
    collection: str | None = None
    collection_uid: str | None = None
    total: int | None = None
    upload_id: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it is now. total: None until its items are counted; at the end it is done + failed.

    rate: items a second, of late; 0.0 before the first. error: why it failed as a whole. result: JSON, once
    it has ended. result_upload_id: its result file.
    """

    id: str
    kind: JobKind
    state: JobState
    spec: dict[str, Any]
    priority: int
    created_at_us: int
    updated_at_us: int
    model: str | None = None
    collection: str | None = None
    collection_uid: str | None = None
    upload_id: str | None = None
    total: int | None = None
    done: int = 0
    failed: int = 0
    rate: float = 0.0
    began_at_us: int | None = None
    ended_at_us: int | None = None
    error: HanaxError | None = None
    result: dict[str, Any] | None = None
    result_upload_id: str | None = None


@dataclass(frozen=True, slots=True)
class FailedItem:
    """number: of the item in the job, from 0 on. line: in the upload, from 1 on, where its format has lines.

    id: the point's, as JSON would have it. item: the row as JSON; empty where it has more than
    MAX_ITEM_BYTES, or could not be read at all.
    """

    number: int
    code: str
    message: str
    line: int | None = None
    id: int | str | None = None
    item: str = ""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """jobs: of each state. waiting, running: tasks without and with a processor, of jobs that are not paused.

    oldest_wait_s: of the job that is queued longest; 0.0 where none is.
    """

    jobs: dict[JobState, int] = field(default_factory=dict)
    waiting: int = 0
    running: int = 0
    oldest_wait_s: float = 0.0
