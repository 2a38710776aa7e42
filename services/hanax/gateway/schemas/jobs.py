"""What answers of jobs look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from hanax.core.job_specs import JobKind
from hanax.gateway.schemas.envelopes import NextCursor
from hanax.gateway.schemas.points import Id
from hanax.metadata.jobs.job import JobState


class JobError(BaseModel):
    code: str
    type: str
    message: str
    details: dict[str, Any]


class Progress(BaseModel):
    total: Annotated[int | None, Field(description="items; null until they are counted")]
    done: int
    failed: int
    rate: Annotated[float | None, Field(description="items a second, of late; null unless it runs")]
    eta_s: Annotated[float | None, Field(description="seconds to the end at this rate; null: not known")]


class Job(BaseModel):
    """Work that is done later, whichever gateway took it and whatever ends meanwhile."""

    job_id: str
    kind: JobKind
    state: Annotated[JobState, Field(description="partial: ended, and some items failed")]
    model: Annotated[str | None, Field(description="that embeds its texts")]
    collection: Annotated[str | None, Field(description="that it writes to, or a reembed reads")]
    priority: int
    progress: Progress
    created_at: datetime
    updated_at: datetime
    began_at: datetime | None
    ended_at: datetime | None
    error: Annotated[JobError | None, Field(description="why it failed as a whole")]
    result: Annotated[
        dict[str, Any] | None,
        Field(
            description="once it has ended: inserted, updated, skipped, truncated, split; its dimension, and "
            "the location of its file"
        ),
    ]
    spec: Annotated[dict[str, Any], Field(description="what was ordered, without its items")]
    ids: Annotated[
        list[Id] | None,
        Field(
            description="of the points of an insert that was queued, in the order sent; told once, with 202"
        ),
    ] = None


class JobList(BaseModel):
    jobs: list[Job]
    next_cursor: NextCursor


class ItemError(BaseModel):
    code: str
    message: str


class FailedItem(BaseModel):
    number: Annotated[int, Field(description="of the item in the job, from 0 on")]
    line: Annotated[int | None, Field(description="in the upload, from 1 on, where its format has lines")]
    id: Id | None
    error: ItemError
    item: Annotated[Any, Field(description="the row; null where it is longer than 64 KiB")]


class FailedItems(BaseModel):
    items: list[FailedItem]
    next_cursor: NextCursor
    next_after: Annotated[int | None, Field(description="number of the last item; null on the last page")]


class Tasks(BaseModel):
    waiting: int
    running: int


class Queue(BaseModel):
    jobs: Annotated[dict[JobState, int], Field(description="of each state")]
    tasks: Annotated[Tasks, Field(description="parts of jobs, without a processor and with one")]
    oldest_wait_s: Annotated[float, Field(description="of the job that is queued longest")]
