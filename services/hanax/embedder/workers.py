"""The threads that compute: one computes a batch while the other prepares the next.

They take turns, because a model on a CPU uses all cores for one batch; preparing a batch may begin
it on those that the one before leaves idle. A batch is taken while another computes only when
enough waits to fill it: one that is not full may still grow, and on an idle service there is never
a second. Completing a batch, too, happens beside the next one.

Models share the time fairly, as in start-time fair queueing (Goyal, Vin & Cheng, 1996): the next
batch is of the model that had the least compute time, and one that was idle begins where the
others are. A model for which an urgent request waits is preferred up to a bound.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import numpy as np
import structlog

from hanax.core.errors import HanaxError, Internal
from hanax.embedder.backends import Vectors
from hanax.embedder.text_queue import Batch, TextQueue

log = structlog.get_logger()

_THREADS: Final = 2

# Compute time by which a model whose urgent texts wait may get ahead of the others.
_URGENT_LEAD_S: Final = 1.0

# After a close the workers are at most in one batch each that nobody waits for.
_LAST_BATCHES_S: Final = 5.0


class _Outcome(NamedTuple):
    """Neither vectors nor an error: the batch was left out."""

    vectors: Vectors | None
    error: HanaxError | None
    seconds: float


class Workers:
    """Owns the one lock of all queues."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        lock = threading.Lock()
        self.lock = threading.Condition(lock)
        self._clock = clock
        self._queues: list[TextQueue] = []
        # Computations, in the order in which they were decided on: the next number, and whose turn it is.
        self._tickets = 0
        self._turn = 0
        self._turned = threading.Condition(lock)
        # Batches that were taken and are not computed yet.
        self._taken = 0
        # Compute time of the model that was served last, when it was: where an idle one begins.
        self._now_s = 0.0
        self._finished = threading.Condition(lock)
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True)
            for number in range(_THREADS)
        ]

    def add(self, queue: TextQueue) -> None:
        with self.lock:
            self._queues.append(queue)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Take no more batches, fail what waits, and wait for those that run, within a bound."""
        with self.lock:
            self._closed = True
            for queue in self._queues:
                queue.close()
            self.lock.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_LAST_BATCHES_S)

    def wake(self, queue: TextQueue) -> None:
        """Under the lock: more waits in `queue`."""
        if queue.began:
            # It was idle: what it did not use then is not made up for now.
            queue.served_s = max(queue.served_s, self._now_s)
        if self._taken == 0 or (self._taken < _THREADS and queue.fills_a_batch):
            self.lock.notify()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No batch is computed inside."""
        with self.lock:
            ticket = self._ticket()
        with self._in_turn(ticket):
            yield

    def settle(self, queue: TextQueue) -> None:
        """Return when no batch of `queue` is in work. No new one may begin meanwhile."""
        with self.lock:
            self._finished.wait_for(lambda: queue.in_flight == 0)

    # --- on the threads --------------------------------------------------------------------

    def _run(self) -> None:
        while taken := self._take():
            batch, ticket = taken
            outcome = self._compute(batch, ticket)
            with self.lock:
                self._taken -= 1
                batch.queue.computed(batch, outcome.seconds if outcome.vectors is not None else None)
                if any(queue.has_waiting for queue in self._queues):
                    # The other thread may take it while this one answers.
                    self.lock.notify()
            self._answer(batch, outcome)

    def _take(self) -> tuple[Batch, int] | None:
        """The next batch and its turn, as soon as it is time for one; None when closed."""
        with self.lock:
            while not self._closed:
                now = self._clock()
                for queue in self._queues:
                    queue.drop_late(now)
                chosen = self._choose()
                if chosen is not None and (self._taken == 0 or chosen.fills_a_batch):
                    self._taken += 1
                    self._now_s = chosen.served_s
                    batch = chosen.pick(now)
                    if self._taken < _THREADS and any(queue.fills_a_batch for queue in self._queues):
                        self.lock.notify()
                    return batch, self._ticket()
                self.lock.wait()
            return None

    def _choose(self) -> TextQueue | None:
        waiting = (queue for queue in self._queues if queue.has_waiting)
        return min(
            waiting,
            key=lambda queue: queue.served_s - _URGENT_LEAD_S * queue.urgent_waits,
            default=None,
        )

    def _ticket(self) -> int:
        """Under the lock. Every ticket has its turn."""
        self._tickets += 1
        return self._tickets - 1

    @contextmanager
    def _in_turn(self, ticket: int) -> Iterator[None]:
        with self.lock:
            self._turned.wait_for(lambda: self._turn == ticket)
        try:
            yield
        finally:
            with self.lock:
                self._turn += 1
                self._turned.notify_all()

    def _compute(self, batch: Batch, ticket: int) -> _Outcome:
        """Prepare at once, compute in turn. A batch that nobody waits for any more is left out."""
        compute: Callable[[], Vectors] | None = None
        outcome = _Outcome(None, None, 0.0)
        try:
            compute = batch.backend.prepare(batch.rows)
        except Exception as failure:
            outcome = _Outcome(None, _failed(batch, failure), 0.0)
        with self._in_turn(ticket):
            if compute is not None and batch.wanted:
                started = self._clock()
                try:
                    vectors = compute()
                    outcome = _Outcome(vectors, None, self._clock() - started)
                except Exception as failure:
                    outcome = _Outcome(None, _failed(batch, failure), self._clock() - started)
        return outcome

    def _answer(self, batch: Batch, outcome: _Outcome) -> None:
        vectors, error, seconds = outcome
        metrics = batch.queue.metrics
        if vectors is not None:
            if np.isfinite(vectors).all():
                batch.give(vectors)
            else:
                error = Internal(f"{metrics.model} gave a vector that is not finite")
        if vectors is not None or error is not None:
            metrics.batch_ended(batch.rows, batch.cost_tokens, seconds, ok=error is None)
        with self.lock:
            batch.queue.finish(batch, error)
            self._finished.notify_all()


def _failed(batch: Batch, failure: Exception) -> HanaxError:
    """The traceback goes into the log, what a caller may know into the error."""
    model = batch.queue.metrics.model
    log.exception("batch failed", model=model, texts=len(batch.rows), tokens=batch.cost_tokens)
    return Internal(f"{type(failure).__name__} in {model}; see the embedder's log")
