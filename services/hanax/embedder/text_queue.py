"""Texts that wait for one model: a bounded queue between the threads of callers and the workers.

A caller's thread submits a request and waits for it; workers take batches across requests.
Invariants, under the workers' lock: `_waiting` is the number of texts that were admitted and are
in no batch yet, never more than the limit; a request is in `_requests` while some of its texts
wait, in the order of turns; a request ends once, with vectors or with an error, and its waiting
texts go then.

An urgent request goes before all that came at most `URGENT_HEAD_START_S` before it. None starves:
after that time a request is before every urgent one that comes.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from hanax.core.errors import (
    Cancelled,
    DeadlineExceeded,
    HanaxError,
    Overloaded,
    Unavailable,
)
from hanax.embedder.backends import RowBackend, Tokens, Vectors
from hanax.embedder.batching import BatchShape, next_batch
from hanax.embedder.readings import Reading
from hanax.embedder.speed import Speed

if TYPE_CHECKING:
    from hanax.embedder.metrics import ModelMetrics

URGENT_HEAD_START_S: Final = 2.0

# No batch is meant to take longer, so that a slow model does not hold up its neighbours and what
# is urgent; but batches below this are not worth what they save.
_LONGEST_BATCH_S: Final = 0.25
_SMALLEST_BUDGET_TOKENS: Final = 256

# The callers that were refused come back after what waits was worked off, within these bounds.
_SOONEST_RETRY_S: Final = 0.1
_LATEST_RETRY_S: Final = 30.0


@dataclass(frozen=True)
class QueueLimits:
    """`texts` may wait and `requests` be in progress at once.

    `batch_tokens`: the most in one batch, padding counted; 0: what the model's backend says.
    """

    texts: int
    requests: int
    batch_tokens: int


@dataclass(frozen=True)
class Waiting:
    """How a caller waits. `deadline`: by the queue's clock."""

    deadline: float
    urgent: bool = False


class EmbedRequest:
    """The rows of one call. Made by `TextQueue.submit`; all fields are the queue's own."""

    def __init__(self, reading: Reading, dimension: int, waits: Waiting, came_at: float) -> None:
        self.reading = reading
        tokens = self.tokens = reading.rows
        self.deadline = waits.deadline
        self.urgent = waits.urgent
        self.came_at = came_at
        self.turn = came_at if waits.urgent else came_at + URGENT_HEAD_START_S
        # Positions of the rows that are in no batch yet, the longest first.
        self.waiting = sorted(range(len(tokens)), key=lambda at: -tokens[at].count)
        self.vectors: Vectors = np.empty((len(tokens), dimension), np.float32)
        self.unfinished = len(tokens)
        self.error: HanaxError | None = None
        self.ended = threading.Event()


@dataclass(frozen=True)
class Batch:
    """Rows that go through the model together, as a request and positions in it, in order."""

    queue: TextQueue
    backend: RowBackend
    parts: list[tuple[EmbedRequest, list[int]]]
    rows: list[Tokens]
    cost_tokens: int
    # What the workers charged the model for it, before they knew.
    expected_s: float

    @property
    def wanted(self) -> bool:
        """Someone still waits for a part of it."""
        return any(not request.ended.is_set() for request, _ in self.parts)

    def give(self, vectors: Vectors) -> None:
        """Put the rows where they belong. No lock is needed: nobody reads them before the end."""
        row = 0
        for request, positions in self.parts:
            request.vectors[positions] = vectors[row : row + len(positions)]
            row += len(positions)


