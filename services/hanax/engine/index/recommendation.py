"""`auto`: which index suits a segment, and why."""

from __future__ import annotations

from dataclasses import dataclass

from hanax.core.distances import Metric
from hanax.core.index_specs import FlatIndex, IndexSpec, IvfIndex, KdTreeIndex

# Below it comparing every vector takes a fraction of a millisecond, and there is nothing to build.
FLAT_ROWS = 10_000
# A k-d tree has to look into most leaves as soon as there are more dimensions than this.
KD_TREE_DIMENSIONS = 6


@dataclass(frozen=True, slots=True)
class Recommendation:
    index: IndexSpec
    reason: str


def recommend(count: int, dimension: int, metric: Metric) -> Recommendation:
    """Choose an index for `count` vectors.

    Per search: flat O(n d); kd_tree O(log n) in few dimensions; ivf O(sqrt(n) d) at its default number of
    lists.
    """
    if count < FLAT_ROWS:
        return Recommendation(FlatIndex(), f"{count} vectors, fewer than {FLAT_ROWS}: comparing all is fast")
    if dimension <= KD_TREE_DIMENSIONS and metric is not Metric.DOT:
        return Recommendation(KdTreeIndex(), f"{dimension} dimensions: a k-d tree is exact and fast")
    return Recommendation(
        IvfIndex(),
        f"{count} vectors of {dimension} dimensions: lists of codes are the fastest to build and to search",
    )
