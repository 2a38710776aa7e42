"""Search over a view: every segment answers, the nearest of all are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hanax.core.filters import Filter
from hanax.engine.index.flat import Nearest, search_exact
from hanax.engine.points import Hits, Projection
from hanax.engine.query.reading import allowed_flags, read_points
from hanax.engine.schema import VectorField
from hanax.engine.segment.masks import words_of
from hanax.engine.segment.view import Places, View


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for in one vector column. Points beyond max_distance are left out."""

    column: str
    field: VectorField
    limit: int
    expression: Filter | None
    max_distance: float | None
    projection: Projection


def search(view: View, queries: NDArray[np.float32], asked: Search) -> list[Hits]:
    """The nearest matching points of each query: float32[q, d], checked by the field."""
    numbers: list[int] = []
    answers: list[list[Nearest]] = []
    for number, part in enumerate(view.segments):
        if part.live_count == 0:
            continue
        mask = part.live_words
        if asked.expression is not None:
            flags = allowed_flags(part, asked.expression)
            if not flags.any():
                continue
            mask = words_of(flags)
        blocks = part.segment.blocks(asked.column, part.rows)
        limit = min(asked.limit, part.live_count)
        numbers.append(number)
        answers.append(search_exact(blocks, asked.field.metric, queries, limit, mask))
    return [
        _merge(view, numbers, [answer[query] for answer in answers], asked) for query in range(len(queries))
    ]


def _merge(view: View, numbers: list[int], nearest: list[Nearest], asked: Search) -> Hits:
    """Join the answers of the segments `numbers` to one query."""
    if not nearest:
        nobody = Places(np.empty(0, np.int64), np.empty(0, np.int64))
        points = read_points(view, nobody, asked.projection, asked.field.dimension)
        return Hits(np.empty(0, np.float32), points)
    distances = np.concatenate([found.distances for found in nearest])
    rows = np.concatenate([found.rows for found in nearest])
    segments = np.repeat(np.array(numbers), [len(found.rows) for found in nearest])
    order = np.argsort(distances, kind="stable")[: asked.limit]
    if asked.max_distance is not None:
        order = order[distances[order] <= np.float32(asked.max_distance)]
    places = Places(segments[order], rows[order])
    points = read_points(view, places, asked.projection, asked.field.dimension)
    return _ties_by_id(Hits(distances[order], points))


def _ties_by_id(hits: Hits) -> Hits:
    """Points at the same distance come in the order of their ids, however they are stored."""
    distances, points = hits.distances, hits.points
    if len(distances) < 2 or (distances[1:] != distances[:-1]).all():
        return hits
    order = sorted(range(len(points)), key=lambda place: (distances[place], points.ids[place]))
    return Hits(distances, points.take(order))
