"""Exact search: every allowed row is compared. O(n d) per query, no build, no memory of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.engine.kernels import scan as kernel

_NO_MASK = np.empty(0, dtype=np.uint64)

_KERNEL_METRIC = {
    Metric.COSINE: kernel.DOT,
    Metric.DOT: kernel.DOT,
    Metric.EUCLIDEAN: kernel.SQUARED_L2,
    Metric.MANHATTAN: kernel.L1,
}


class VectorBlock(Protocol):
    """Rows that lie together: float32[n, d], and their inverse norms under cosine."""

    @property
    def base(self) -> int: ...
    @property
    def vectors(self) -> NDArray[np.float32]: ...
    @property
    def inverse_norms(self) -> NDArray[np.float32]: ...


class Nearest(NamedTuple):
    """Rows of one query, ascending by distance, ties by row. float32[m], int64[m]."""

    distances: NDArray[np.float32]
    rows: NDArray[np.int64]


def search_exact(
    blocks: Iterable[VectorBlock],
    metric: Metric,
    queries: NDArray[np.float32],
    limit: int,
    mask: NDArray[np.uint64] | None,
) -> list[Nearest]:
    """The `limit` nearest allowed rows of each query: float32[q, d] in, one Nearest per query out.

    mask: bitmap over all blocks together, in words of 64 rows; None allows every row. Blocks
    start at multiples of 64. Under cosine, queries must not be zero.
    """
    if metric is Metric.COSINE:
        norms = np.sqrt(np.einsum("ij,ij->i", queries, queries, dtype=np.float64))
        queries = (queries / norms[:, None]).astype(np.float32)
    distances = np.empty((len(queries), limit), dtype=np.float32)
    rows = np.empty((len(queries), limit), dtype=np.int64)
    sizes = np.zeros(len(queries), dtype=np.int64)
    for block in blocks:
        words = _NO_MASK
        if mask is not None:
            words = mask[block.base // 64 : -(-(block.base + len(block.vectors)) // 64)]
        kernel.scan(
            _KERNEL_METRIC[metric],
            block.vectors,
            block.inverse_norms,
            queries,
            mask is not None,
            words,
            block.base,
            distances,
            rows,
            sizes,
        )
    return [
        Nearest(_finish(metric, distances[query, :size]), rows[query, :size])
        for query, size in enumerate(sizes.tolist())
    ]


def _finish(metric: Metric, raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """From what the kernel compares to the distances of hanax.core.distances, in place."""
    if metric is Metric.COSINE:
        np.clip(raw + np.float32(1.0), np.float32(0.0), np.float32(2.0), out=raw)
    if metric is Metric.EUCLIDEAN:
        np.sqrt(raw, out=raw)
    return raw
