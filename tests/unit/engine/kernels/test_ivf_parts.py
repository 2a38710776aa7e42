"""The parts of an IVF search by themselves: tables, codebooks, centroids."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.errors import Cancelled
from hanax.core.index_specs import ProductQuantisation
from hanax.engine.index.clustering import assign, find_centroids
from hanax.engine.index.product import ProductQuantiser
from hanax.engine.index.scalar import Encoded, ScalarQuantiser
from hanax.engine.index.space import Space
from hanax.engine.kernels.tables import fill_tables
from tests.unit.engine.index import indexes


def encoded(count: int, dimension: int, seed: int) -> Encoded:
    space = Space(Metric.EUCLIDEAN, dimension)
    rows = indexes.clusters(count, dimension, seed)
    return ScalarQuantiser.fit(space, rows).encode(rows)


@pytest.mark.parametrize("l1", [False, True])
@pytest.mark.parametrize(("width", "part"), [(64, 2), (64, 5), (128, 1)])
def test_tables_hold_the_distances_to_all_centroids_in_one_scale(l1: bool, width: int, part: int) -> None:
    random = np.random.default_rng(width + part)
    parts = -(-width // part)
    books = random.normal(0, 30, (parts, part, 16)).astype(np.float32)
    values = random.normal(0, 30, width).astype(np.float32)
    # What lies past the end of the values does not count.
    whole = np.zeros(parts * part, np.float32)
    whole[:width] = values
    books.reshape(-1, 16)[width:] = 0
    packed = np.zeros((-(-parts // 4), 64), np.uint8)
    fill_tables(l1, values, books, np.empty((parts, 16), np.float32), packed)
    differences = whole.reshape(parts, part, 1) - books
    expected = abs(differences).sum(axis=1) if l1 else (differences**2).sum(axis=1)
    found = packed.reshape(-1, 16)[:parts] * (expected.max() / 255)
    np.testing.assert_allclose(found, expected, atol=0.51 * expected.max() / 255)


@pytest.mark.parametrize("bits", [4, 8])
def test_product_codes_are_the_nearest_centroids(bits: int) -> None:
    codes = encoded(700, 24, 1).codes
    quantiser = ProductQuantiser.fit(ProductQuantisation(bits=bits, part_dimension=3), 24, codes)
    parts = codes[:, :24].astype(np.float32).reshape(700, 8, 3, 1) - 128
    distances = ((parts - quantiser.books) ** 2).sum(axis=2)
    found = np.take_along_axis(distances, quantiser.encode(codes)[:, :, None].astype(np.int64), axis=2)
    np.testing.assert_allclose(found[:, :, 0], distances.min(axis=2), rtol=1e-4)
    # Means of their rows: better than any 16 rows as centroids.
    rows = parts[np.random.default_rng(0).choice(700, 2**bits, replace=False)]
    by_rows = ((parts - rows.transpose(3, 1, 2, 0)) ** 2).sum(axis=2).min(axis=2)
    assert distances.min(axis=2).mean() < by_rows.mean()


def spread(sample: Encoded, count: int) -> tuple[float, NDArray[np.int64]]:
    """Mean squared distance of rows to their centroids, and the sizes of the lists."""
    centroids = find_centroids(False, sample, count, np.random.default_rng(0), threading.Event())
    labels = assign(False, centroids, sample.codes, sample.constants)
    differences = sample.codes.astype(np.float64) - centroids.codes[labels]
    return float((differences**2).sum(axis=1).mean()), np.bincount(labels, minlength=count)


def test_centroids_find_the_clusters() -> None:
    """20 clusters: 20 centroids leave about the noise within them, far less than 10 do."""
    sample = encoded(4_000, 16, 2)
    few, _ = spread(sample, 10)
    enough, sizes = spread(sample, 20)
    assert enough < 0.6 * few
    assert (sizes > 0).all()


def test_labels_are_the_nearest_centroids() -> None:
    sample = encoded(500, 16, 3)
    centroids = find_centroids(False, sample, 30, np.random.default_rng(0), threading.Event())
    distances = ((sample.codes.astype(int)[:, None] - centroids.codes.astype(int)[None]) ** 2).sum(axis=2)
    labels = assign(False, centroids, sample.codes, sample.constants)
    assert distances[np.arange(500), labels].tolist() == distances.min(axis=1).tolist()


@pytest.mark.parametrize("count", [1, 2, 40])
def test_as_many_centroids_as_rows_or_more(count: int) -> None:
    sample = encoded(2, 8, 4)
    centroids = find_centroids(False, sample, count, np.random.default_rng(0), threading.Event())
    assert len(centroids.codes) == count


def test_a_stopped_search_for_centroids_is_cancelled() -> None:
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(Cancelled):
        find_centroids(False, encoded(100, 8, 5), 4, np.random.default_rng(0), stopped)
