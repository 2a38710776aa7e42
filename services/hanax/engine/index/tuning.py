"""Recall as a promise: the least effort that finds the share of the true neighbours that was asked for.

Queries are rows of the segment, each left out of its own answer, or queries that users asked. Their true
neighbours come from an exact scan. One half of the sample picks the effort; the other half tells the recall,
and has the effort raised as long as that is too low.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hanax.core.errors import Cancelled
from hanax.core.index_specs import IndexSpec, SearchParameters
from hanax.engine.index.cores import CORES
from hanax.engine.index.flat import search_exact
from hanax.engine.index.protocol import Effort, Index, Nearest, Source

# What is aimed at when the collection states nothing.
DEFAULT_TARGET = 0.95
# Answers of these lengths are tuned for; others are derived from them.
_LENGTHS = (10, 100)
# A length is tried in segments that have so many times as many rows.
_ROWS_PER_NEIGHBOUR = 20
# Queries of each half of the sample. Within them, as many as these multiplications allow: some seconds.
_LEAST_QUERIES, _MOST_QUERIES = 64, 256
_MULTIPLICATIONS = 2e10
# Queries between two looks at whether to go on.
_BLOCK_QUERIES = 32
# The mean of the sample, less this many of its standard errors, has to reach the target.
_STANDARD_ERRORS = 1.0
# Distances of the index and of the scan may differ by rounding.
_ROUNDING = 1e-5


# What a spec or a search calls the effort, by the type of index.
_STATED_BY: Final = {"hnsw": "ef_search", "ivf": "nprobe", "lsh": "probes"}


@dataclass(frozen=True, slots=True)
class FixedEffort:
    """What someone chose."""

    effort: int

    def at(self, k: float) -> int:
        return self.effort


@dataclass(frozen=True, slots=True)
class TunedEffort:
    """points: (k, effort) as measured, both ascending. most: the effort that is as good as it gets.

    Between points the effort is interpolated over log k; beyond the last it grows by a power of k, as
    between the last two. Without points it is always `most`.
    """

    points: tuple[tuple[int, int], ...]
    most: int

    def at(self, k: float) -> int:
        if not self.points:
            return self.most
        if k <= self.points[0][0]:
            return self.points[0][1]
        for (below, low), (above, high) in pairwise(self.points):
            if k <= above:
                return math.ceil(low + (high - low) * math.log(k / below) / math.log(above / below))
        last, effort = self.points[-1]
        grown: float = effort * (k / last) ** self._exponent
        return min(self.most, max(effort, math.ceil(grown)))

    @property
    def _exponent(self) -> float:
        if len(self.points) < 2:
            return 1.0
        (below, low), (above, high) = self.points[-2:]
        return min(1.0, max(0.5, math.log(high / low) / math.log(above / below)))


class Tuned(NamedTuple):
    """recall: of the nearest 10, on the half of the sample that did not pick; NaN where answers are exact."""

    effort: TunedEffort
    recall: float


class Aim(NamedTuple):
    """What is tuned for. live: queries that users asked, float32[q, d], empty when they are too few.

    fixed: the effort that the collection states; it stands, and its recall is measured.
    """

    target: float
    fixed: int | None
    live: NDArray[np.float32]


def fixed_effort(spec: IndexSpec | SearchParameters, type_: str) -> int | None:
    """The effort that a collection or a search states for an index of this type."""
    stated: int | None = getattr(spec, _STATED_BY.get(type_, ""), None)
    return stated


def tune(index: Index, source: Source, aim: Aim, stopped: threading.Event) -> Tuned:
    """Raises Cancelled soon after `stopped` is set."""
    rows = len(source.vectors)
    if not index.efforts or rows < 2:
        return Tuned(TunedEffort((), max(index.efforts, default=0)), math.nan)
    lengths = [k for k in _LENGTHS if k * _ROWS_PER_NEIGHBOUR <= rows] or [min(10, rows - 1)]
    with CORES.aside():
        return _tuned(index, source, aim, lengths, stopped)


def _tuned(index: Index, source: Source, aim: Aim, lengths: Sequence[int], stopped: threading.Event) -> Tuned:
    ladder = index.efforts
    first, second = _samples(source, aim.live, lengths[-1], stopped)
    if aim.fixed is not None:
        effort = TunedEffort((), aim.fixed)
    else:
        points: list[tuple[int, int]] = []
        rung = 0
        for k in lengths:
            rung = _lowest(index, first, k, aim.target, rung)
            # Queries that find next to nothing are few, and the first half may have missed them.
            while rung + 1 < len(ladder) and _mean(index, second, k, ladder[rung]) < aim.target:
                rung += 1
            points.append((k, ladder[rung]))
        effort = TunedEffort(tuple(points), ladder[-1])
    return Tuned(effort, _mean(index, second, lengths[0], effort.at(lengths[0])))


class Sample:
    """Queries and their true neighbours."""

    def __init__(
        self,
        source: Source,
        queries: NDArray[np.float32],
        own: NDArray[np.int64],
        k: int,
        stopped: threading.Event,
    ) -> None:
        """own: int64[q], the row that each query is, or -1. k: the longest answer that is looked at."""
        self._queries, self._own, self._stopped = queries, own, stopped
        block = _Block(0, source.vectors, source.inverse_norms)
        parts = [
            _without(own[part], search_exact([block], source.metric, queries[part], k + 1, None), k)
            for part in self._parts()
        ]
        self._truth = np.concatenate([part.distances for part in parts])

    def recalls(self, index: Index, k: int, effort: Effort) -> NDArray[np.float64]:
        """Of each query, the share of the k answers that are no farther than the true k-th: float64[q]."""
        shares = []
        for part in self._parts():
            found = _without(self._own[part], index.search(self._queries[part], k + 1, None, effort), k)
            bound = self._truth[part, k - 1 : k]
            near = found.distances <= bound + _ROUNDING * np.maximum(np.abs(bound), 1.0)
            shares.append((near & (found.rows >= 0)).mean(axis=1))
        return np.concatenate(shares)

    def _parts(self) -> Iterator[slice]:
        for start in range(0, len(self._queries), _BLOCK_QUERIES):
            if self._stopped.is_set():
                raise Cancelled("the shard is closing")
            yield slice(start, start + _BLOCK_QUERIES)


class _Block(NamedTuple):
    base: int
    vectors: NDArray[np.float32]
    inverse_norms: NDArray[np.float32]


def _samples(
    source: Source, live: NDArray[np.float32], k: int, stopped: threading.Event
) -> tuple[Sample, Sample]:
    """Two halves that have no query in common."""
    rows, dimension = source.vectors.shape
    most = int(_MULTIPLICATIONS / (rows * dimension))
    size = min(max(most, _LEAST_QUERIES), _MOST_QUERIES, rows // 2)
    sample = partial(Sample, source, k=k, stopped=stopped)
    if len(live):
        nobody = np.full(len(live), -1, np.int64)
        halves = (np.ascontiguousarray(live[start::2][:size]) for start in (0, 1))
        first, second = (sample(half, nobody[: len(half)]) for half in halves)
        return first, second
    # Always the same rows: a build that is done again gives the same answers.
    own = np.random.default_rng(5).choice(rows, 2 * size, replace=False)
    first, second = (sample(source.vectors[half], half) for half in (own[:size], own[size:]))
    return first, second


def _without(own: NDArray[np.int64], found: Nearest, k: int) -> Nearest:
    """The first k answers other than the query itself."""
    order = np.argsort(found.rows == own[:, None], axis=1, kind="stable")[:, :k]
    return Nearest(
        np.take_along_axis(found.distances, order, axis=1), np.take_along_axis(found.rows, order, axis=1)
    )


def _mean(index: Index, sample: Sample, k: int, effort: int) -> float:
    return float(sample.recalls(index, k, FixedEffort(effort)).mean())


def _lowest(index: Index, sample: Sample, k: int, target: float, start: int) -> int:
    """The lowest rung of the index's efforts, from `start` up, that reaches the target; else the last."""
    low, high = start, len(index.efforts) - 1
    while low < high:
        middle = (low + high) // 2
        recalls = sample.recalls(index, k, FixedEffort(index.efforts[middle]))
        error = float(recalls.std()) / math.sqrt(len(recalls))
        if float(recalls.mean()) - _STANDARD_ERRORS * error >= target:
            high = middle
        else:
            low = middle + 1
    return low
