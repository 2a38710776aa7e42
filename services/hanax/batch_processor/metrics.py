"""What the batch processor counts. `kind` is a job's kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hanax.batch_processor.batches import Outcome
from hanax.core.job_specs import JobKind
from hanax.metadata.jobs.job import JobState, QueueStatus
from hanax.runtime.service_metrics import SECONDS


class BatchMetrics:
    """A registry of its own, so that several processors in one process do not meet."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.items = Counter(
            "vector_db_batch_items_total",
            "Items of jobs that were recorded here; outcome is done or failed",
            ("kind", "outcome"),
            registry=registry,
        )
        self.tasks = Counter(
            "vector_db_batch_tasks_total",
            "Tasks that this processor left; outcome is done, left, lost or failed",
            ("kind", "outcome"),
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "vector_db_batch_duration_seconds",
            "One batch, from when it may be sent to its outcome, waits for others included",
            ("kind",),
            buckets=SECONDS,
            registry=registry,
        )
        self.running = Gauge("vector_db_batch_tasks_running", "Tasks that run here", registry=registry)
        self._in_flight = Gauge(
            "vector_db_batch_in_flight", "Batches on their way to the gateway", registry=registry
        )
        self._limit = Gauge(
            "vector_db_batch_in_flight_limit",
            "Batches that may be, of all jobs here: refusals halve it",
            registry=registry,
        )
        self._jobs = Gauge("vector_db_batch_jobs", "Jobs of all processors", ("state",), registry=registry)
        self._queue = Gauge(
            "vector_db_batch_tasks_waiting",
            "Tasks without a processor, of jobs not paused",
            registry=registry,
        )
        self._oldest = Gauge(
            "vector_db_batch_oldest_wait_seconds", "Of the job that is queued longest", registry=registry
        )
        self.unrecorded = Counter(
            "vector_db_batch_database_failures_total",
            "Times that the metadata database could not be reached",
            registry=registry,
        )

    def follow_flows(self, in_flight: Callable[[], int], limit: Callable[[], int]) -> None:
        """Ask at every scrape."""
        self._in_flight.set_function(in_flight)
        self._limit.set_function(limit)

    def queue(self, status: QueueStatus) -> None:
        for state in JobState:
            self._jobs.labels(state.value).set(status.jobs.get(state, 0))
        self._queue.set(status.waiting)
        self._oldest.set(status.oldest_wait_s)

    def of(self, kind: JobKind) -> TaskMetrics:
        return TaskMetrics(self, kind)


class TaskMetrics:
    """The series of one kind of jobs."""

    def __init__(self, metrics: BatchMetrics, kind: JobKind) -> None:
        self._done: Final = metrics.items.labels(kind.value, "done")
        self._failed: Final = metrics.items.labels(kind.value, "failed")
        self._unrecorded: Final = metrics.unrecorded
        self._seconds: Final = metrics.batch_seconds.labels(kind.value)

    def recorded(self, outcome: Outcome) -> None:
        self._done.inc(outcome.done)
        self._failed.inc(len(outcome.failed))

    def unrecorded(self) -> None:
        self._unrecorded.inc()

    def batch_took(self, seconds: float) -> None:
        self._seconds.observe(seconds)
