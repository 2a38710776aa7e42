"""Search over a view: every segment answers, the nearest of all are read.

A batch stays in columns to the end, so that a query of it costs some microseconds beyond the index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hanax.core.filters import Filter
from hanax.core.index_specs import SearchParameters
from hanax.engine.index.flat import search_exact
from hanax.engine.index.protocol import Nearest
from hanax.engine.index.rescoring import rescore
from hanax.engine.points import BatchHits, Hits, Points, Projection
from hanax.engine.query.planning import (
    SCANNED_BESIDE_INDEX_BYTES,
    SCANNED_BYTES,
    Explanation,
    Plan,
    Planned,
    explain,
    plan_segment,
)
from hanax.engine.query.reading import read_points, read_rows
from hanax.engine.schema import VectorField
from hanax.engine.segment.masks import rows_in
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.segment.view import Places, SegmentView, View


# Not frozen: making one takes a third of the time.
@dataclass(slots=True)
class Search:
    """What is searched for in one vector column. Points beyond max_distance are left out."""

    column: str
    field: VectorField
    limit: int
    expression: Filter | None
    max_distance: float | None
    projection: Projection
    parameters: SearchParameters


@dataclass(slots=True)
class Found:
    """What all segments together answer: float32[q, k], then the segment's number and row, int64[q, k].

    Ascending by distance; where fewer were found, the rest is inf and -1.
    """

    distances: NDArray[np.float32]
    segments: NDArray[np.int64]
    rows: NDArray[np.int64]


def search(
    view: View, queries: NDArray[np.float32], asked: Search, explanations: list[Explanation] | None = None
) -> Sequence[Hits]:
    """The nearest matching points of each query: float32[q, d], checked by the field.

    explanations: gets what was done, segment by segment.
    """
    answers = _answers(view, queries, asked, explanations)
    if len(answers) == 1 and asked.max_distance is None:
        # The usual case, and the short way: every place is filled, and all points are in one segment.
        number, (of_each, rows) = answers[0]
        distances, ends = of_each.ravel(), range(of_each.shape[1], of_each.size + 1, of_each.shape[1])
        points = read_rows(view.segments[number].segment, rows.ravel(), asked.projection)
    else:
        found = _joined(answers, asked.limit, len(queries))
        kept = found.rows >= 0
        if asked.max_distance is not None:
            kept &= found.distances <= np.float32(asked.max_distance)
        # Distances ascend, so that what is kept comes first in each row.
        ends = np.cumsum(kept.sum(axis=1)).tolist()
        distances = found.distances[kept]
        places = Places(found.segments[kept], found.rows[kept])
        points = read_points(view, places, asked.projection, asked.field.dimension)
    if np.count_nonzero(distances[1:] == distances[:-1]):
        points = _ties_by_id(points, distances, ends)
    if len(queries) == 1:
        return [Hits(distances, points)]
    return BatchHits(distances, points, ends)


def find(view: View, queries: NDArray[np.float32], asked: Search) -> Found:
    """Where the nearest matching points of each query are."""
    return _joined(_answers(view, queries, asked), asked.limit, len(queries))


def _answers(
    view: View,
    queries: NDArray[np.float32],
    asked: Search,
    explanations: list[Explanation] | None = None,
) -> list[tuple[int, Nearest]]:
    """Of each segment that has matching points: its number, and as many as there are, up to the limit."""
    answers = []
    row_bytes = 4 * asked.field.dimension * max(1, len(queries))
    for number, part in enumerate(view.segments):
        index = None if asked.parameters.exact else part.segment.index(asked.column)
        scanned = SCANNED_BYTES if index is None else SCANNED_BESIDE_INDEX_BYTES
        planned = plan_segment(part, asked.expression, scanned // row_bytes)
        if explanations is not None:
            explanations.append(explain(part, asked.expression, planned, index is not None))
        if limit := min(asked.limit, planned.matched):
            answers.append((number, _nearest(part, queries, limit, planned, asked)))
    return answers


def _joined(answers: list[tuple[int, Nearest]], limit: int, queries: int) -> Found:
    if not answers:
        nobody = np.full((queries, 0), -1, np.int64)
        return Found(np.empty((queries, 0), np.float32), nobody, nobody)
    distances = np.concatenate([nearest.distances for _, nearest in answers], axis=1)
    rows = np.concatenate([nearest.rows for _, nearest in answers], axis=1)
    segments = np.repeat([number for number, _ in answers], [a.rows.shape[1] for _, a in answers])
    # Places that were not filled are at infinity, and no distance is.
    order = np.argsort(distances, axis=1, kind="stable")[:, :limit]
    return Found(
        np.take_along_axis(distances, order, axis=1), segments[order], np.take_along_axis(rows, order, axis=1)
    )


def _nearest(
    part: SegmentView, queries: NDArray[np.float32], limit: int, planned: Planned, asked: Search
) -> Nearest:
    segment, mask = part.segment, planned.mask
    if planned.plan is Plan.SCAN and mask is not None and isinstance(segment, SealedSegment):
        rows = rows_in(mask.words, mask.count)
        candidates = rows[np.newaxis] if len(queries) == 1 else np.tile(rows, (len(queries), 1))
        return rescore(segment.source(asked.column), queries, candidates, limit)
    index = None if asked.parameters.exact else segment.index(asked.column)
    if index is not None:
        return index.search(queries, limit, mask, asked.parameters)
    blocks = segment.blocks(asked.column, part.rows)
    return search_exact(blocks, asked.field.metric, queries, limit, None if mask is None else mask.words)


def _ties_by_id(points: Points, distances: NDArray[np.float32], ends: Sequence[int]) -> Points:
    """Points of one query at the same distance come in the order of their ids, however they are stored."""
    order = list(range(len(points)))
    tied = np.flatnonzero(distances[1:] == distances[:-1])
    for number in np.unique(np.searchsorted(ends, tied, side="right")).tolist():
        start, end = int(ends[number - 1]) if number else 0, int(ends[number])
        order[start:end] = sorted(order[start:end], key=lambda place: (distances[place], points.ids[place]))
    return points.take(order)
