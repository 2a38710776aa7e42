"""HNSW: recall, masks, and that a build can be stopped, repeated and reopened."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hanax.core.distances import Metric
from hanax.core.errors import Cancelled, InvalidArgument
from hanax.core.index_specs import HnswIndex, NoQuantisation, ScalarQuantisation
from hanax.engine.index.hnsw import Hnsw
from hanax.engine.index.hnsw_graph import build_bytes, grow
from hanax.engine.index.hnsw_rows import WalkedRows
from hanax.engine.index.protocol import Source, Work, memory_bytes
from hanax.engine.index.space import Space
from tests.unit.engine.index import indexes
from tests.unit.engine.index.indexes import Fixed, source_of

QUANTISATIONS: dict[str, ScalarQuantisation | NoQuantisation] = {
    "int8": ScalarQuantisation(),
    "none": NoQuantisation(),
}
EVERY_KIND = pytest.mark.parametrize("type_", QUANTISATIONS)
EVERY_METRIC = pytest.mark.parametrize("metric", Metric)
SPEC = HnswIndex(m=8, ef_construction=48)


def build(source: Source, type_: str = "int8", threads: int = 1, spec: HnswIndex = SPEC) -> Hnsw:
    return Hnsw.build(source, spec, QUANTISATIONS[type_], indexes.work()._replace(threads=threads))


@EVERY_METRIC
@EVERY_KIND
def test_recall(type_: str, metric: Metric) -> None:
    """The walk finds the nearest while it meets a part of the rows alone."""
    source = source_of(metric, indexes.clusters(4_000, 40, 1))
    queries = indexes.clusters(80, 40, 2)
    index = build(source, type_)
    everyone = np.ones(4_000, np.bool_)
    for effort, floor in ((10, 0.6), (60, 0.9), (400, 0.975)):
        found = index.search(queries, 10, None, Fixed(effort))
        indexes.check_allowed(found, source, queries, everyone)
        assert indexes.recall(found, source, queries, everyone) >= floor
    assert index.efforts == tuple(sorted(set(index.efforts)))


@EVERY_METRIC
@EVERY_KIND
@pytest.mark.parametrize("count", [1, 2, 64, 65, 1_001])
def test_masks(type_: str, metric: Metric, count: int) -> None:
    """k rows come back whenever k are allowed, and those alone, at whatever effort."""
    random = np.random.default_rng(count)
    source = source_of(metric, indexes.clusters(count, 20, 3))
    queries = indexes.clusters(4, 20, 4)
    index = build(source, type_)
    for allowed in indexes.masks(count, random):
        for effort in (1, 30):
            k = min(10, int(allowed.sum()))
            found = index.search(queries, k, indexes.mask_of(allowed), Fixed(effort))
            indexes.check_allowed(found, source, queries, allowed)


@pytest.mark.parametrize(
    ("share", "walks", "floor"),
    [(0.9, True, 0.75), (0.5, True, 0.95), (0.2, True, 0.95), (0.1, False, 1.0), (0.01, False, 1.0)],
)
@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.MANHATTAN])
def test_recall_under_masks(metric: Metric, share: float, walks: bool, floor: float) -> None:
    """Many allowed rows are walked over, few are compared one by one."""
    source = source_of(metric, indexes.clusters(14_000, 64, 5))
    queries = indexes.clusters(40, 64, 6)
    index = large_index(metric)
    allowed = np.random.default_rng(7).random(14_000) < share
    mask = indexes.mask_of(allowed)
    assert index.walkable(mask, 18, 40) == walks
    found = index.search(queries, 10, mask, Fixed(10))
    indexes.check_allowed(found, source, queries, allowed)
    assert indexes.recall(found, source, queries, allowed) >= floor


@cache
def large_index(metric: Metric) -> Hnsw:
    source = source_of(metric, indexes.clusters(14_000, 64, 5))
    return build(source, "none", spec=HnswIndex(m=12, ef_construction=60))


def test_allowed_rows_that_lie_far_from_the_query() -> None:
    """The upper layers lead to where nothing is allowed."""
    source = source_of(Metric.COSINE, indexes.clusters(14_000, 64, 5))
    index = large_index(Metric.COSINE)
    for query in indexes.clusters(5, 64, 9)[:, None]:
        order = np.argsort(-(source.vectors @ query[0]) * source.inverse_norms)
        for first in (7_000, 13_900):
            allowed = np.zeros(14_000, np.bool_)
            allowed[order[first:]] = True
            mask = indexes.mask_of(allowed)
            assert index.walkable(mask, 18, 1) == (first == 7_000)
            indexes.check_allowed(index.search(query, 10, mask, Fixed(10)), source, query, allowed)
            found = index.search(query, 10, mask, Fixed(40))
            assert indexes.recall(found, source, query, allowed) >= 0.95


def test_many_queries_compare_more_rows_than_one() -> None:
    """In tiles of codes, which are cheaper; answers are the same."""
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(3_000, 64, 20))
    queries = indexes.clusters(40, 64, 21)
    index = build(source, "int8")
    allowed = np.random.default_rng(22).random(3_000) < 0.4
    mask = indexes.mask_of(allowed)
    assert not index.walkable(mask, 3, 40)
    assert index.walkable(mask, 2, 1)
    together = index.search(queries, 10, mask, Fixed(10))
    assert indexes.recall(together, source, queries, allowed) >= 0.99
    few = np.random.default_rng(23).random(3_000) < 0.05
    assert not index.walkable(indexes.mask_of(few), 10, 1)
    together = index.search(queries, 10, indexes.mask_of(few), Fixed(10))
    for number, query in enumerate(queries):
        alone = index.search(query[None], 10, indexes.mask_of(few), Fixed(10))
        assert alone.rows[0].tolist() == together.rows[number].tolist()


def test_allowed_rows_that_are_not_joined() -> None:
    """Where a walk can't reach as many rows as it should keep, all allowed rows are compared."""
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(3_000, 256, 10))
    rows, constants = WalkedRows.build(source, NoQuantisation(), indexes.work())
    loose = grow(rows, constants, HnswIndex(m=4, ef_construction=8), indexes.work())
    alone = replace(loose, starts=np.zeros_like(loose.starts), reach=1e9)
    index = Hnsw(source, rows, alone)
    allowed = np.random.default_rng(11).random(3_000) < 0.9
    queries = indexes.clusters(3, 256, 12)
    assert index.walkable(indexes.mask_of(allowed), 44, 3)
    for flags, mask in ((allowed, indexes.mask_of(allowed)), (np.ones(3_000, np.bool_), None)):
        found = index.search(queries, 10, mask, Fixed(40))
        indexes.check_allowed(found, source, queries, flags)
        assert indexes.recall(found, source, queries, flags) == 1.0


