"""Metrics: how far two vectors are, and what a user sees of it.

Inside, a *distance* is smaller for nearer points:

| metric      | distance                 | score shown to users   |
|-------------|--------------------------|------------------------|
| cosine      | 1 - cos(a, b)            | cos(a, b)              |
| dot         | -(a . b)                 | a . b                  |
| euclidean   | the L2 norm of a - b     | 1 / (1 + distance)     |
| manhattan   | the L1 norm of a - b     | 1 / (1 + distance)     |
"""

from __future__ import annotations

from enum import StrEnum


class Metric(StrEnum):
    COSINE = "cosine"
    DOT = "dot"
    EUCLIDEAN = "euclidean"
    MANHATTAN = "manhattan"


def score_of(metric: Metric, distance: float) -> float:
    """Larger is better: the only number about nearness that a user sees."""
    if metric is Metric.COSINE:
        return 1.0 - distance
    if metric is Metric.DOT:
        return -distance
    return 1.0 / (1.0 + distance)


def distance_for_score(metric: Metric, score: float) -> float:
    """Invert `score_of`: the largest distance that still has at least this score."""
    if metric is Metric.COSINE:
        return 1.0 - score
    if metric is Metric.DOT:
        return -score
    return float("inf") if score <= 0.0 else 1.0 / score - 1.0
