"""Rows dealt out to the lists of their nearest centroids: the part that all IVF indexes share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hanax.core.errors import Cancelled
from hanax.engine.index.clustering import Centroids, assign, find_centroids
from hanax.engine.index.protocol import Arrays, Source, Work
from hanax.engine.index.scalar import Encoded, ScalarQuantiser
from hanax.engine.index.space import Space

# Rows that are mapped and encoded at a time.
_RUN_ROWS = 4_096
# Rows for each centroid that k-means looks at.
_TRAINING_ROWS = 40
_SCALE_ROWS = 16_384


def default_lists(rows: int) -> int:
    """Reading centroids then costs about as much as reading the lists of a search."""
    return max(1, round(1.6 * math.sqrt(rows)))


# Without slots: it keeps what it computed.
@dataclass(frozen=True)
class Lists:
    """Positions starts[l] .. starts[l + 1] are the vectors of list l: int64[lists + 1]; rows: uint32[n]."""

    centroids: Centroids
    starts: NDArray[np.int64]
    rows: NDArray[np.uint32]

    @property
    def count(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def positions(self) -> NDArray[np.uint32]:
        """The position of each row: uint32[n]. Made when it is first asked for."""
        positions = np.empty(len(self.rows), np.uint32)
        positions[self.rows] = np.arange(len(self.rows), dtype=np.uint32)
        return positions

    @property
    def arrays(self) -> Arrays:
        return {
            "centroids": self.centroids.codes,
            "centroid_norms": self.centroids.norms,
            "starts": self.starts,
            "rows": self.rows,
        }

    @classmethod
    def load(cls, arrays: Arrays) -> Lists:
        centroids = Centroids(arrays["centroids"], arrays["centroid_norms"])
        return cls(centroids, arrays["starts"], arrays["rows"])


@dataclass(frozen=True, slots=True)
class Trained:
    """What was learnt from a sample, and the sample's codes."""

    quantiser: ScalarQuantiser
    centroids: Centroids
    sample: Encoded


def train(space: Space, source: Source, lists: int, work: Work) -> Trained:
    """Learn scale and centroids from random rows of the source, which has some. Raises Cancelled."""
    random = np.random.default_rng(17)
    count = len(source.vectors)
    size = min(count, max(_SCALE_ROWS, lists * _TRAINING_ROWS))
    mapped = space.rows(source, np.sort(random.choice(count, size, replace=False)))
    quantiser = ScalarQuantiser.fit(space, mapped[:: max(1, size // _SCALE_ROWS)])
    # In no order: a mini-batch is a run of rows.
    sample = quantiser.encode(mapped[random.permutation(size)])
    centroids = find_centroids(space.l1, sample, lists, random, work.stopped)
    return Trained(quantiser, centroids, sample)


def deal_out(space: Space, source: Source, trained: Trained, work: Work) -> Lists:
    """Assign every row to its nearest centroid. 20 bytes a row are in memory meanwhile. Raises Cancelled."""
    count = len(source.vectors)
    labels = np.empty(count, np.int32)

    def label(run: slice) -> None:
        encoded = trained.quantiser.encode(space.rows(source, run))
        labels[run] = assign(space.l1, trained.centroids, encoded.codes, encoded.constants)

    in_runs(count, label, work)
    rows = work.allocate("rows", np.uint32, (count,))
    rows[:] = np.argsort(labels, kind="stable")
    lists = len(trained.centroids.codes)
    starts = np.zeros(lists + 1, np.int64)
    np.cumsum(np.bincount(labels, minlength=lists), out=starts[1:])
    return Lists(trained.centroids, starts, rows)


def in_runs(count: int, task: Callable[[slice], None], work: Work) -> None:
    """Call `task` for runs of rows or positions, on `work.threads` threads. Raises Cancelled."""

    def checked(run: slice) -> None:
        if work.stopped.is_set():
            raise Cancelled("the shard is closing")
        task(run)

    with ThreadPoolExecutor(work.threads, thread_name_prefix="build") as threads:
        for _ in threads.map(checked, _runs(count)):
            pass


def _runs(count: int) -> Iterator[slice]:
    for first in range(0, count, _RUN_ROWS):
        yield slice(first, min(count, first + _RUN_ROWS))
