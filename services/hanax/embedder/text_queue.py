"""Texts that wait for the model: a bounded queue between the threads of callers and one worker.

A caller's thread submits a request and waits for it; the worker takes batches across requests.
Invariants, under one lock: `_waiting` is the number of texts that were admitted and are in no
batch yet, never more than the limit; a request is in `_requests` while some of its texts wait,
oldest first; a request ends once, with vectors or with an error, and its waiting texts go then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog

from hanax.core.errors import (
    Cancelled,
    DeadlineExceeded,
    HanaxError,
    Internal,
    Overloaded,
    Unavailable,
)
from hanax.embedder.backends import Backend, Tokens, Vectors
from hanax.embedder.batching import next_batch
from hanax.embedder.metrics import EmbedderMetrics

log = structlog.get_logger()

# The longest that anyone waits, with a deadline or without: the longest embed_timeout_s.
_LONGEST_WAIT_S: Final = 600.0


@dataclass(frozen=True)
class QueueLimits:
    """`texts` may wait and `requests` be in progress at once; `batch_tokens` count padding."""

    texts: int
    requests: int
    batch_tokens: int


@dataclass(frozen=True)
class Embedded:
    """The answer to a request: float32 (texts, dimension), and what was read of each text."""

    vectors: Vectors
    tokens: Sequence[Tokens]


class EmbedRequest:
    """The texts of one call. Made by `TextQueue.submit`; all fields are the queue's own."""

    def __init__(self, tokens: list[Tokens], dimension: int, deadline: float) -> None:
        self.tokens = tokens
        self.deadline = deadline
        # Positions of the texts that are in no batch yet, the longest first.
        self.waiting = sorted(range(len(tokens)), key=lambda at: -tokens[at].count)
        self.vectors: Vectors = np.empty((len(tokens), dimension), np.float32)
        self.unfinished = len(tokens)
        self.error: HanaxError | None = None
        self.ended = threading.Event()


# Rows of a batch: a request and the positions of its texts, in the batch's order.
_Part = tuple[EmbedRequest, list[int]]


class TextQueue:
    """One model's queue. `run` it on the worker thread until `close`."""

    def __init__(
        self,
        backend: Backend,
        limits: QueueLimits,
        metrics: EmbedderMetrics,
        clock: Callable[[], float],
    ) -> None:
        """`clock`: monotonic seconds."""
        self._backend = backend
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._changed = threading.Condition()
        self._requests: list[EmbedRequest] = []
        self._in_progress = 0
        self._waiting = 0
        self._closed = False
        metrics.count_waiting(lambda: self._waiting)

    # --- on the threads of callers ---------------------------------------------------------

    def submit(self, texts: Sequence[str], timeout_s: float) -> EmbedRequest:
        """Admit 1 or more texts, tokenize them and let them wait. `timeout_s`: the caller's time.

        Every request must be waited for. Raises Overloaded at once, before any work, when they do
        not fit; Unavailable when closed.
        """
        deadline = self._clock() + min(timeout_s, _LONGEST_WAIT_S)
        self._admit(len(texts))
        try:
            tokens = self._backend.tokenize(texts)
            request = EmbedRequest(tokens, self._backend.info.dimension, deadline)
        except BaseException:
            with self._changed:
                self._waiting -= len(texts)
                self._in_progress -= 1
            raise
        with self._changed:
            if self._closed:
                self._end(request, _closed())
            else:
                self._requests.append(request)
                self._changed.notify()
        return request

    def wait(self, request: EmbedRequest) -> Embedded:
        """The vectors, once they are there. Raises the error that the request ended with."""
        if not request.ended.wait(max(0.0, request.deadline - self._clock())):
            with self._changed:
                self._end(request, _too_late())
        if request.error is not None:
            raise request.error
        return Embedded(request.vectors, request.tokens)

    def abandon(self, request: EmbedRequest) -> None:
        """Nobody wants the answer: what is in no batch yet is dropped. An ended one stays so."""
        with self._changed:
            self._end(request, Cancelled("the caller went away"))

    # --- on the worker thread --------------------------------------------------------------

    def run(self) -> None:
        """Embed what comes until `close`; then fail what still waits."""
        while parts := self._take():
            self._embed(parts)
        with self._changed:
            for request in tuple(self._requests):
                self._end(request, _closed())

    def close(self) -> None:
        """Admit nothing more; `run` returns after the batch it is at."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    # --- inside ----------------------------------------------------------------------------

    def _admit(self, texts: int) -> None:
        limits = self._limits
        with self._changed:
            if self._closed:
                raise _closed()
            if self._waiting + texts > limits.texts:
                raise Overloaded(
                    f"{self._waiting} texts wait and at most {limits.texts} may: "
                    f"no room for {texts} more now",
                    waiting=self._waiting,
                    limit=limits.texts,
                )
            if self._in_progress >= limits.requests:
                raise Overloaded(
                    f"{limits.requests} requests are in progress, as many as may be",
                    limit=limits.requests,
                )
            self._waiting += texts
            self._in_progress += 1

    def _take(self) -> list[_Part]:
        """The next batch, as soon as there is one; empty when closed."""
        with self._changed:
            while True:
                if self._closed:
                    return []
                now = self._clock()
                for request in tuple(self._requests):
                    if request.deadline <= now:
                        self._end(request, _too_late())
                if self._requests:
                    return self._pick()
                self._changed.wait()

    def _pick(self) -> list[_Part]:
        counts = [[request.tokens[at].count for at in request.waiting] for request in self._requests]
        parts: list[_Part] = []
        for number, first, last in next_batch(counts, self._limits.batch_tokens):
            request = self._requests[number]
            parts.append((request, request.waiting[first:last]))
            del request.waiting[first:last]
            self._waiting -= last - first
        self._requests = [request for request in self._requests if request.waiting]
        return parts

    def _embed(self, parts: list[_Part]) -> None:
        batch = [request.tokens[at] for request, positions in parts for at in positions]
        padded = len(batch) * max(tokens.count for tokens in batch)
        model = self._backend.info.name
        started = self._clock()
        error: HanaxError | None = None
        try:
            vectors = self._backend.embed(batch)
            if not np.isfinite(vectors).all():
                error = Internal(f"{model} gave a vector that is not finite")
        except Exception as failure:
            log.exception("batch failed", model=model, texts=len(batch), tokens=padded)
            error = Internal(f"{type(failure).__name__} in {model}; see the embedder's log")
        self._metrics.batch_ended(model, len(batch), padded, self._clock() - started)
        if error is None:
            self._metrics.embedded(model, len(batch), sum(tokens.truncated for tokens in batch))
        row = 0
        for request, positions in parts:
            if error is None:
                request.vectors[positions] = vectors[row : row + len(positions)]
            row += len(positions)
            with self._changed:
                request.unfinished -= len(positions)
                if error is not None or request.unfinished == 0:
                    self._end(request, error)

    def _end(self, request: EmbedRequest, error: HanaxError | None) -> None:
        """Under the lock. The first end counts."""
        if request.ended.is_set():
            return
        if request.waiting:
            self._waiting -= len(request.waiting)
            request.waiting = []
            self._requests = [other for other in self._requests if other is not request]
        self._in_progress -= 1
        request.error = error
        request.ended.set()


def _closed() -> Unavailable:
    return Unavailable("the embedder is stopping")


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("the request's time was over before its texts were embedded")
