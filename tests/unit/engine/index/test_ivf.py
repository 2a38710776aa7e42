"""IVF on every quantisation it takes, against numpy."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.errors import Cancelled
from hanax.core.index_specs import (
    IvfIndex,
    NoQuantisation,
    ProductQuantisation,
    Quantisation,
    ScalarQuantisation,
)
from hanax.engine.index.ivf import Ivf
from hanax.engine.index.keeping import MOST_READ, learn_masked
from hanax.engine.index.protocol import Source
from tests.unit.engine.index import indexes
from tests.unit.engine.index.indexes import Fixed, source_of

QUANTISATIONS: dict[str, Quantisation] = {
    "none": NoQuantisation(),
    "int8": ScalarQuantisation(),
    "product4": ProductQuantisation(),
    "product4-alone": ProductQuantisation(refine=False),
    "product8": ProductQuantisation(bits=8, part_dimension=2),
}
EVERY = [(name, metric) for name in QUANTISATIONS for metric in Metric]


def build(source: Source, name: str, lists: int | None = None) -> Ivf:
    return Ivf.build(source, IvfIndex(lists=lists), QUANTISATIONS[name], indexes.work())


@pytest.mark.parametrize(("name", "metric"), EVERY)
def test_recall_grows_with_the_lists_read(name: str, metric: Metric) -> None:
    source = source_of(metric, indexes.clusters(3_000, 40, 1))
    queries = indexes.clusters(40, 40, 2)
    index = build(source, name, 50)
    everyone = np.ones(3_000, np.bool_)
    found = [index.search(queries, 10, None, Fixed(effort)) for effort in (1, index.efforts[-1])]
    recalls = [indexes.recall(nearest, source, queries, everyone) for nearest in found]
    assert recalls[0] <= recalls[1]
    assert recalls[1] >= 0.97
    for nearest in found:
        indexes.check_allowed(nearest, source, queries, everyone)


@pytest.mark.parametrize("metric", Metric)
def test_all_lists_of_vectors_are_exact(metric: Metric) -> None:
    source = source_of(metric, indexes.clusters(1_000, 19, 3))
    queries = indexes.clusters(20, 19, 4)
    index = build(source, "none", 30)
    found = index.search(queries, 10, None, Fixed(30))
    indexes.check_exact(found, source, queries, np.ones(1_000, np.bool_), 10)


@pytest.mark.parametrize(("name", "metric"), EVERY)
def test_every_row_count(name: str, metric: Metric) -> None:
    queries = indexes.clusters(3, 9, 5)
    for count in (1, 2, 3, 31, 32, 33, 200):
        source = source_of(metric, indexes.clusters(count, 9, count))
        index = build(source, name)
        for k in {1, min(10, count), count}:
            found = index.search(queries, k, None, Fixed(1))
            indexes.check_allowed(found, source, queries, np.ones(count, np.bool_))


@pytest.mark.parametrize("name", QUANTISATIONS)
@pytest.mark.parametrize("count", [65, 4_000])
def test_masks_give_k_whenever_k_are_allowed(name: str, count: int) -> None:
    random = np.random.default_rng(count)
    source = source_of(Metric.COSINE, indexes.clusters(count, 24, 6))
    queries = indexes.clusters(4, 24, 7)
    index = build(source, name)
    for allowed in indexes.masks(count, random):
        for k in {1, min(10, int(allowed.sum()))}:
            found = index.search(queries, k, indexes.mask_of(allowed), Fixed(2))
            indexes.check_allowed(found, source, queries, allowed)


@pytest.mark.parametrize("name", QUANTISATIONS)
def test_masked_recall(name: str) -> None:
    random = np.random.default_rng(8)
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(8_000, 32, 8))
    queries = indexes.clusters(30, 32, 9)
    index = build(source, name, 60)
    for share in (0.5, 0.1):
        allowed = random.random(8_000) < share
        found = index.search(queries, 10, indexes.mask_of(allowed), Fixed(30))
        assert indexes.recall(found, source, queries, allowed) >= 0.95


@pytest.mark.parametrize("name", QUANTISATIONS)
def test_allowed_rows_far_from_the_query_are_found(name: str) -> None:
    """The lists near the query hold no allowed row, and there are too many for the short way."""
    random = np.random.default_rng(10)
    vectors = random.standard_normal((3_000, 16), np.float32)
    vectors[:1_000, 0] += 50
    source = source_of(Metric.EUCLIDEAN, vectors)
    queries = random.standard_normal((5, 16), np.float32)
    queries[:, 0] -= 50
    allowed = np.arange(3_000) < 1_000
    found = build(source, name, 40).search(queries, 10, indexes.mask_of(allowed), Fixed(1))
    indexes.check_allowed(found, source, queries, allowed)


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("name", QUANTISATIONS)
def test_only_far_lists_are_allowed(name: str, count: int) -> None:
    """For one query and for so many that allowed rows are compared in tiles."""
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(6_000, 32, 25))
    index = build(source, name, 60)
    queries = indexes.clusters(1, 32, 26) + np.random.default_rng(27).normal(0, 0.1, (count, 32)).astype(
        np.float32
    )
    order = np.argsort(((source.vectors - queries[0]) ** 2).sum(axis=1))
    for first in (3_000, 4_800, 5_700):
        allowed = np.zeros(6_000, np.bool_)
        allowed[order[first:]] = True
        found = index.search(queries, 10, indexes.mask_of(allowed), Fixed(3))
        indexes.check_allowed(found, source, queries, allowed)
        # Product codes alone tell far rows hardly apart.
        assert indexes.recall(found, source, queries, allowed) >= 0.9 or name in {
            "product4-alone",
            "product8",
        }


@pytest.mark.parametrize("name", ["none", "int8", "product4"])
def test_a_query_whose_surroundings_are_not_allowed_reads_on(name: str) -> None:
    """In tight clusters the nearest rows that are left are in lists in no order."""
    random = np.random.default_rng(11)
    centers = random.standard_normal((8, 24), np.float32) * 4
    rows, queries = (
        centers[random.integers(0, 8, count)] + random.standard_normal((count, 24), np.float32)
        for count in (12_000, 20)
    )
    source = source_of(Metric.EUCLIDEAN, rows)
    index = build(source, name, 240)
    recalls = []
    for query in queries[:, np.newaxis]:
        allowed = np.ones(12_000, np.bool_)
        allowed[np.argsort(((rows - query) ** 2).sum(axis=1))[:600]] = False
        found = index.search(query, 10, indexes.mask_of(allowed), Fixed(2))
        recalls.append(indexes.recall(found, source, query, allowed))
    assert np.mean(recalls) >= 0.9


def test_how_much_is_read_under_masks_is_learnt() -> None:
    """The least that loses next to nothing; where lists are in no order for queries, as much as there is."""
    everything = np.arange(100).reshape(10, 10)

    def ask(enough: float, met: float) -> NDArray[np.int64]:
        return everything if met >= enough else -everything - 1

    assert learn_masked(partial(ask, 2.0)) == 2.0
    assert learn_masked(partial(ask, 100.0)) == MOST_READ
    rows = np.random.default_rng(12).standard_normal((6_000, 8), np.float32)
    index = build(source_of(Metric.EUCLIDEAN, rows), "int8")
    assert index.codes.kept.masked < MOST_READ
    reopened = Ivf.load(index.arrays, index.parameters, index.source)
    assert reopened.codes.kept == index.codes.kept


@pytest.mark.parametrize("share", [0.5, 0.2, 0.05])
@pytest.mark.parametrize("metric", Metric)
def test_masked_batches_find_what_single_queries_find(metric: Metric, share: float) -> None:
    """Ways differ, by lists and by tiles; with all lists read they compare the same rows."""
    source = source_of(metric, indexes.clusters(5_000, 48, 28))
    queries = indexes.clusters(30, 48, 29)
    index = build(source, "product4", 20)
    allowed = np.random.default_rng(30).random(5_000) < share
    mask = indexes.mask_of(allowed)
    together = index.search(queries, 10, mask, Fixed(20))
    assert indexes.recall(together, source, queries, allowed) >= 0.97
    alone = [index.search(query[None], 10, mask, Fixed(20)) for query in queries]
    same = np.mean([(a.rows[0] == b).mean() for a, b in zip(alone, together.rows, strict=True)])
    assert same >= 0.95


@pytest.mark.parametrize(("name", "metric"), EVERY)
def test_equal_vectors(name: str, metric: Metric) -> None:
    source = source_of(metric, np.ones((500, 8), np.float32))
    found = build(source, name).search(np.full((2, 8), 2, np.float32), 20, None, Fixed(1))
    indexes.check_allowed(found, source, np.full((2, 8), 2, np.float32), np.ones(500, np.bool_))


@pytest.mark.parametrize("dimension", [1, 2, 63, 65, 130])
@pytest.mark.parametrize("part", [None, 1, 64])
def test_parts_may_end_past_the_last_component(dimension: int, part: int | None) -> None:
    """Under dot a vector has one component more than the user's, and codes are padded to 64."""
    source = source_of(Metric.DOT, indexes.clusters(600, dimension, 11))
    queries = indexes.clusters(5, dimension, 12)
    spec = ProductQuantisation(part_dimension=part)
    index = Ivf.build(source, IvfIndex(lists=4), spec, indexes.work())
    found = index.search(queries, 10, None, Fixed(4))
    indexes.check_allowed(found, source, queries, np.ones(600, np.bool_))


