"""Scalar quantisation: how near codes stay to vectors, and what becomes of odd data."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hanax.core.distances import Metric
from hanax.engine.index.scalar import Encoded, ScalarQuantiser
from hanax.engine.index.space import Space
from tests.unit.engine.index import indexes
from tests.unit.engine.index.indexes import Floats, source_of


def fitted(metric: Metric, vectors: Floats) -> tuple[ScalarQuantiser, Floats]:
    """A quantiser that learnt from these vectors, and the vectors as the space maps them."""
    source = source_of(metric, vectors)
    space = Space.of(source)
    rows = space.rows(source, slice(0, len(vectors)))
    return ScalarQuantiser.fit(space, rows), rows


def code_distances(encoded: Encoded, l1: bool) -> Floats:
    """float64[n, n], in steps or squared steps."""
    values = encoded.codes.astype(np.float64)
    differences = values[:, None] - values[None]
    return np.asarray(abs(differences).sum(axis=2) if l1 else (differences**2).sum(axis=2))


@pytest.mark.parametrize("metric", Metric)
def test_distances_of_codes_are_those_of_vectors_in_steps(metric: Metric) -> None:
    """Of rows with no component beyond the range of codes, which are nearly all."""
    quantiser, rows = fitted(metric, indexes.clusters(120, 200, 1))
    codes = quantiser.encode(rows).codes
    whole = ((codes > 1) & (codes < 255)).all(axis=1)
    assert whole.sum() > 80
    rows = rows[whole]
    l1 = metric is Metric.MANHATTAN
    differences = rows[:, None].astype(np.float64) - rows[None]
    if l1:
        expected = abs(differences).sum(axis=2) * quantiser.scale
    else:
        expected = (differences**2).sum(axis=2) * quantiser.scale**2
    found = code_distances(quantiser.encode(rows), l1)
    np.testing.assert_allclose(found, expected, rtol=0.01)


@pytest.mark.parametrize("dimension", [1, 63, 64, 65])
def test_rows_of_codes_fill_whole_pieces(dimension: int) -> None:
    quantiser, rows = fitted(Metric.EUCLIDEAN, indexes.clusters(100, dimension, 2))
    encoded = quantiser.encode(rows)
    assert quantiser.code_bytes == encoded.codes.shape[1] == -(-dimension // 64) * 64
    assert (encoded.codes[:, dimension:] == 128).all()
    values = encoded.codes.astype(np.int64) - 128
    assert encoded.norms.tolist() == (values**2).sum(axis=1).tolist()
    assert encoded.constants.tolist() == ((values**2).sum(axis=1) + 256 * values.sum(axis=1)).tolist()


def with_outliers() -> Floats:
    """Two components a hundred times as large as the other 198, as embeddings have them."""
    vectors = np.random.default_rng(3).standard_normal((500, 200)).astype(np.float32)
    vectors[:, [17, 120]] *= 100
    return vectors


def test_outlier_components_are_rotated_away() -> None:
    vectors = with_outliers()
    rotated, rows = fitted(Metric.EUCLIDEAN, vectors)
    assert len(rotated.rotation) > 0
    straight, _ = fitted(Metric.MANHATTAN, vectors)
    assert len(straight.rotation) == 0, "rotating does not keep L1 distances"
    assert rotated.scale > 1.5 * straight.scale
    differences = rows[:50, None].astype(np.float64) - rows[None, :50]
    expected = (differences**2).sum(axis=2)
    found = code_distances(rotated.encode(rows[:50]), l1=False) / rotated.scale**2
    # Codes cut what is beyond their range, which may take a part of the largest distances.
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.999


def test_ordinary_vectors_are_not_rotated() -> None:
    quantiser, _ = fitted(Metric.EUCLIDEAN, indexes.clusters(500, 200, 4))
    assert len(quantiser.rotation) == len(quantiser.order) == 0


@pytest.mark.parametrize("metric", [Metric.EUCLIDEAN, Metric.DOT])
def test_a_reopened_quantiser_makes_the_same_codes(metric: Metric) -> None:
    for vectors in (indexes.clusters(100, 30, 5), with_outliers()):
        quantiser, rows = fitted(metric, vectors)
        parameters = json.loads(json.dumps(quantiser.parameters))
        opened = ScalarQuantiser.load(quantiser.arrays, parameters)
        assert opened.encode(rows).codes.tolist() == quantiser.encode(rows).codes.tolist()


@pytest.mark.parametrize("metric", Metric)
def test_equal_rows_and_a_single_row(metric: Metric) -> None:
    """Nothing to learn a scale from: all codes are the same, and queries elsewhere are cut."""
    for count in (1, 50):
        quantiser, rows = fitted(metric, np.full((count, 10), 3.0, np.float32))
        assert np.isfinite(quantiser.scale)
        encoded = quantiser.encode(rows)
        assert (encoded.codes == encoded.codes[0]).all()
        assert quantiser.encode(rows * 1_000).codes.min() >= 1


def test_one_dimension() -> None:
    quantiser, rows = fitted(Metric.EUCLIDEAN, np.linspace(-1, 1, 200, dtype=np.float32)[:, None])
    codes = quantiser.encode(rows).codes[:, 0].astype(np.int64)
    assert (np.diff(codes) >= 0).all()
    assert codes[0] == 1
    assert codes[-1] == 255
