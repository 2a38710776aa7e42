"""How much there is to do, as one question. What it costs does not grow with the jobs that ended, or wait."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    union_all,
)

from hanax.metadata.jobs.job import WAITING, JobState
from hanax.metadata.jobs.tables import JOB_COUNTS, JOB_TASKS, JOBS

# As core.job_specs has them.
_PRIORITIES: Final = range(10)


def _sum(*columns: Column[Any]) -> ColumnElement[int]:
    # PostgreSQL's sum of bigints is a numeric.
    return cast(func.sum(reduce(add, columns)), BigInteger)


# In the statement's text: for values that it is told PostgreSQL plans each time, which takes longer than to
# answer.
_QUEUED: Final[ColumnElement[str]] = literal_column(f"'{JobState.QUEUED}'")
_RUNNING: Final[ColumnElement[str]] = literal_column(f"'{JobState.RUNNING}'")

# The oldest of each priority is the first one in an index.
_OLDEST: Final = union_all(
    *(
        select(func.min(JOBS.c.created_at_us).label("at_us")).where(
            JOBS.c.state == _QUEUED, JOBS.c.priority == literal_column(str(priority))
        )
        for priority in _PRIORITIES
    )
).subquery()
# Who works on tasks is asked of jobs that run alone.
_LEASED: Final = (
    select(func.count())
    .select_from(JOB_TASKS)
    .join(JOBS, JOBS.c.id == JOB_TASKS.c.job_id)
    .where(
        JOBS.c.state == _RUNNING,
        JOB_TASKS.c.ended.is_(False),
        # One that was given back to be tried later has none.
        JOB_TASKS.c.owner.is_not(None),
        JOB_TASKS.c.free_at_us > bindparam("now_us"),
    )
    .scalar_subquery()
)

# One row: how many jobs there are of each state, under its name; oldest_us: when the job that is queued
# longest was made; unended: tasks of jobs that are queued or run; leased: those that somebody works on.
QUEUE: Final = select(
    *(_sum(JOB_COUNTS.c[state]).label(state) for state in JobState),
    _sum(JOB_COUNTS.c.tasks).label("unended"),
    select(func.min(_OLDEST.c.at_us)).scalar_subquery().label("oldest_us"),
    _LEASED.label("leased"),
)

# How many jobs have not ended.
COUNT_WAITING: Final = select(_sum(*(JOB_COUNTS.c[state] for state in WAITING)))
