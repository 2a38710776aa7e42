"""Exact search written down again in numpy with float64, and what a right answer is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric

Id = TypeVar("Id", bound=Any)
Floats = NDArray[np.float64]


def distances(metric: Metric, query: NDArray[Any], rows: NDArray[Any]) -> Floats:
    """Distance of each row to the query, as hanax.core.distances tells it: float64[n]."""
    q, x = query.astype(np.float64), rows.astype(np.float64)
    if metric is Metric.COSINE:
        return np.asarray(1.0 - (x @ q) / (np.linalg.norm(x, axis=1) * np.linalg.norm(q)), np.float64)
    if metric is Metric.DOT:
        return np.asarray(-(x @ q), np.float64)
    order = 2 if metric is Metric.EUCLIDEAN else 1
    return np.asarray(np.linalg.norm(x - q, ord=order, axis=1), np.float64)


def tolerance(metric: Metric, query: NDArray[Any], rows: NDArray[Any]) -> float:
    """How far sums of float32 products may be off."""
    if metric is Metric.COSINE or not len(rows):
        return 1e-5
    lengths = np.abs(rows).max() * np.sqrt(rows.shape[1])
    reach = float(np.abs(query).max() * np.sqrt(len(query)))
    return 1e-6 * float(lengths * reach if metric is Metric.DOT else lengths + reach) * len(query) + 1e-6


def assert_nearest(
    found: Sequence[tuple[Id, float]], expected: Mapping[Id, float], limit: int, slack: float
) -> None:
    """`found` are the `limit` nearest of `expected`, ascending. Points that tie may stand for each other."""
    assert len(found) == min(limit, len(expected))
    ids = [id_ for id_, _ in found]
    assert len(set(ids)) == len(ids), "a point came twice"
    got = [distance for _, distance in found]
    assert got == sorted(got)
    for id_, distance in found:
        assert id_ in expected, f"{id_!r} should not be found"
        assert abs(distance - expected[id_]) <= slack, (id_, distance, expected[id_])
    if found:
        missed = [distance for id_, distance in expected.items() if id_ not in set(ids)]
        assert not missed or min(missed) >= got[-1] - 2 * slack, "a nearer point was left out"
