"""The scan kernel against numpy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.engine.index import cores, flat
from hanax.engine.index.flat import search_exact
from hanax.engine.index.protocol import Nearest
from hanax.engine.schema import inverse_norms
from hanax.engine.segment.masks import words_of
from tests.unit.engine import reference

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

ROWS = [0, 1, 3, 4, 5, 63, 64, 65, 200]
DIMENSIONS = [1, 3, 4, 7, 16, 33]


def floats(rows: list[list[float]]) -> Floats:
    return np.array(rows, np.float32)


class Block(NamedTuple):
    base: int
    vectors: Floats
    inverse_norms: Floats


def block_of(metric: Metric, vectors: Floats, base: int = 0) -> Block:
    norms = inverse_norms(vectors) if metric is Metric.COSINE else np.empty(0, np.float32)
    return Block(base, vectors, norms)


def check(found: Nearest, metric: Metric, queries: Floats, vectors: Floats, allowed: Flags) -> None:
    """Compare every query's answer with numpy's; places that nothing was found for are inf and -1."""
    limit = found.rows.shape[1]
    size = min(limit, int(allowed.sum()))
    assert found.distances.shape == found.rows.shape == (len(queries), limit)
    assert (found.rows[:, size:] == -1).all()
    assert np.isposinf(found.distances[:, size:]).all()
    for query, distances, rows in zip(queries, found.distances, found.rows, strict=True):
        exact = reference.distances(metric, query, vectors)
        expected = {row: float(exact[row]) for row in np.flatnonzero(allowed).tolist()}
        pairs = list(zip(rows[:size].tolist(), distances[:size].tolist(), strict=True))
        reference.assert_nearest(pairs, expected, limit, reference.tolerance(metric, query, vectors))


def masks(count: int, random: np.random.Generator) -> Iterator[Flags]:
    """Dense, sparse, single rows at the edges of words, and none."""
    for share in (0.95, 0.5, 0.05):
        yield random.random(count) < share
    for row in {0, 62, 63, 64, count - 1} & set(range(count)):
        yield np.arange(count) == row
    yield np.zeros(count, np.bool_)
    yield np.ones(count, np.bool_)


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("count", ROWS)
def test_every_row_count_and_dimension(metric: Metric, dimension: int, count: int) -> None:
    random = np.random.default_rng(count * 100 + dimension)
    vectors = random.standard_normal((count, dimension), np.float32)
    queries = random.standard_normal((6, dimension), np.float32)
    for limit in (1, 2, 10, count + 5):
        found = search_exact([block_of(metric, vectors)], metric, queries, limit, None)
        check(found, metric, queries, vectors, np.ones(count, np.bool_))


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("count", ROWS)
def test_masks(metric: Metric, count: int) -> None:
    random = np.random.default_rng(count)
    vectors = random.standard_normal((count, 5), np.float32)
    queries = random.standard_normal((2, 5), np.float32)
    for allowed in masks(count, random):
        found = search_exact([block_of(metric, vectors)], metric, queries, 7, words_of(allowed))
        check(found, metric, queries, vectors, allowed)


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize("cuts", [(64,), (64, 128), (128, 192), (192,)])
def test_blocks_share_one_pool(metric: Metric, cuts: tuple[int, ...]) -> None:
    """Nearest rows of earlier blocks stay when later blocks are scanned, and rows count over all."""
    random = np.random.default_rng(5)
    vectors = random.standard_normal((230, 6), np.float32)
    queries = random.standard_normal((4, 6), np.float32)
    edges = [0, *cuts, 230]
    blocks = [block_of(metric, vectors[first:last], first) for first, last in itertools.pairwise(edges)]
    for allowed in masks(230, random):
        for limit in (1, 20, 300):
            found = search_exact(blocks, metric, queries, limit, words_of(allowed))
            check(found, metric, queries, vectors, allowed)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_shares_of_several_cores_are_joined(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat, "CORES", cores.Cores(count))
    monkeypatch.setattr(flat, "_SHARE_BYTES", 1_024)
    random = np.random.default_rng(6)
    vectors = random.standard_normal((1_000, 6), np.float32)
    queries = random.standard_normal((4, 6), np.float32)
    blocks = [block_of(Metric.COSINE, vectors[:640]), block_of(Metric.COSINE, vectors[640:], 640)]
    for allowed in masks(1_000, random):
        found = search_exact(blocks, Metric.COSINE, queries, 50, words_of(allowed))
        check(found, Metric.COSINE, queries, vectors, allowed)


@pytest.mark.parametrize("metric", Metric)
def test_a_query_has_the_same_distances_alone_and_in_a_batch(metric: Metric) -> None:
    random = np.random.default_rng(8)
    vectors = random.standard_normal((130, 37), np.float32)
    queries = random.standard_normal((7, 37), np.float32)
    together = search_exact([block_of(metric, vectors)], metric, queries, 9, None)
    for number in range(7):
        alone = search_exact([block_of(metric, vectors)], metric, queries[number : number + 1], 9, None)
        assert alone.rows.tolist() == together.rows[number : number + 1].tolist()
        assert alone.distances.tolist() == together.distances[number : number + 1].tolist()


def test_ties_come_by_row() -> None:
    vectors = np.repeat(floats([[1, 0], [0, 1]]), 80, axis=0)
    found = search_exact(
        [block_of(Metric.DOT, vectors)], Metric.DOT, floats([[0, 1]]), 100, words_of(np.ones(160, bool))
    )
    assert found.rows.tolist() == [[*range(80, 160), *range(20)]]


def test_pools_of_exactly_the_limit() -> None:
    """As many rows as places: the bound becomes valid with the very last row."""
    vectors = np.arange(65, 0, -1, dtype=np.float32)[:, None]
    for limit in (64, 65, 66):
        found = search_exact(
            [block_of(Metric.EUCLIDEAN, vectors)], Metric.EUCLIDEAN, floats([[0]]), limit, None
        )
        assert found.rows[0, :65].tolist() == list(range(64, -1, -1))[:limit]


def test_memory_maps_are_scanned_as_they_are(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("map") / "vectors"
    vectors = np.random.default_rng(1).standard_normal((100, 8), np.float32)
    vectors.tofile(path)
    mapped = np.asarray(np.memmap(path, np.float32, "r", shape=(100, 8)))
    query = vectors[3]
    found = search_exact([block_of(Metric.EUCLIDEAN, mapped)], Metric.EUCLIDEAN, query[None], 1, None)
    assert found.rows.tolist() == [[3]]
    assert found.distances.tolist() == [[0.0]]


@pytest.mark.parametrize("metric", [Metric.COSINE, Metric.EUCLIDEAN, Metric.MANHATTAN])
def test_a_vector_is_next_to_itself_whatever_its_length(metric: Metric) -> None:
    """The longest and shortest vectors that are let in don't overflow or vanish."""
    for length in (1e17, 1.0, 1e-17):
        vectors = floats([[length, 0, 0], [0, length, 0], [-length, 0, 0]])
        found = search_exact([block_of(metric, vectors)], metric, vectors[1:2], 3, None)
        assert found.rows[0, 0] == 1
        assert found.distances[0, 0] == pytest.approx(0.0, abs=1e-6)
        assert np.isfinite(found.distances).all()


def test_a_core_is_given_back_by_a_scan_that_fails() -> None:
    shared = cores.Cores(2)

    def fail() -> int:
        raise MemoryError

    for _ in range(5):
        for tasks in ([fail], [lambda: 1, fail], [fail, lambda: 1]):
            with pytest.raises(MemoryError):
                shared.run(tasks)
    assert shared.run([lambda: 1, lambda: 2, lambda: 3]) == [1, 2, 3]
