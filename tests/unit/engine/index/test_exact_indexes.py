"""Indexes whose every answer is exact: the flat scan and the k-d tree."""

from __future__ import annotations

import numpy as np
import pytest

from hanax.core.distances import Metric
from hanax.core.errors import Cancelled, InvalidArgument
from hanax.core.index_specs import FlatIndex, KdTreeIndex, NoQuantisation
from hanax.engine.index.flat import Flat, search_exact
from hanax.engine.index.kd_tree import KdTree
from hanax.engine.index.protocol import Index, Nearest, Source
from tests.unit.engine.index import indexes
from tests.unit.engine.index.indexes import Fixed, Floats, source_of

ANY = Fixed(1)
ON_TREE = [Metric.COSINE, Metric.EUCLIDEAN, Metric.MANHATTAN]
CASES = [("flat", metric) for metric in Metric] + [("kd_tree", metric) for metric in ON_TREE]


def build(type_: str, source: Source, leaf_size: int = 4) -> Index:
    if type_ == "flat":
        return Flat.build(source, FlatIndex(), NoQuantisation(), indexes.work())
    return KdTree.build(source, KdTreeIndex(leaf_size=leaf_size), NoQuantisation(), indexes.work())


def scan(source: Source, queries: Floats, k: int) -> Nearest:
    class Block:
        base = 0
        vectors = source.vectors
        inverse_norms = source.inverse_norms

    return search_exact([Block()], source.metric, queries, k, None)


@pytest.mark.parametrize(("type_", "metric"), CASES)
@pytest.mark.parametrize("dimension", [1, 3, 17, 40])
def test_every_row_count(type_: str, metric: Metric, dimension: int) -> None:
    random = np.random.default_rng(dimension)
    queries = random.standard_normal((5, dimension), np.float32)
    for count in (1, 2, 3, 5, 63, 64, 65, 300):
        source = source_of(metric, random.standard_normal((count, dimension), np.float32))
        index = build(type_, source)
        assert index.efforts == ()
        for k in {1, min(2, count), min(10, count), count}:
            found = index.search(queries, k, None, ANY)
            indexes.check_exact(found, source, queries, np.ones(count, np.bool_), k)


@pytest.mark.parametrize(("type_", "metric"), CASES)
@pytest.mark.parametrize("count", [1, 64, 65, 700])
def test_masks(type_: str, metric: Metric, count: int) -> None:
    random = np.random.default_rng(count)
    source = source_of(metric, random.standard_normal((count, 3), np.float32))
    queries = random.standard_normal((4, 3), np.float32)
    index = build(type_, source)
    for allowed in indexes.masks(count, random):
        for k in {1, min(10, int(allowed.sum()))}:
            found = index.search(queries, k, indexes.mask_of(allowed), ANY)
            indexes.check_exact(found, source, queries, allowed, k)


@pytest.mark.parametrize("type_", ["flat", "kd_tree"])
def test_no_rows_at_all_can_be_built_and_opened(type_: str) -> None:
    source = source_of(Metric.EUCLIDEAN, np.empty((0, 4), np.float32))
    indexes.reopened(build(type_, source), source)


@pytest.mark.parametrize(("type_", "metric"), CASES)
def test_a_reopened_index_gives_the_same_answers(type_: str, metric: Metric) -> None:
    source = source_of(metric, indexes.clusters(500, 9, 1))
    queries = indexes.clusters(20, 9, 2)
    index = build(type_, source)
    opened = indexes.reopened(index, source)
    indexes.assert_same(index.search(queries, 10, None, ANY), opened.search(queries, 10, None, ANY))


@pytest.mark.parametrize(("type_", "metric"), CASES)
def test_searches_from_threads(type_: str, metric: Metric) -> None:
    index = build(type_, source_of(metric, indexes.clusters(2_000, 5, 3)))
    indexes.assert_threads_agree(index, indexes.clusters(16, 5, 4), 10, ANY)