@EVERY_KIND
@pytest.mark.parametrize("copies", [2, 40, 1_500])
def test_equal_rows(type_: str, copies: int) -> None:
    """Rows that are there many times neither hide one another nor the rest."""
    distinct = indexes.clusters(3_000 // copies, 24, 13)
    source = source_of(Metric.EUCLIDEAN, np.repeat(distinct, copies, axis=0))
    queries = indexes.clusters(30, 24, 14)
    everyone = np.ones(len(source.vectors), np.bool_)
    index = build(source, type_)
    for k in (10, 60):
        found = index.search(queries, k, None, Fixed(160))
        indexes.check_allowed(found, source, queries, everyone)
        assert indexes.recall(found, source, queries, everyone) >= 0.95


@EVERY_KIND
def test_one_vector_many_times(type_: str) -> None:
    source = source_of(Metric.COSINE, np.full((2_000, 16), 0.5, np.float32))
    found = build(source, type_).search(source.vectors[:2], 200, None, Fixed(200))
    indexes.check_allowed(found, source, source.vectors[:2], np.ones(2_000, np.bool_))


@EVERY_METRIC
@EVERY_KIND
def test_a_reopened_index_gives_the_same_answers(type_: str, metric: Metric) -> None:
    source = source_of(metric, indexes.clusters(600, 70, 15))
    queries = indexes.clusters(20, 70, 16)
    index = build(source, type_)
    allowed = np.random.default_rng(17).random(600) < 0.5
    opened = indexes.reopened(index, source)
    for mask in (None, indexes.mask_of(allowed)):
        indexes.assert_same(
            index.search(queries, 10, mask, Fixed(30)), opened.search(queries, 10, mask, Fixed(30))
        )


@EVERY_KIND
@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("threads", [1, 2])
def test_hardly_any_rows(type_: str, count: int, threads: int) -> None:
    source = source_of(Metric.DOT, indexes.clusters(count, 5, 18))
    index = indexes.reopened(build(source, type_, threads), source)
    queries = indexes.clusters(2, 5, 19)
    assert index.search(queries, 0, None, Fixed(1)).rows.shape == (2, 0)
    for k in range(1, count + 1):
        found = index.search(queries, k, None, Fixed(1))
        indexes.check_allowed(found, source, queries, np.ones(count, np.bool_))


def test_no_queries() -> None:
    source = source_of(Metric.COSINE, indexes.clusters(100, 5, 18))
    assert build(source).search(np.empty((0, 5), np.float32), 3, None, Fixed(10)).rows.shape == (0, 3)


def test_one_thread_builds_the_same_graph_again() -> None:
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(3_000, 16, 20))
    first, second = build(source).arrays, build(source).arrays
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.tobytes() == second[name].tobytes()


