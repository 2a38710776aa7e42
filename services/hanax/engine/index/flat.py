"""Exact search: every allowed row is compared. O(n d) per query, no build, no memory of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.engine.index.cores import CORES
from hanax.engine.kernels import scan as kernel

# A share of the rows that takes some hundred microseconds: much longer than waking a thread.
_SHARE_BYTES = 8 * 1024 * 1024

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
    shares = _divide(list(blocks), CORES.count)
    pools = CORES.run([partial(_scan, share, metric, queries, limit, mask) for share in shares])
    return [_nearest(metric, [pool.of(query) for pool in pools], limit) for query in range(len(queries))]


class _Pool(NamedTuple):
    """What the kernel found: float32[q, k], int64[q, k], int64[q]."""

    distances: NDArray[np.float32]
    rows: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def of(self, query: int) -> Nearest:
        size = self.sizes[query]
        return Nearest(self.distances[query, :size], self.rows[query, :size])


def _scan(
    blocks: list[_Slice],
    metric: Metric,
    queries: NDArray[np.float32],
    limit: int,
    mask: NDArray[np.uint64] | None,
) -> _Pool:
    pool = _Pool(
        np.empty((len(queries), limit), dtype=np.float32),
        np.empty((len(queries), limit), dtype=np.int64),
        np.zeros(len(queries), dtype=np.int64),
    )
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
            *pool,
        )
    return pool


class _Slice(NamedTuple):
    base: int
    vectors: NDArray[np.float32]
    inverse_norms: NDArray[np.float32]


def _divide(blocks: Sequence[VectorBlock], most: int) -> list[list[_Slice]]:
    """Give out the rows in order, in up to `most` shares of equal size that are worth a thread."""
    total = sum(len(block.vectors) for block in blocks)
    size = sum(block.vectors.nbytes for block in blocks)
    shares = max(1, min(most, size // _SHARE_BYTES))
    width = -(-total // (64 * shares)) * 64
    divided: list[list[_Slice]] = [[]]
    room = width
    for block in blocks:
        first, count = 0, len(block.vectors)
        while first < count:
            if room == 0:
                divided.append([])
                room = width
            after = min(count, first + room)
            divided[-1].append(
                _Slice(block.base + first, block.vectors[first:after], block.inverse_norms[first:after])
            )
            # Only the last block may end inside a word of the mask, and nothing follows it.
            room -= min(room, after - first)
            first = after
    return divided


def _nearest(metric: Metric, parts: list[Nearest], limit: int) -> Nearest:
    if len(parts) == 1:
        return Nearest(_finish(metric, parts[0].distances), parts[0].rows)
    distances = np.concatenate([part.distances for part in parts])
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(distances, kind="stable")[:limit]
    return Nearest(_finish(metric, distances[order]), rows[order])


def _finish(metric: Metric, raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """From what the kernel compares to the distances of hanax.core.distances, in place."""
    if metric is Metric.COSINE:
        np.clip(raw + np.float32(1.0), np.float32(0.0), np.float32(2.0), out=raw)
    if metric is Metric.EUCLIDEAN:
        np.sqrt(raw, out=raw)
    return raw
