"""Flat indexes on int8 and binary codes: what is found, and what the effort buys."""

from __future__ import annotations

import numpy as np
import pytest

from hanax.core.distances import Metric
from hanax.core.errors import Cancelled
from hanax.core.index_specs import BinaryQuantisation, FlatIndex, ScalarQuantisation
from hanax.engine.index.flat import Flat
from hanax.engine.index.protocol import Source, memory_bytes
from tests.unit.engine.index import indexes
from tests.unit.engine.index.indexes import Fixed, source_of

CODES = ["int8", "binary"]
# Rows compared in full that find 95 % of the 10 nearest of 3,000.
ENOUGH = {"int8": 32, "binary": 600}


def build(type_: str, source: Source) -> Flat:
    quantisation = ScalarQuantisation() if type_ == "int8" else BinaryQuantisation()
    return Flat.build(source, FlatIndex(), quantisation, indexes.work())


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("type_", CODES)
def test_recall(type_: str, metric: Metric) -> None:
    source = source_of(metric, indexes.clusters(3_000, 72, 1))
    queries = indexes.clusters(60, 72, 2)
    index = build(type_, source)
    everyone = np.ones(3_000, np.bool_)
    found = index.search(queries, 10, None, Fixed(ENOUGH[type_]))
    indexes.check_allowed(found, source, queries, everyone)
    assert indexes.recall(found, source, queries, everyone) >= 0.95


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("type_", CODES)
@pytest.mark.parametrize("count", [1, 2, 64, 65, 1_001])
def test_masks(type_: str, metric: Metric, count: int) -> None:
    """k rows come back whenever k are allowed, and those alone, at whatever effort."""
    random = np.random.default_rng(count)
    source = source_of(metric, indexes.clusters(count, 20, 3))
    queries = indexes.clusters(4, 20, 4)
    index = build(type_, source)
    for allowed in indexes.masks(count, random):
        for effort in (1, 30):
            k = min(10, int(allowed.sum()))
            found = index.search(queries, k, indexes.mask_of(allowed), Fixed(effort))
            indexes.check_allowed(found, source, queries, allowed)


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("type_", CODES)
def test_recall_under_masks(type_: str, metric: Metric) -> None:
    random = np.random.default_rng(5)
    source = source_of(metric, indexes.clusters(3_000, 72, 1))
    queries = indexes.clusters(40, 72, 2)
    index = build(type_, source)
    for share in (0.9, 0.5, 0.1, 0.01):
        allowed = random.random(3_000) < share
        found = index.search(queries, 10, indexes.mask_of(allowed), Fixed(ENOUGH[type_]))
        assert indexes.recall(found, source, queries, allowed) >= 0.95


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("type_", CODES)
def test_comparing_every_row_is_exact(type_: str, metric: Metric) -> None:
    source = source_of(metric, indexes.clusters(300, 33, 6))
    queries = indexes.clusters(10, 33, 7)
    found = build(type_, source).search(queries, 10, None, Fixed(300))
    indexes.check_exact(found, source, queries, np.ones(300, np.bool_), 10)


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("type_", CODES)
def test_more_effort_never_finds_less(type_: str, metric: Metric) -> None:
    source = source_of(metric, indexes.clusters(2_000, 40, 8))
    queries = indexes.clusters(30, 40, 9)
    index = build(type_, source)
    everyone = np.ones(2_000, np.bool_)
    shares = [
        indexes.recall(index.search(queries, 10, None, Fixed(effort)), source, queries, everyone)
        for effort in index.efforts
    ]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize("type_", CODES)
def test_equal_rows_come_by_row(type_: str) -> None:
    source = source_of(Metric.EUCLIDEAN, np.full((1_000, 16), 0.5, np.float32))
    found = build(type_, source).search(source.vectors[:3], 20, None, Fixed(32))
    assert found.rows.tolist() == [list(range(20))] * 3


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("type_", CODES)
def test_a_query_finds_the_same_alone_and_in_a_batch(type_: str, metric: Metric) -> None:
    """Also where the candidates of all are too many to be held at a time."""
    source = source_of(metric, indexes.clusters(5_000, 8, 10))
    queries = indexes.clusters(70, 8, 11)
    index = build(type_, source)
    together = index.search(queries, 10, None, Fixed(4_096))
    for number in (0, 1, 63, 64, 69):
        alone = index.search(queries[number : number + 1], 10, None, Fixed(4_096))
        assert alone.rows.tolist() == together.rows[number : number + 1].tolist()


@pytest.mark.parametrize("type_", CODES)
def test_rows_are_found_wherever_they_lie(type_: str) -> None:
    """Codes are made in several pieces: each row is its own nearest, the first and the last as well."""
    vectors = np.random.default_rng(20).standard_normal((9_001, 40), np.float32)
    index = build(type_, source_of(Metric.EUCLIDEAN, vectors))
    asked = [0, 7, 8, 4_095, 4_096, 4_100, 8_191, 8_192, 9_000]
    found = index.search(vectors[asked], 1, None, Fixed(4))
    assert found.rows[:, 0].tolist() == asked


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("type_", CODES)
def test_a_reopened_index_gives_the_same_answers(type_: str, metric: Metric) -> None:
    source = source_of(metric, indexes.clusters(500, 70, 12))
    queries = indexes.clusters(20, 70, 13)
    index = build(type_, source)
    indexes.assert_same(
        index.search(queries, 10, None, Fixed(20)),
        indexes.reopened(index, source).search(queries, 10, None, Fixed(20)),
    )


@pytest.mark.parametrize("type_", CODES)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_rows(type_: str, count: int) -> None:
    source = source_of(Metric.COSINE, indexes.clusters(count, 5, 14))
    index = indexes.reopened(build(type_, source), source)
    for k in range(1, count + 1):
        found = index.search(indexes.clusters(2, 5, 15), k, None, Fixed(1))
        indexes.check_allowed(found, source, indexes.clusters(2, 5, 15), np.ones(count, np.bool_))


@pytest.mark.parametrize("type_", CODES)
def test_searches_from_threads(type_: str) -> None:
    index = build(type_, source_of(Metric.COSINE, indexes.clusters(2_000, 64, 16)))
    indexes.assert_threads_agree(index, indexes.clusters(16, 64, 17), 10, Fixed(50))


@pytest.mark.parametrize("type_", CODES)
def test_a_stopped_build_is_cancelled(type_: str) -> None:
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(100, 3, 8))
    quantisation = ScalarQuantisation() if type_ == "int8" else BinaryQuantisation()
    with pytest.raises(Cancelled):
        Flat.build(source, FlatIndex(), quantisation, indexes.stopped_work())


def test_bytes_of_a_row() -> None:
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(4_096, 128, 18))
    assert memory_bytes(build("int8", source)) / 4_096 == pytest.approx(128 + 4, abs=1)
    assert memory_bytes(build("binary", source)) / 4_096 == pytest.approx(128 / 8, abs=1)
