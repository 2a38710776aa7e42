"""Every allowed row is compared: exact on the vectors, or nearly so on codes with rescoring.

O(n d) per query. Of codes, the nearest are compared again in full; the effort is how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.index_specs import FlatIndex, Quantisation
from hanax.engine.index.binary import BinaryScan
from hanax.engine.index.cores import CORES
from hanax.engine.index.protocol import Arrays, Effort, Mask, Nearest, Source, Work
from hanax.engine.index.rescoring import (
    KERNEL_METRIC,
    NO_MASK,
    kernel_queries,
    metric_distances,
    rescore,
)
from hanax.engine.index.scalar_scan import ScalarScan
from hanax.engine.kernels import scan as kernel

# A share of the rows that takes some hundred microseconds: much longer than waking a thread.
_SHARE_BYTES = 8 * 1024 * 1024

# Rows compared in full after a scan of codes.
_EFFORTS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1_024, 1_536, 2_048, 3_072, 4_096)
# Candidates of all queries that are held at a time: 2 MiB.
_CANDIDATES = 262_144


class VectorBlock(Protocol):
    """Rows that lie together: float32[n, d], and their inverse norms under cosine."""

    @property
    def base(self) -> int: ...
    @property
    def vectors(self) -> NDArray[np.float32]: ...
    @property
    def inverse_norms(self) -> NDArray[np.float32]: ...


def search_exact(
    blocks: Iterable[VectorBlock],
    metric: Metric,
    queries: NDArray[np.float32],
    limit: int,
    mask: NDArray[np.uint64] | None,
) -> Nearest:
    """The `limit` nearest allowed rows of each query, float32[q, d].

    mask: bitmap over all blocks together, in words of 64 rows; None allows every row. Blocks
    start at multiples of 64. Under cosine, queries must not be zero. Waits for a core (`cores`).
    """
    queries = kernel_queries(metric, queries)
    shares = _divide(list(blocks), CORES.count)
    found = CORES.run([partial(_scan, share, metric, queries, limit, mask) for share in shares])
    distances, rows = found[0]
    if len(found) > 1:
        distances = np.concatenate([part.distances for part in found], axis=1)
        rows = np.concatenate([part.rows for part in found], axis=1)
        # Shares are in the order of their rows, so stable sorting leaves ties by row; empty places go last.
        order = np.lexsort((rows < 0, distances), axis=1)[:, :limit]
        distances = np.take_along_axis(distances, order, axis=1)
        rows = np.take_along_axis(rows, order, axis=1)
    return Nearest(metric_distances(metric, distances), rows)


class _Slice(NamedTuple):
    base: int
    vectors: NDArray[np.float32]
    inverse_norms: NDArray[np.float32]


def _scan(
    blocks: list[_Slice],
    metric: Metric,
    queries: NDArray[np.float32],
    limit: int,
    mask: NDArray[np.uint64] | None,
) -> Nearest:
    distances = np.empty((len(queries), limit), dtype=np.float32)
    rows = np.empty((len(queries), limit), dtype=np.int64)
    distances.fill(np.inf)
    rows.fill(-1)
    sizes = np.zeros(len(queries), dtype=np.int64)
    for block in blocks:
        words = NO_MASK
        if mask is not None:
            words = mask[block.base // 64 : -(-(block.base + len(block.vectors)) // 64)]
        kernel.scan(
            KERNEL_METRIC[metric],
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
    return Nearest(distances, rows)


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


class Codes(Protocol):
    """Codes of all rows, and a scan of them."""

    @property
    def arrays(self) -> Arrays: ...
    @property
    def parameters(self) -> dict[str, Any]: ...
    def candidates(
        self, queries: NDArray[np.float32], count: int, words: NDArray[np.uint64] | None
    ) -> NDArray[np.int64]: ...


_CODES: dict[str, type[ScalarScan | BinaryScan]] = {"int8": ScalarScan, "binary": BinaryScan}


class Flat:
    """quantisation: none, and every answer is exact; int8 or binary, and the effort is the rows rescored."""

    def __init__(self, source: Source, quantisation: str, codes: Codes | None) -> None:
        self._source = source
        self._quantisation = quantisation
        self._codes = codes
        self._block = _Slice(0, source.vectors, source.inverse_norms)

    @classmethod
    def build(cls, source: Source, spec: FlatIndex, quantisation: Quantisation, work: Work) -> Flat:
        codes = _CODES.get(quantisation.type)
        return cls(source, quantisation.type, codes.build(source, work) if codes else None)

    @classmethod
    def load(cls, arrays: Arrays, parameters: dict[str, Any], source: Source) -> Flat:
        quantisation = parameters["quantisation"]
        codes = _CODES.get(quantisation)
        return cls(source, quantisation, codes.load(arrays, parameters, source) if codes else None)

    @property
    def arrays(self) -> Arrays:
        return self._codes.arrays if self._codes else {}

    @property
    def parameters(self) -> dict[str, Any]:
        return {"quantisation": self._quantisation, **(self._codes.parameters if self._codes else {})}

    @property
    def efforts(self) -> tuple[int, ...]:
        return _EFFORTS if self._codes else ()

    def search(self, queries: NDArray[np.float32], k: int, mask: Mask | None, effort: Effort) -> Nearest:
        words = None if mask is None else mask.words
        if self._codes is not None:
            compared = max(k, effort.at(k))
            if compared < (len(self._source.vectors) if mask is None else mask.count):
                return self._rescored(self._codes, queries, k, compared, words)
        return search_exact([self._block], self._source.metric, queries, k, words)

    def _rescored(
        self,
        codes: Codes,
        queries: NDArray[np.float32],
        k: int,
        compared: int,
        words: NDArray[np.uint64] | None,
    ) -> Nearest:
        step = max(1, _CANDIDATES // compared)
        parts = []
        for first in range(0, len(queries), step):
            piece = queries[first : first + step]
            parts.append(rescore(self._source, piece, codes.candidates(piece, compared, words), k))
        if len(parts) == 1:
            return parts[0]
        return Nearest(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
