"""A k-d tree: exact, and fast in few dimensions (hanax.engine.kernels.kd_tree).

In many dimensions nearly every leaf has to be looked into, which costs what the exact scan does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.errors import InvalidArgument
from hanax.core.index_specs import KdTreeIndex, Quantisation
from hanax.engine.index.flat import Flat
from hanax.engine.index.protocol import Arrays, Effort, Mask, Nearest, Source, Work
from hanax.engine.index.rescoring import KERNEL_METRIC, NO_MASK, kernel_queries, metric_distances
from hanax.engine.index.sampling import blocks_of, check
from hanax.engine.kernels import kd_tree as kernel

# Longer rows fill cache lines of their own, and are read where they lie.
_COPIED_DIMENSIONS = 16
# Leaves that an unmasked search looks into, about, beyond those of its neighbours.
_LEAVES = 4


class KdTree:
    """order: int64[n]. boxes: float32[2^(depth + 1) - 1, 2, d].

    vectors: float32[n, d] in the order of the leaves, or float32[0, d] where rows are read in place.

    The boxes take 4 / leaf_size of the bytes of the vectors, or up to twice that.
    """

    def __init__(
        self,
        source: Source,
        order: NDArray[np.int64],
        boxes: NDArray[np.float32],
        vectors: NDArray[np.float32],
    ) -> None:
        self._source = source
        self._order = order
        self._boxes = boxes
        self._copy = vectors
        self._depth = (len(boxes) + 1).bit_length() - 2
        self._exact = Flat(source, "none", None)
        self._ordered = len(vectors) > 0
        self._vectors = vectors if self._ordered else source.vectors
        self._leaf_rows = -(-len(order) // (1 << self._depth))

    @classmethod
    def build(cls, source: Source, spec: KdTreeIndex, quantisation: Quantisation, work: Work) -> KdTree:
        """Raises InvalidArgument for dot, whose order no box bounds."""
        if source.metric is Metric.DOT:
            raise InvalidArgument("a k-d tree does not serve dot")
        count, dimension = source.vectors.shape
        depth = 0
        while -(-count // (1 << depth)) > spec.leaf_size:
            depth += 1
        order = work.allocate("order", np.int64, (count,))
        order[:] = np.arange(count)
        for level in range(depth):
            check(work)
            kernel.split_level(source.vectors, source.inverse_norms, order, level)
        boxes = work.allocate("boxes", np.float32, (2 ** (depth + 1) - 1, 2, dimension))
        check(work)
        kernel.bound(source.vectors, source.inverse_norms, order, depth, boxes)
        copied = count if dimension <= _COPIED_DIMENSIONS else 0
        vectors = work.allocate("vectors", np.float32, (copied, dimension))
        for places in blocks_of(copied, work):
            vectors[places] = source.vectors[order[places]]
        return cls(source, order, boxes, vectors)

    @classmethod
    def load(cls, arrays: Arrays, parameters: dict[str, Any], source: Source) -> KdTree:
        return cls(source, arrays["order"], arrays["boxes"], arrays["vectors"])

    @property
    def arrays(self) -> Arrays:
        return {"order": self._order, "boxes": self._boxes, "vectors": self._copy}

    @property
    def parameters(self) -> dict[str, Any]:
        return {}

    @property
    def efforts(self) -> tuple[int, ...]:
        return ()

    def search(self, queries: NDArray[np.float32], k: int, mask: Mask | None, effort: Effort) -> Nearest:
        if mask is not None and self._scan_is_faster(k, mask.count):
            return self._exact.search(queries, k, mask, effort)
        distances = np.empty((len(queries), k), np.float32)
        rows = np.empty((len(queries), k), np.int64)
        metric = self._source.metric
        kernel.search(
            KERNEL_METRIC[metric],
            self._vectors,
            self._order,
            self._ordered,
            self._source.inverse_norms,
            self._boxes,
            self._depth,
            kernel_queries(metric, queries),
            mask is not None,
            NO_MASK if mask is None else mask.words,
            distances,
            rows,
        )
        return Nearest(metric_distances(metric, distances), rows)

    def _scan_is_faster(self, k: int, allowed: int) -> bool:
        """A share s of allowed rows makes the tree look at 1 / s times the rows; the scan looks at s n.

        In many dimensions the tree looks at most rows in any case.
        """
        if not self._ordered:
            return True
        looked_at = k + _LEAVES * self._leaf_rows
        return allowed * allowed <= looked_at * len(self._order)
