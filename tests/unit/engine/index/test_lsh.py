"""Locality-sensitive hashing: recall, completeness, and what its parameters do."""

from __future__ import annotations

import numpy as np
import pytest

from hanax.core.distances import Metric
from hanax.core.errors import Cancelled
from hanax.core.index_specs import LshIndex, NoQuantisation
from hanax.engine.index.lsh import Lsh
from hanax.engine.index.protocol import Source
from tests.unit.engine.index import indexes
from tests.unit.engine.index.indexes import Fixed, source_of


def build(source: Source, num_tables: int = 8, hash_size: int = 10) -> Lsh:
    spec = LshIndex(num_tables=num_tables, hash_size=hash_size)
    return Lsh.build(source, spec, NoQuantisation(), indexes.work())


@pytest.mark.parametrize("metric", Metric)
def test_recall_grows_with_probes_and_reaches_one(metric: Metric) -> None:
    source = source_of(metric, indexes.clusters(6_000, 24, 1))
    queries = indexes.clusters(50, 24, 2)
    index = build(source)
    everyone = np.ones(6_000, np.bool_)
    shares = []
    for probes in index.efforts:
        found = index.search(queries, 10, None, Fixed(probes))
        indexes.check_allowed(found, source, queries, everyone)
        shares.append(indexes.recall(found, source, queries, everyone))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    # Before the exact scan takes over, buckets alone find most.
    assert len(shares) > 5
    assert shares[-2] >= 0.75


@pytest.mark.parametrize("metric", Metric)
def test_a_vector_is_in_its_own_bucket(metric: Metric) -> None:
    """A single probe, the bucket of the query itself: the row that equals the query is there."""
    vectors = indexes.clusters(8_000, 24, 3)
    source = source_of(metric, vectors)
    index = build(source)
    assert not index._scan_is_faster(1, 8_000)
    asked = vectors[:200]
    found = index.search(asked, 1, None, Fixed(1))
    if metric is Metric.DOT:
        # The longest rows have nothing added to them, and are hashed as the query is.
        longest = np.argsort(-np.linalg.norm(vectors, axis=1))[:1]
        found = index.search(vectors[longest], 1, None, Fixed(1))
        assert found.rows[:, 0].tolist() == longest.tolist()
    else:
        assert found.rows[:, 0].tolist() == list(range(200))


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("count", [1, 2, 64, 65, 4_000])
def test_masks(metric: Metric, count: int) -> None:
    """k rows come back whenever k are allowed, and those alone, however few buckets are read."""
    random = np.random.default_rng(count)
    source = source_of(metric, indexes.clusters(count, 12, 4))
    queries = indexes.clusters(5, 12, 5)
    index = build(source, 2, 12)
    for allowed in indexes.masks(count, random):
        k = min(10, int(allowed.sum()))
        for probes in (1, 5):
            found = index.search(queries, k, indexes.mask_of(allowed), Fixed(probes))
            indexes.check_allowed(found, source, queries, allowed)


@pytest.mark.parametrize("metric", Metric)
def test_queries_whose_buckets_hold_too_few_get_the_exact_answer(metric: Metric) -> None:
    """As many as k, far from any row: nothing is in the buckets."""
    source = source_of(metric, indexes.clusters(9_000, 12, 6))
    index = build(source, 1, 16)
    assert not index._scan_is_faster(1, 9_000)
    queries = -50 * indexes.clusters(5, 12, 7)
    found = index.search(queries, 500, None, Fixed(1))
    indexes.check_exact(found, source, queries, np.ones(9_000, np.bool_), 500)


@pytest.mark.parametrize("metric", Metric)
def test_fewer_allowed_rows_are_searched_with_more_effort(metric: Metric) -> None:
    """The nearest tenth of a tenth of the rows lie as far as the nearest hundred of all."""

    class Asked:
        def __init__(self) -> None:
            self.k: list[float] = []

        def at(self, k: float) -> int:
            self.k.append(k)
            return 4

    source = source_of(metric, indexes.clusters(1_000, 12, 8))
    allowed = np.arange(1_000) % 10 == 0
    asked = Asked()
    build(source).search(source.vectors[:1], 7, indexes.mask_of(allowed), asked)
    assert asked.k == [70]


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize(("num_tables", "hash_size"), [(1, 1), (64, 2), (3, 24)])
def test_extreme_parameters(metric: Metric, num_tables: int, hash_size: int) -> None:
    source = source_of(metric, indexes.clusters(2_500, 6, 9))
    queries = indexes.clusters(8, 6, 10)
    index = build(source, num_tables, hash_size)
    for probes in (1, 100, 10_000):
        found = index.search(queries, 5, None, Fixed(probes))
        indexes.check_allowed(found, source, queries, np.ones(2_500, np.bool_))


@pytest.mark.parametrize("metric", Metric)
def test_equal_rows_come_by_row(metric: Metric) -> None:
    source = source_of(metric, np.full((3_000, 4), 0.5, np.float32))
    found = build(source).search(source.vectors[:2], 12, None, Fixed(1))
    assert found.rows.tolist() == [list(range(12))] * 2


@pytest.mark.parametrize("metric", Metric)
def test_duplicates_among_others(metric: Metric) -> None:
    vectors = indexes.clusters(6_000, 10, 11)
    vectors[1_000:1_040] = vectors[0]
    source = source_of(metric, vectors)
    found = build(source).search(vectors[:1], 41, None, Fixed(10_000))
    indexes.check_exact(found, source, vectors[:1], np.ones(6_000, np.bool_), 41)


def test_a_query_of_zeros_under_dot() -> None:
    source = source_of(Metric.DOT, indexes.clusters(3_000, 10, 12))
    found = build(source).search(np.zeros((1, 10), np.float32), 10, None, Fixed(2))
    indexes.check_allowed(found, source, np.zeros((1, 10), np.float32), np.ones(3_000, np.bool_))


@pytest.mark.parametrize("metric", [Metric.EUCLIDEAN, Metric.MANHATTAN])
@pytest.mark.parametrize("length", [1e-6, 1.0, 1e6])
def test_cells_are_as_wide_as_the_data_wants(metric: Metric, length: float) -> None:
    """A bucket holds about as many rows, however long the vectors are."""
    source = source_of(metric, indexes.clusters(5_000, 10, 13) * np.float32(length))
    assert 10 < build(source).parameters["bucket_rows"] < 250


@pytest.mark.parametrize("metric", Metric)
def test_a_reopened_index_gives_the_same_answers(metric: Metric) -> None:
    source = source_of(metric, indexes.clusters(4_000, 20, 14))
    queries = indexes.clusters(20, 20, 15)
    index = build(source)
    opened = indexes.reopened(index, source)
    assert opened.efforts == index.efforts
    indexes.assert_same(index.search(queries, 10, None, Fixed(3)), opened.search(queries, 10, None, Fixed(3)))


@pytest.mark.parametrize("metric", Metric)
def test_no_rows_at_all_can_be_built_and_opened(metric: Metric) -> None:
    source = source_of(metric, np.empty((0, 4), np.float32))
    indexes.reopened(build(source), source)


@pytest.mark.parametrize("metric", Metric)
def test_searches_from_threads(metric: Metric) -> None:
    index = build(source_of(metric, indexes.clusters(5_000, 16, 16)))
    indexes.assert_threads_agree(index, indexes.clusters(16, 16, 17), 10, Fixed(4))


def test_a_stopped_build_is_cancelled() -> None:
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(100, 3, 18))
    with pytest.raises(Cancelled):
        Lsh.build(source, LshIndex(), NoQuantisation(), indexes.stopped_work())