@pytest.mark.parametrize(("name", "metric"), EVERY)
def test_reopening_gives_the_same_answers(name: str, metric: Metric) -> None:
    source = source_of(metric, indexes.clusters(700, 21, 13))
    queries = indexes.clusters(30, 21, 14)
    index = build(source, name)
    again = indexes.reopened(index, source)
    assert again.efforts == index.efforts
    indexes.assert_same(index.search(queries, 10, None, Fixed(3)), again.search(queries, 10, None, Fixed(3)))


def test_a_batch_answers_like_single_queries() -> None:
    """Batches are reordered on the way; 600 queries take more than two turns."""
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(2_000, 24, 15))
    queries = indexes.clusters(600, 24, 16)
    index = build(source, "product4")
    together = index.search(queries, 5, None, Fixed(4))
    for number in range(0, 600, 37):
        alone = index.search(queries[number : number + 1], 5, None, Fixed(4))
        assert alone.rows[0].tolist() == together.rows[number].tolist()


def test_length_of_cosine_queries_does_not_matter() -> None:
    source = source_of(Metric.COSINE, indexes.clusters(500, 24, 17))
    queries = indexes.clusters(10, 24, 18)
    index = build(source, "product4")
    found, scaled = (index.search(asked, 5, None, Fixed(4)) for asked in (queries, queries * np.float32(1e6)))
    assert found.rows.tolist() == scaled.rows.tolist()


def test_many_neighbours() -> None:
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(3_000, 16, 19))
    queries = indexes.clusters(3, 16, 20)
    everyone = np.ones(3_000, np.bool_)
    found = build(source, "product4").search(queries, 1_000, None, Fixed(1))
    indexes.check_allowed(found, source, queries, everyone)


def test_threads_agree() -> None:
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(2_000, 24, 21))
    queries = indexes.clusters(20, 24, 22)
    indexes.assert_threads_agree(build(source, "product4"), queries, 10, Fixed(4))


def test_a_stopped_build_is_cancelled() -> None:
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(500, 8, 23))
    with pytest.raises(Cancelled):
        Ivf.build(source, IvfIndex(), ProductQuantisation(), indexes.stopped_work())


def test_several_threads_build_the_same() -> None:
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(10_000, 16, 24))
    one, two = (
        Ivf.build(source, IvfIndex(), ProductQuantisation(), indexes.work()._replace(threads=threads))
        for threads in (1, 2)
    )
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, two.arrays[name])