class TestKdTree:
    @pytest.mark.parametrize("metric", ON_TREE)
    @pytest.mark.parametrize("leaf_size", [1, 7, 4_096])
    @pytest.mark.parametrize("dimension", [2, 16, 17])
    def test_distances_and_ties_are_those_of_the_scan(
        self, metric: Metric, leaf_size: int, dimension: int
    ) -> None:
        """Few different components: many rows are equally far, and the lower row comes first."""
        random = np.random.default_rng(dimension)
        vectors = random.integers(1, 4, (900, dimension)).astype(np.float32)
        source = source_of(metric, vectors)
        queries = random.integers(1, 4, (30, dimension)).astype(np.float32)
        tree = build("kd_tree", source, leaf_size)
        for k in (1, 10, 200):
            indexes.assert_same(tree.search(queries, k, None, ANY), scan(source, queries, k))

    def test_a_mask_with_more_rows_than_a_scan_is_good_for(self) -> None:
        """The walk through the tree itself looks at the mask."""
        random = np.random.default_rng(5)
        source = source_of(Metric.EUCLIDEAN, random.standard_normal((6_000, 2), np.float32))
        queries = random.standard_normal((10, 2), np.float32)
        tree = build("kd_tree", source)
        assert isinstance(tree, KdTree)
        for share in (0.95, 0.5, 0.2):
            allowed = random.random(6_000) < share
            assert not tree._scan_is_faster(10, int(allowed.sum()))
            found = tree.search(queries, 10, indexes.mask_of(allowed), ANY)
            indexes.check_exact(found, source, queries, allowed, 10)

    @pytest.mark.parametrize("leaf_size", [1, 32])
    def test_equal_rows(self, leaf_size: int) -> None:
        source = source_of(Metric.EUCLIDEAN, np.full((5_000, 3), 2.0, np.float32))
        found = build("kd_tree", source, leaf_size).search(source.vectors[:1], 20, None, ANY)
        assert found.rows.tolist() == [list(range(20))]
        assert found.distances.tolist() == [[0.0] * 20]

    def test_rows_in_order(self) -> None:
        """Sorted rows are no bad case of the halving."""
        source = source_of(Metric.EUCLIDEAN, np.arange(20_000, dtype=np.float32)[:, None])
        found = build("kd_tree", source).search(np.array([[12_345.25]], np.float32), 3, None, ANY)
        assert found.rows.tolist() == [[12_345, 12_346, 12_344]]

    @pytest.mark.parametrize("metric", ON_TREE)
    def test_longest_and_shortest_vectors(self, metric: Metric) -> None:
        for length in (1e17, 1e-17):
            vectors = indexes.clusters(300, 3, 6) * np.float32(length)
            source = source_of(metric, vectors)
            found = build("kd_tree", source).search(vectors[:50], 5, None, ANY)
            indexes.assert_same(found, scan(source, vectors[:50], 5))

    def test_leaves_hold_at_most_leaf_size_rows(self) -> None:
        source = source_of(Metric.EUCLIDEAN, indexes.clusters(1_000, 3, 7))
        for leaf_size in (1, 3, 10, 999, 1_000):
            leaves = (len(build("kd_tree", source, leaf_size).arrays["boxes"]) + 1) // 2
            assert leaf_size / 2 < 1_000 / leaves <= leaf_size

    def test_dot_is_refused(self) -> None:
        with pytest.raises(InvalidArgument, match="dot"):
            build("kd_tree", source_of(Metric.DOT, indexes.clusters(100, 3, 8)))

    def test_a_stopped_build_is_cancelled(self) -> None:
        source = source_of(Metric.EUCLIDEAN, indexes.clusters(100, 3, 8))
        with pytest.raises(Cancelled):
            KdTree.build(source, KdTreeIndex(), NoQuantisation(), indexes.stopped_work())
