"""Where an index measures: every metric but manhattan becomes L2.

| metric    | rows                              | queries                  | distance   |
|-----------|-----------------------------------|--------------------------|------------|
| euclidean | as they are                       | as they are              | squared L2 |
| cosine    | of unit length                    | of unit length           | squared L2 |
| dot       | with sqrt(longest^2 - |r|^2) more | with 0 more, as long as the longest row | squared L2 |
| manhattan | as they are                       | as they are              | L1         |

The order of the distances is that of the metric. For dot: |r' - q'|^2 = longest^2 + |q'|^2 - 2 r . q'
(Bachrach et al., "Speeding Up the Xbox Recommender System Using a Euclidean Transformation for
Inner-Product Spaces", RecSys 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.engine.index.protocol import Source

_BLOCK_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class Space:
    """longest: the largest L2 norm of the rows; it matters for dot alone."""

    metric: Metric
    dimension: int
    longest: float = 0.0

    @classmethod
    def of(cls, source: Source) -> Space:
        longest = 0.0
        if source.metric is Metric.DOT:
            for first in range(0, len(source.vectors), _BLOCK_ROWS):
                norms = _norms(source.vectors[first : first + _BLOCK_ROWS])
                longest = max(longest, float(norms.max(initial=0.0)))
        return cls(source.metric, source.vectors.shape[1], longest)

    @property
    def width(self) -> int:
        """Components of a mapped vector."""
        return self.dimension + (self.metric is Metric.DOT)

    @property
    def l1(self) -> bool:
        return self.metric is Metric.MANHATTAN

    def rows(self, source: Source, chosen: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Some of the source's rows, mapped: float32[m, width], a copy or a view."""
        vectors = source.vectors[chosen]
        if self.metric is Metric.COSINE:
            return vectors * source.inverse_norms[chosen, None]
        if self.metric is not Metric.DOT:
            return vectors
        mapped = np.empty((len(vectors), self.width), np.float32)
        mapped[:, :-1] = vectors
        missing = np.maximum(self.longest**2 - _norms(vectors) ** 2, 0.0)
        mapped[:, -1] = np.sqrt(missing)
        return mapped

    def queries(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[q, dimension] to float32[q, width]."""
        if self.metric is Metric.COSINE:
            return (queries / _norms(queries)[:, None]).astype(np.float32)
        if self.metric is not Metric.DOT:
            return queries
        # Their length does not change the order, and codes are made for the length of rows.
        norms = _norms(queries)
        factors = self.longest / np.where(norms > 0.0, norms, 1.0)
        mapped = np.zeros((len(queries), self.width), np.float32)
        mapped[:, :-1] = queries * factors[:, None]
        return mapped


def _norms(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    norms: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    return norms