def test_threads_build_as_good_a_graph() -> None:
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(6_000, 32, 21))
    queries = indexes.clusters(60, 32, 22)
    found = build(source, threads=4).search(queries, 10, None, Fixed(80))
    assert indexes.recall(found, source, queries, np.ones(6_000, np.bool_)) >= 0.95


@EVERY_KIND
def test_searches_from_threads(type_: str) -> None:
    index = build(source_of(Metric.COSINE, indexes.clusters(2_000, 64, 23)), type_)
    indexes.assert_threads_agree(index, indexes.clusters(16, 64, 24), 10, Fixed(50))


@EVERY_KIND
def test_a_stopped_build_is_cancelled(type_: str) -> None:
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(100, 3, 25))
    with pytest.raises(Cancelled):
        Hnsw.build(source, SPEC, QUANTISATIONS[type_], indexes.stopped_work())


def test_a_build_that_is_stopped_while_it_inserts() -> None:
    class SecondLook(threading.Event):
        """Set as soon as someone has looked twice."""

        looks = 0

        def is_set(self) -> bool:
            self.looks += 1
            return self.looks > 2

    stopped = SecondLook()
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(4_000, 3, 26))
    rows, constants = WalkedRows.build(source, ScalarQuantisation(), indexes.work())
    with pytest.raises(Cancelled):
        grow(rows, constants, SPEC, Work(indexes.work().allocate, stopped))
    assert stopped.looks <= 4


def test_a_graph_with_too_many_links_is_refused() -> None:
    count = 2**25
    rows = WalkedRows(
        Space(Metric.EUCLIDEAN, 4),
        None,
        np.broadcast_to(np.float32(0.0), (count, 16)),
        np.empty(0, np.int32),
    )
    with pytest.raises(InvalidArgument, match="smaller m"):
        grow(rows, np.empty(0, np.int32), HnswIndex(m=64), indexes.work())


def test_bytes_of_a_row() -> None:
    """Less than 0.35 of a graph that holds vectors, 32 links of four bytes, a label and a count."""
    source = source_of(Metric.EUCLIDEAN, indexes.clusters(70_000, 128, 27)[:, :128])
    index = build(source, spec=HnswIndex(m=16, ef_construction=16), threads=2)
    assert memory_bytes(index) / 70_000 < 0.35 * (4 * 128 + 4 * 33 + 8)
    assert build_bytes(70_000, 128, HnswIndex()) < 100 * 2**20


def test_both_forms_of_the_kernels_find_the_same(tmp_path: Path) -> None:
    """AVX-512 and plain loops: the same graph and rows on codes, to the last bit."""
    answers = []
    for form in ("", "portable"):
        path = tmp_path / f"rows{form}.npz"
        environment = {**os.environ, "HANAX_KERNELS": form}
        command = [sys.executable, "-m", "tests.unit.engine.index.hnsw_forms", str(path)]
        subprocess.run(command, check=True, env=environment, cwd=Path(__file__).parents[4])
        answers.append(dict(np.load(path)))
    assert answers[0].keys() == answers[1].keys()
    for name, array in answers[0].items():
        np.testing.assert_array_equal(array, answers[1][name], err_msg=name)
