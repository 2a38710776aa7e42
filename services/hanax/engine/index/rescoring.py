"""Candidates compared in full: from rows that an index found on its own terms to an answer.

Between the kernels and an answer, cosine is -cos with queries of unit length, and euclidean is squared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.engine.index.protocol import Nearest, Source
from hanax.engine.kernels import rescoring as kernel
from hanax.engine.kernels import scan

# What kernels take where every row is allowed.
NO_MASK = np.empty(0, np.uint64)

KERNEL_METRIC = {
    Metric.COSINE: scan.DOT,
    Metric.DOT: scan.DOT,
    Metric.EUCLIDEAN: scan.SQUARED_L2,
    Metric.MANHATTAN: scan.L1,
}


def rescore(source: Source, queries: NDArray[np.float32], candidates: NDArray[np.int64], k: int) -> Nearest:
    """The k nearest of each query's candidates: int64[q, c], each row once, -1 after the last."""
    return rescore_and_count(source, queries, candidates, k)[0]


def rescore_and_count(
    source: Source, queries: NDArray[np.float32], candidates: NDArray[np.int64], k: int
) -> tuple[Nearest, int]:
    """`rescore`, and how many queries got fewer than k."""
    nearest = Nearest(np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64))
    lacking = kernel.rescore(
        KERNEL_METRIC[source.metric], source.vectors, source.inverse_norms, queries, candidates, *nearest
    )
    return nearest, lacking


def kernel_queries(metric: Metric, queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of unit length under cosine."""
    if metric is not Metric.COSINE:
        return queries
    units = np.empty(queries.shape, np.float32)
    scan.bring_to_length_one(queries, units)
    return units


def metric_distances(metric: Metric, raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """From what the kernels compare to the distances of hanax.core.distances, in place; inf stays."""
    if metric is Metric.COSINE:
        raw += np.float32(1.0)
        # Rounding may leave the range; inf is the place of a row that was not found.
        np.maximum(raw, np.float32(0.0), out=raw)
        np.minimum(raw, np.float32(2.0), out=raw, where=np.isfinite(raw))
    elif metric is Metric.EUCLIDEAN:
        np.sqrt(raw, out=raw)
    return raw