class TextQueue:
    """One model's queue. Calls marked so are made by workers, under their lock."""

    def __init__(
        self,
        limits: QueueLimits,
        lock: threading.Condition,
        wake: Callable[[TextQueue], None],
        metrics: ModelMetrics,
        clock: Callable[[], float],
    ) -> None:
        """`wake` is called under `lock` when more waits. `clock`: monotonic seconds."""
        self.limits = limits
        self.metrics = metrics
        self.in_flight = 0
        # Compute time that the model has had, for the workers' fairness among models.
        self.served_s = 0.0
        self._lock = lock
        self._wake = wake
        self._clock = clock
        self._speed = Speed()
        self._shape = BatchShape(_SMALLEST_BUDGET_TOKENS, 0)
        self._backend: RowBackend | None = None
        self._requests: list[EmbedRequest] = []
        self._in_progress = 0
        self._waiting = 0
        self._waiting_tokens = 0
        self._closed = False
        metrics.count_waiting(lambda: self._waiting)

    # --- on the threads of callers ---------------------------------------------------------

    def submit(self, texts: int, read: Callable[[], Reading], waits: Waiting) -> EmbedRequest:
        """Admit 1 or more texts, `read` them into rows, at least as many, and let those wait.

        Every request must be waited for. Raises Overloaded at once, before any work, when they do
        not fit (and after reading when their parts do not); Unavailable when closed. The model
        stays served until the request has ended.
        """
        self._admit(texts)
        admitted = texts
        try:
            reading = read()
            dimension = self._served().info.dimension
            request = EmbedRequest(reading, dimension, waits, self._clock())
            if len(request.tokens) > texts:
                self._admit_parts(len(request.tokens) - texts)
                admitted = len(request.tokens)
        except BaseException:
            with self._lock:
                self._waiting -= admitted
                self._in_progress -= 1
            raise
        with self._lock:
            self._waiting_tokens += sum(row.count for row in request.tokens)
            if self._closed:
                self._end(request, _closed())
            else:
                insort(self._requests, request, key=lambda other: other.turn)
                self._wake(self)
        return request

    def wait(self, request: EmbedRequest) -> Vectors:
        """float32 (rows, dimension), once they are there. Raises what the request ended with."""
        if not request.ended.wait(max(0.0, request.deadline - self._clock())):
            with self._lock:
                self._end(request, _too_late())
        if request.error is not None:
            raise request.error
        return request.vectors

    def abandon(self, request: EmbedRequest) -> None:
        """Nobody wants the answer: what is in no batch yet is dropped. An ended one stays so."""
        with self._lock:
            self._end(request, Cancelled("the caller went away"))

    def retry_after_s(self) -> float:
        """How long what waits now will take, as fast as the model was lately."""
        seconds = self._speed.seconds_for(self._waiting_tokens)
        return round(min(max(seconds, _SOONEST_RETRY_S), _LATEST_RETRY_S), 3)

    # --- the model comes and goes ----------------------------------------------------------

    def serve(self, backend: RowBackend) -> None:
        budget = self.limits.batch_tokens or backend.batch_tokens
        with self._lock:
            self._shape = BatchShape(budget, backend.batch_overhead_tokens, backend.pads)
            self._backend = backend

    def rest(self) -> None:
        """No request is in progress: the model is let go."""
        with self._lock:
            self._backend = None

    # --- on the workers, under the lock ----------------------------------------------------

    @property
    def has_waiting(self) -> bool:
        return bool(self._requests)

    @property
    def began(self) -> bool:
        """The first request after a time without any."""
        return len(self._requests) == 1 and self.in_flight == 0

    @property
    def urgent_waits(self) -> bool:
        return bool(self._requests) and self._requests[0].urgent

    @property
    def fills_a_batch(self) -> bool:
        """What waits is as much as one batch takes: it gains nothing by waiting for more."""
        return self._waiting_tokens >= self._budget()

    def drop_late(self, now: float) -> None:
        for request in tuple(self._requests):
            if request.deadline <= now:
                self._end(request, _too_late())

    def pick(self, now: float) -> Batch:
        """The next batch. Something waits."""
        counts = [[request.tokens[at].count for at in request.waiting] for request in self._requests]
        shape = self._shape._replace(budget_tokens=self._budget())
        parts: list[tuple[EmbedRequest, list[int]]] = []
        rows: list[Tokens] = []
        for number, first, last in next_batch(counts, shape):
            request = self._requests[number]
            positions = request.waiting[first:last]
            parts.append((request, positions))
            rows += [request.tokens[at] for at in positions]
            if len(request.waiting) == len(request.tokens):
                self.metrics.waited(now - request.came_at)
            del request.waiting[first:last]
        self._waiting -= len(rows)
        self._waiting_tokens -= sum(row.count for row in rows)
        self._requests = [request for request in self._requests if request.waiting]
        self.in_flight += 1
        backend = self._served()
        cost = backend.padded_tokens([row.count for row in rows])
        expected_s = self._speed.seconds_for(cost + shape.overhead_tokens)
        self.served_s += expected_s
        return Batch(self, backend, parts, rows, cost, expected_s)

    def computed(self, batch: Batch, seconds: float | None) -> None:
        """The model took so long for a batch; None: it did not compute it, or failed."""
        if seconds is not None:
            self._speed.observe(batch.cost_tokens + self._shape.overhead_tokens, seconds)
        self.served_s += (seconds or 0.0) - batch.expected_s

    def finish(self, batch: Batch, error: HanaxError | None) -> None:
        """Answer the requests of a batch that are complete, and all of a failed one."""
        self.in_flight -= 1
        for request, positions in batch.parts:
            request.unfinished -= len(positions)
            if error is not None or request.unfinished == 0:
                self._end(request, error)

    def close(self) -> None:
        """Admit nothing more, and fail what waits."""
        self._closed = True
        for request in tuple(self._requests):
            self._end(request, _closed())

    # --- inside ----------------------------------------------------------------------------

    def _served(self) -> RowBackend:
        assert self._backend is not None, "a request is in progress, so its model is served"
        return self._backend

    def _budget(self) -> int:
        in_time = int(self._speed.tokens_in(_LONGEST_BATCH_S))
        return min(self._shape.budget_tokens, max(in_time, _SMALLEST_BUDGET_TOKENS))

    def _admit(self, texts: int) -> None:
        with self._lock:
            if self._closed:
                raise _closed()
            self._check_room(texts)
            if self._in_progress >= self.limits.requests:
                raise Overloaded(
                    f"{self.limits.requests} requests are in progress, as many as may be",
                    limit=self.limits.requests,
                    retry_after_s=self.retry_after_s(),
                )
            self._waiting += texts
            self._in_progress += 1

    def _admit_parts(self, parts: int) -> None:
        with self._lock:
            self._check_room(parts)
            self._waiting += parts

    def _check_room(self, texts: int) -> None:
        if self._waiting + texts > self.limits.texts:
            raise Overloaded(
                f"{self._waiting} texts wait and at most {self.limits.texts} may: "
                f"no room for {texts} more now",
                waiting=self._waiting,
                limit=self.limits.texts,
                retry_after_s=self.retry_after_s(),
            )

    def _end(self, request: EmbedRequest, error: HanaxError | None) -> None:
        """The first end counts."""
        if request.ended.is_set():
            return
        if request.waiting:
            self._waiting -= len(request.waiting)
            self._waiting_tokens -= sum(request.tokens[at].count for at in request.waiting)
            request.waiting = []
            self._requests = [other for other in self._requests if other is not request]
        self._in_progress -= 1
        request.error = error
        request.ended.set()


def _closed() -> Unavailable:
    return Unavailable("the embedder is stopping")


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("the request's time was over before its texts were computed")
