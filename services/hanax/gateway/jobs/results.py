"""How far a job is, and what it left behind, as all doors tell it."""

from __future__ import annotations

from dataclasses import dataclass

from hanax.core.errors import NotFound, WrongJobState
from hanax.metadata.jobs.job import Job, JobState


@dataclass(frozen=True, slots=True)
class Progress:
    """total: items; None until they are counted. rate: items a second, of late; None unless it runs.

    eta_s: seconds to the end at this rate; None: not known.
    """

    total: int | None
    done: int
    failed: int
    rate: float | None
    eta_s: float | None


def progress_of(job: Job) -> Progress:
    decided = job.done + job.failed
    # Points that were added to a collection while it is read are counted as they are met.
    total = None if job.total is None else max(job.total, decided)
    runs = job.state is JobState.RUNNING
    rate = job.rate if runs else 0.0
    eta_s = (total - decided) / rate if total is not None and rate > 0 else None
    return Progress(
        total,
        job.done,
        job.failed,
        round(rate, 3) if runs else None,
        None if eta_s is None else round(eta_s, 1),
    )


def result_upload(job: Job) -> str:
    """Where its result file is kept. Raises WrongJobState where it is not there yet, and NotFound."""
    if job.result_upload_id is not None:
        return job.result_upload_id
    if not job.state.ended:
        raise WrongJobState(
            f"the job is {job.state}: its result is not there yet", job=job.id, state=job.state
        )
    raise NotFound(f"the job {job.id} has no result file", job=job.id)
