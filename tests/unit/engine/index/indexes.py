"""What tests of every index share: sources, masks, reopening, and numpy's answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.engine.index.protocol import Index, Mask, Nearest, Source, Work
from hanax.engine.schema import inverse_norms
from hanax.engine.segment.masks import words_of
from tests.unit.engine import reference

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Fixed:
    """The same effort for every k."""

    effort: int

    def at(self, k: float) -> int:
        return self.effort


def source_of(metric: Metric, vectors: Floats) -> Source:
    norms = inverse_norms(vectors) if metric is Metric.COSINE else np.empty(0, np.float32)
    return Source(vectors, norms, metric)


def work() -> Work:
    return Work(lambda _, dtype, shape: np.zeros(shape, dtype), threading.Event())


def stopped_work() -> Work:
    halted = work()
    halted.stopped.set()
    return halted


def mask_of(allowed: Flags) -> Mask:
    return Mask(words_of(allowed), int(allowed.sum()))


def clusters(count: int, dimension: int, seed: int) -> Floats:
    """Around the same centers for every seed, so that rows and queries are alike."""
    centers = np.random.default_rng(99).standard_normal((20, dimension), np.float32) * 2
    random = np.random.default_rng(seed)
    labels = random.integers(0, 20, count)
    return centers[labels] + random.standard_normal((count, dimension), np.float32)


def masks(count: int, random: np.random.Generator) -> Iterator[Flags]:
    """All, most, half, few; one row at the edges of words; one less than 10, 10, and one more."""
    yield np.ones(count, np.bool_)
    for share in (0.95, 0.5, 0.1, 0.02):
        allowed = random.random(count) < share
        allowed[int(random.integers(count))] = True
        yield allowed
    for row in sorted({0, 63, 64, count - 1} & set(range(count))):
        yield np.arange(count) == row
    for size in sorted({9, 10, 11} & set(range(count))):
        allowed = np.zeros(count, np.bool_)
        allowed[random.choice(count, size, replace=False)] = True
        yield allowed


def check_exact(found: Nearest, source: Source, queries: Floats, allowed: Flags, k: int) -> None:
    """The k nearest allowed rows, as numpy has them; rows that tie within rounding may swap."""
    assert found.distances.shape == found.rows.shape == (len(queries), k)
    for query, distances, rows in zip(queries, found.distances, found.rows, strict=True):
        exact = reference.distances(source.metric, query, source.vectors)
        expected = {row: float(exact[row]) for row in np.flatnonzero(allowed).tolist()}
        pairs = list(zip(rows.tolist(), distances.tolist(), strict=True))
        slack = reference.tolerance(source.metric, query, source.vectors)
        reference.assert_nearest(pairs, expected, k, slack)


def check_allowed(found: Nearest, source: Source, queries: Floats, allowed: Flags) -> None:
    """k different allowed rows for each query, with their true distances, ascending."""
    for query, distances, rows in zip(queries, found.distances, found.rows, strict=True):
        assert allowed[rows].all()
        assert (rows >= 0).all()
        assert len(set(rows.tolist())) == len(rows)
        assert (np.diff(distances) >= 0).all()
        exact = reference.distances(source.metric, query, source.vectors[rows])
        slack = reference.tolerance(source.metric, query, source.vectors)
        np.testing.assert_allclose(distances, exact, rtol=1e-5, atol=slack)


def recall(found: Nearest, source: Source, queries: Floats, allowed: Flags) -> float:
    """The share of the found rows that are no farther than the k-th nearest allowed one."""
    k = found.rows.shape[1]
    hits = 0
    for query, rows in zip(queries, found.rows, strict=True):
        exact = reference.distances(source.metric, query, source.vectors)
        bound = np.sort(exact[allowed])[k - 1]
        slack = reference.tolerance(source.metric, query, source.vectors)
        hits += int((exact[rows] <= bound + slack).sum())
    return hits / found.rows.size


def reopened(index: Index, source: Source) -> Index:
    """The index as it comes back from files: parameters through JSON, arrays that can't be written."""
    arrays = {}
    for name, array in index.arrays.items():
        copy: NDArray[Any] = array.copy()
        copy.setflags(write=False)
        arrays[name] = copy
    vectors = source.vectors.copy()
    vectors.setflags(write=False)
    parameters = json.loads(json.dumps(index.parameters))
    opened: Index = type(index).load(arrays, parameters, source._replace(vectors=vectors))  # type: ignore[attr-defined]
    return opened


def assert_same(left: Nearest, right: Nearest) -> None:
    assert left.rows.tolist() == right.rows.tolist()
    assert left.distances.tolist() == right.distances.tolist()


def assert_threads_agree(index: Index, queries: Floats, k: int, effort: Fixed) -> None:
    """Searches at the same time don't disturb each other."""
    alone = [index.search(queries[i : i + 1], k, None, effort) for i in range(len(queries))]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            found = threads.map(
                lambda i: index.search(queries[i : i + 1], k, None, effort), range(len(queries))
            )
            for left, right in zip(alone, found, strict=True):
                assert_same(left, right)
