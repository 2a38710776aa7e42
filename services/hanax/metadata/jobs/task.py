"""Tasks: the parts of a job that one processor at a time works on, under a lease with a fence.

    divide ──▶ run, run, ... ──▶ finish
       1          0 to many         1

A job begins with one `divide`: it reads the job's source and adds the `run` tasks in portions; they may be
claimed before it has ended. When it and all of them have ended there is one `finish`, whose end is the job's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hanax.metadata.jobs.job import Job


class TaskKind(StrEnum):
    DIVIDE = "divide"
    RUN = "run"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class NewTask:
    """A run task. first: number of its first item in the job. position: JSON, where its items are found.

    A position of {"failed": true} is made by a retry alone: its items are those of `Work.retried`.
    """

    first: int
    count: int
    position: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """watermark: how many of its items, in order, are done or failed. cursor: JSON, as the last advance left
    it.
    """

    id: str
    kind: TaskKind
    number: int
    first: int
    count: int
    position: dict[str, Any]
    watermark: int
    cursor: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease. Who has it may record until another claims the task: each claim has a higher fence."""

    job: Job
    task: Task
    owner: str
    fence: int


@dataclass(frozen=True, slots=True)
class Part:
    """Result bytes of one claim of a task: the first `bytes` of an upload that this claim alone writes."""

    upload_id: str
    bytes: int


@dataclass(frozen=True, slots=True)
class FoundPart:
    """A part that counts. number, first: the task's."""

    number: int
    first: int
    part: Part


@dataclass(frozen=True, slots=True)
class Step:
    """How far a claimed task has come: what is committed in one transaction.

    watermark: from now on; not lower than before. done: of the items since then; all others of them failed.
    cursor: replaces the task's. counts: added to the job's counts, which its result shows (inserted, updated,
    skipped, truncated, split, tokens). facts: of the result as a whole, such as its dimension.
    """

    watermark: int
    done: int
    cursor: Mapping[str, Any] | None = None
    part: Part | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
