"""The space that indexes measure in keeps the order of every metric."""

from __future__ import annotations

import numpy as np
import pytest

from hanax.core.distances import Metric
from hanax.engine.index.space import Space
from tests.unit.engine import reference
from tests.unit.engine.index import indexes
from tests.unit.engine.index.indexes import Floats, source_of


def mapped_distances(space: Space, rows: Floats, queries: Floats) -> Floats:
    """float64[q, n]: L1 or squared L2."""
    differences = rows[None].astype(np.float64) - queries[:, None].astype(np.float64)
    return np.asarray(abs(differences).sum(axis=2) if space.l1 else (differences**2).sum(axis=2))


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("dimension", [1, 2, 50])
def test_the_order_is_that_of_the_metric(metric: Metric, dimension: int) -> None:
    """Of rows of very different lengths, and zeros where the metric allows them."""
    random = np.random.default_rng(dimension)
    lengths = np.exp(random.normal(0, 2, (400, 1)))
    vectors = (random.standard_normal((400, dimension)) * lengths).astype(np.float32)
    queries = random.standard_normal((12, dimension), np.float32)
    if metric is not Metric.COSINE:
        vectors[7] = 0.0
        queries[3] = 0.0
    source = source_of(metric, vectors)
    space = Space.of(source)
    rows = space.rows(source, slice(0, 400))
    mapped = space.queries(queries)
    assert rows.shape == (400, space.width)
    assert mapped.shape == (12, space.width)
    assert rows.dtype == mapped.dtype == np.float32
    for query, near in zip(queries, mapped_distances(space, rows, mapped), strict=True):
        true = reference.distances(metric, query, vectors)[np.argsort(near)]
        # Sorted by the space's distances, the metric's ascend, but for rounding.
        slack = 2e-6 * max(1.0, float(np.abs(vectors).max()) * float(np.linalg.norm(query)) * dimension)
        assert (np.diff(true) >= -slack).all()


def test_rows_can_be_chosen_by_number() -> None:
    for metric in Metric:
        source = source_of(metric, indexes.clusters(50, 6, 1))
        space = Space.of(source)
        chosen = np.array([3, 49, 0])
        assert space.rows(source, chosen).tolist() == space.rows(source, slice(0, 50))[chosen].tolist()


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.DOT])
def test_mapped_rows_are_of_one_length(metric: Metric) -> None:
    source = source_of(metric, indexes.clusters(300, 9, 2))
    space = Space.of(source)
    lengths = np.linalg.norm(space.rows(source, slice(0, 300)), axis=1)
    np.testing.assert_allclose(lengths, 1.0 if metric is Metric.COSINE else space.longest, rtol=1e-5)


def test_queries_under_dot_are_as_long_as_the_longest_row() -> None:
    source = source_of(Metric.DOT, indexes.clusters(300, 9, 3))
    space = Space.of(source)
    queries = np.array([[1e-9] * 9, [1e9] * 9, [0.0] * 9], np.float32)
    lengths = np.linalg.norm(space.queries(queries), axis=1)
    np.testing.assert_allclose(lengths, [space.longest, space.longest, 0.0], rtol=1e-5)


def test_all_rows_zero_under_dot() -> None:
    source = source_of(Metric.DOT, np.zeros((5, 3), np.float32))
    space = Space.of(source)
    assert space.longest == 0.0
    assert not space.rows(source, slice(0, 5)).any()
    assert not space.queries(np.ones((2, 3), np.float32)).any()


def test_no_rows() -> None:
    for metric in Metric:
        source = source_of(metric, np.empty((0, 3), np.float32))
        space = Space.of(source)
        assert space.rows(source, slice(0, 0)).shape == (0, space.width)
