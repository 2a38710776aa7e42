"""Points by their best score against examples: near to one that is wanted, far from those that are not.

A point's nearness to its nearest positive example is p, to its nearest negative one n, as scores of the
metric, squeezed into 0 to 1 by f(s) = (1 + s / (1 + |s|)) / 2. Its own score is f(p) where p is above n, and
-f(n) otherwise: whatever is nearer to an example to avoid comes last, the farthest from it first. Every
allowed point is compared, O(n d m) for m examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.filters import Filter
from hanax.engine.points import Hits, Projection
from hanax.engine.query.reading import allowed_flags, read_points
from hanax.engine.schema import VectorField, Vectors
from hanax.engine.segment.view import Places, View

# Vectors that are compared at a time.
_RUN: Final = 2_048


@dataclass(frozen=True, slots=True)
class Examples:
    """float32[m, d] each, checked by the field; together at least one row."""

    positives: Vectors
    negatives: Vectors


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Distances are negative scores. Points beyond max_distance are left out."""

    column: str
    field: VectorField
    limit: int
    expression: Filter | None
    max_distance: float | None
    projection: Projection


def recommend(view: View, examples: Examples, asked: Recommendation) -> Hits:
    """The best points, ascending by (distance, id)."""
    numbers, rows, distances = [], [], []
    for number, part in enumerate(view.segments):
        allowed = np.flatnonzero(allowed_flags(part, asked.expression))
        for first in range(0, len(allowed), _RUN):
            run = allowed[first : first + _RUN]
            vectors = part.segment.vectors(asked.column, run)
            numbers.append(np.full(len(run), number, np.int64))
            rows.append(run)
            distances.append(-best_scores(asked.field.metric, vectors, examples).astype(np.float32))
    if not rows:
        nowhere = Places(np.empty(0, np.int64), np.empty(0, np.int64))
        return Hits(
            np.empty(0, np.float32), read_points(view, nowhere, asked.projection, asked.field.dimension)
        )
    places = Places(np.concatenate(numbers), np.concatenate(rows))
    return _nearest(view, asked, places, np.concatenate(distances))


def best_scores(metric: Metric, vectors: Vectors, examples: Examples) -> NDArray[np.float64]:
    """float64[n], between -1 and 1."""
    wanted = _highest(metric, vectors, examples.positives)
    avoided = _highest(metric, vectors, examples.negatives)
    return np.where(wanted > avoided, _squeeze(wanted), -_squeeze(avoided))


def _nearest(view: View, asked: Recommendation, places: Places, distances: NDArray[np.float32]) -> Hits:
    kept = np.arange(len(distances))
    if asked.max_distance is not None:
        kept = np.flatnonzero(distances <= np.float32(asked.max_distance))
    if len(kept) > asked.limit:
        # With all that tie for the last place: their ids decide.
        bound = np.partition(distances[kept], asked.limit - 1)[asked.limit - 1]
        kept = kept[distances[kept] <= bound]
    ids = read_points(view, _at(places, kept), Projection(metadata=False), 0).ids
    order = sorted(range(len(kept)), key=lambda place: (distances[kept[place]], ids[place]))
    best = kept[order[: asked.limit]]
    points = read_points(view, _at(places, best), asked.projection, asked.field.dimension)
    return Hits(distances[best], points)


def _highest(metric: Metric, vectors: Vectors, examples: Vectors) -> NDArray[np.float64]:
    """The score of each vector's nearest example: float64[n]; -inf where there are no examples."""
    if not len(examples):
        return np.full(len(vectors), -np.inf)
    scores = _scores(metric, vectors.astype(np.float64), examples.astype(np.float64))
    highest: NDArray[np.float64] = scores.max(axis=1)
    return highest


def _scores(
    metric: Metric, vectors: NDArray[np.float64], examples: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What `hanax.core.distances.score_of` says of each pair: float64[n, m]."""
    if metric is Metric.MANHATTAN:
        distances = np.stack([np.abs(vectors - example).sum(axis=1) for example in examples], axis=1)
        return _nearness(distances)
    products: NDArray[np.float64] = vectors @ examples.T
    if metric is Metric.DOT:
        return products
    squares = np.einsum("ij,ij->i", vectors, vectors)[:, None]
    example_squares = np.einsum("ij,ij->i", examples, examples)[None, :]
    if metric is Metric.COSINE:
        cosines: NDArray[np.float64] = products / (np.sqrt(squares) * np.sqrt(example_squares))
        return cosines
    return _nearness(np.sqrt(np.maximum(squares + example_squares - 2.0 * products, 0.0)))


def _nearness(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    nearness: NDArray[np.float64] = 1.0 / (1.0 + distances)
    return nearness


def _squeeze(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        squeezed: NDArray[np.float64] = 0.5 * (1.0 + scores / (1.0 + np.abs(scores)))
    return squeezed


def _at(places: Places, which: NDArray[np.int64]) -> Places:
    return Places(places.segments[which], places.rows[which])
