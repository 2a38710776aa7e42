"""The recall that users get: some of their queries are asked again, exactly, in the background.

One query a second at most, and no more of them than take a fiftieth of one core. Filtered queries are left
out, and those that state an effort. When recall is clearly below the target, efforts are measured anew with
the queries that users ask.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hanax.core.index_specs import SearchParameters
from hanax.engine.index.cores import CORES
from hanax.engine.index.tuning import DEFAULT_TARGET
from hanax.engine.points import Projection
from hanax.engine.query.searching import Search, find
from hanax.engine.schema import Schema
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.segment.view import View
from hanax.engine.shard.index_plans import IndexPlans

_LEAST_PAUSE_S = 1.0
# A comparison that took a while is followed by so many times as long a pause.
_PAUSE_FACTOR = 50.0
_MOST_WAITING = 8
# The recall that is told is that of the last so many.
_WINDOW = 256
# Queries that are kept to tune for, and as many as are needed for it.
_MOST_QUERIES, _LEAST_QUERIES = 512, 128
# Answers are compared up to this length.
_MOST_NEIGHBOURS = 100
# Below the target by so many standard errors: clearly.
_STANDARD_ERRORS = 3.0
_ROUNDING = 1e-5
_EXACT, _DEFAULT = SearchParameters(exact=True), SearchParameters()


class _Asked(NamedTuple):
    column: str
    query: NDArray[np.float32]
    limit: int


class LiveRecall:
    """`offer` is called by every search and costs nothing most of the time."""

    def __init__(
        self, schema: Schema, plans: IndexPlans, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._schema = schema
        self._plans = plans
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._next_s = -math.inf
        self._waiting: deque[_Asked] = deque(maxlen=_MOST_WAITING)
        self._shares: deque[float] = deque(maxlen=_WINDOW)
        self._queries: dict[str, deque[NDArray[np.float32]]] = {
            name: deque(maxlen=_MOST_QUERIES) for name in schema.fields
        }
        self.samples = 0
        # Comparisons until efforts may be measured anew; more each time, should it not help.
        self._until_tuned = _LEAST_QUERIES

    @property
    def recall(self) -> float:
        """NaN when nothing was compared yet."""
        shares = list(self._shares)
        return float(np.mean(shares)) if shares else math.nan

    def offer(self, column: str, queries: NDArray[np.float32], limit: int) -> bool:
        """Take one of the queries, float32[q, d], if it is time for one. True: `compare` should be called."""
        now_s = self._clock_s()
        if now_s < self._next_s or not len(queries):
            return False
        with self._lock:
            if now_s < self._next_s:
                return False
            self._next_s = now_s + _LEAST_PAUSE_S
            self._waiting.append(_Asked(column, queries[-1].copy(), min(limit, _MOST_NEIGHBOURS)))
            return True

    def compare(self, view: View) -> bool:
        """Compare the answers to one query that waits. True: efforts should be measured anew."""
        with self._lock:
            asked = self._waiting.popleft() if self._waiting else None
        segments = [part.segment for part in view.segments if isinstance(part.segment, SealedSegment)]
        if asked is None or not any(_is_tuned(segment, asked.column) for segment in segments):
            return False
        began_s = self._clock_s()
        with CORES.aside():
            share = self._share(view, asked)
        with self._lock:
            pause_s = (self._clock_s() - began_s) * _PAUSE_FACTOR
            self._next_s = max(self._next_s, self._clock_s() + pause_s)
            if share is None:
                return False
            self._shares.append(share)
            self._queries[asked.column].append(asked.query)
            self.samples += 1
            return self._tune_if_low(asked.column, segments)

    def _share(self, view: View, asked: _Asked) -> float | None:
        """Of the true nearest, the share that is found; None when there are none."""
        field = self._schema.field(asked.column)
        true, found = (
            find(
                view,
                asked.query[None],
                Search(asked.column, field, asked.limit, None, None, Projection(), parameters),
            ).distances
            for parameters in (_EXACT, _DEFAULT)
        )
        if not true.shape[1]:
            return None
        bound = float(true[0, -1])
        near = found[0] <= bound + _ROUNDING * max(abs(bound), 1.0)
        return float(near.sum() / true.shape[1])

    def _tune_if_low(self, column: str, segments: list[SealedSegment]) -> bool:
        queries = self._queries[column]
        self._until_tuned -= 1
        if self._until_tuned > 0 or len(queries) < _LEAST_QUERIES:
            return False
        target = self._plans.indexing.target_recall or DEFAULT_TARGET
        error = float(np.std(self._shares)) / math.sqrt(len(self._shares))
        if float(np.mean(self._shares)) + _STANDARD_ERRORS * error >= target:
            return False
        self._plans.tune_for(column, np.array(queries), segments)
        self._shares.clear()
        self._until_tuned = 2 * len(queries)
        return True


def _is_tuned(segment: SealedSegment, column: str) -> bool:
    """Whether its answers may differ from those of a scan."""
    index = segment.index(column)
    return index is not None and bool(index.index.efforts)
