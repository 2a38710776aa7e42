"""How much there is to do, as one question."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, case, func, select

from hanax.metadata.jobs.job import JobState
from hanax.metadata.jobs.tables import JOB_TASKS, JOBS

# Jobs that have their turn, or will have it, are few. A row says how many of the job's tasks have not ended;
# when none is left there is its finish.
_ACTIVE: Final = (
    select(
        func.count().filter(JOBS.c.state == JobState.QUEUED).label("queued"),
        func.count().filter(JOBS.c.state == JobState.RUNNING).label("running"),
        func.min(JOBS.c.created_at_us).filter(JOBS.c.state == JobState.QUEUED).label("oldest_us"),
        func.coalesce(func.sum(case((JOBS.c.tasks_open == 0, 1), else_=JOBS.c.tasks_open)), 0).label(
            "unended"
        ),
    )
    .where(JOBS.c.state.in_((JobState.QUEUED, JobState.RUNNING)))
    .subquery()
)
# Who works on tasks is asked of jobs that run alone.
_LEASED: Final = (
    select(func.count())
    .select_from(JOB_TASKS)
    .join(JOBS, JOBS.c.id == JOB_TASKS.c.job_id)
    .where(
        JOBS.c.state == JobState.RUNNING,
        JOB_TASKS.c.ended.is_(False),
        JOB_TASKS.c.free_at_us > bindparam("now_us"),
    )
    .scalar_subquery()
)
# The others may be many, and each state is counted in an index alone.
_OTHERS: Final = [
    select(func.count()).where(JOBS.c.state == state).scalar_subquery().label(state)
    for state in JobState
    if state not in (JobState.QUEUED, JobState.RUNNING)
]

# One row: how many jobs there are of each state, under its name; oldest_us: when the job that is queued
# longest was made; unended: tasks of jobs that are queued or run; leased: those that somebody works on.
QUEUE: Final = select(*_ACTIVE.c, *_OTHERS, _LEASED.label("leased"))
