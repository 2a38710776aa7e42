"""Which effort holds a recall: measured on one half of a sample, told by the other."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.errors import Cancelled
from hanax.core.index_specs import FlatIndex, HnswIndex, IvfIndex, LshIndex, SearchParameters
from hanax.engine.index.flat import Flat
from hanax.engine.index.protocol import Effort, Mask, Nearest, Source
from hanax.engine.index.tuning import Aim, FixedEffort, TunedEffort, fixed_effort, tune
from hanax.engine.schema import inverse_norms

NO_QUERIES = np.empty((0, 0), np.float32)


def source_of(rows: int, metric: Metric = Metric.COSINE, dimension: int = 6) -> Source:
    vectors = np.random.default_rng(3).standard_normal((rows, dimension), np.float32)
    norms = inverse_norms(vectors) if metric is Metric.COSINE else np.empty(0, np.float32)
    return Source(vectors, norms, metric)


class Forgetful:
    """Of the true answers it has the share that `kept(effort, k)` says, and farther rows for the others."""

    def __init__(self, source: Source, efforts: tuple[int, ...], kept: Callable[[int, int], float]) -> None:
        self._exact = Flat.load({}, {"quantisation": "none"}, source)
        self.efforts = efforts
        self._kept = kept
        self.arrays: dict[str, NDArray[Any]] = {}
        self.parameters: dict[str, Any] = {}
        self.queries = 0

    def search(self, queries: NDArray[np.float32], k: int, mask: Mask | None, effort: Effort) -> Nearest:
        self.queries += len(queries)
        gone = round(k * (1.0 - self._kept(effort.at(k), k)))
        found = self._exact.search(queries, k + gone, mask, effort)
        places = [*range(k - gone), *range(k, k + gone)]
        return Nearest(found.distances[:, places], found.rows[:, places])


def aim(target: float, fixed: int | None = None, live: NDArray[np.float32] = NO_QUERIES) -> Aim:
    return Aim(target, fixed, live)


def ladder(effort: int, k: int) -> float:
    """A tenth more with each step; answers of 100 need twice the effort."""
    return min(1.0, 0.1 * effort / (2 if k > 50 else 1))


@pytest.mark.parametrize("metric", list(Metric))
def test_the_lowest_effort_that_reaches_the_target(metric: Metric) -> None:
    source = source_of(4_000, metric)
    index = Forgetful(source, tuple(range(1, 31)), ladder)
    tuned = tune(index, source, aim(0.75), threading.Event())
    (ten, low), (hundred, high) = tuned.effort.points
    assert (ten, hundred) == (10, 100)
    assert low in {7, 8}
    assert high in {15, 16}
    assert 0.75 <= tuned.recall <= 0.9
    assert tune(index, source, aim(1.0), threading.Event()).effort.points[0][1] == 10


def test_a_target_out_of_reach_takes_the_most() -> None:
    source = source_of(3_000)
    index = Forgetful(source, (1, 5, 9), lambda effort, k: 0.5)
    tuned = tune(index, source, aim(0.9), threading.Event())
    assert tuned.effort.points == ((10, 9), (100, 9))
    assert tuned.recall == pytest.approx(0.5, abs=0.1)


def test_a_query_is_not_its_own_neighbour() -> None:
    """An index that finds each row itself and nothing else knows no neighbours."""
    source = source_of(1_000)

    class Mirror(Forgetful):
        def search(self, queries: NDArray[np.float32], k: int, mask: Mask | None, effort: Effort) -> Nearest:
            found = self._exact.search(queries, k, mask, effort)
            found.rows[:, 1:] = -1
            found.distances[:, 1:] = np.inf
            return found

    tuned = tune(Mirror(source, (1, 2), ladder), source, aim(0.5), threading.Event())
    assert tuned.recall == 0.0
    assert (
        tune(Forgetful(source, (1, 2), lambda e, k: 1.0), source, aim(1.0), threading.Event()).recall == 1.0
    )


def test_points_in_one_place_stand_for_each_other() -> None:
    vectors = np.repeat(np.random.default_rng(1).standard_normal((20, 4)), 100, axis=0).astype(np.float32)
    source = Source(vectors, np.empty(0, np.float32), Metric.EUCLIDEAN)
    index = Forgetful(source, (1, 2), lambda effort, k: 0.5)
    assert tune(index, source, aim(0.9), threading.Event()).recall == 1.0


def test_a_stated_effort_stands_and_is_measured() -> None:
    source = source_of(2_000)
    index = Forgetful(source, tuple(range(1, 11)), ladder)
    tuned = tune(index, source, aim(0.99, fixed=6), threading.Event())
    assert [tuned.effort.at(k) for k in (1, 10, 500)] == [6, 6, 6]
    assert tuned.recall == pytest.approx(0.6, abs=0.01)


def test_exact_indexes_and_too_few_rows_are_not_tuned() -> None:
    for index, source in (
        (Forgetful(source_of(500), (), ladder), source_of(500)),
        (Forgetful(source_of(1), (3, 7), ladder), source_of(1)),
    ):
        tuned = tune(index, source, aim(0.9), threading.Event())
        assert math.isnan(tuned.recall)
        assert tuned.effort.at(10) == max(index.efforts, default=0)
        assert index.queries == 0


@pytest.mark.parametrize("rows", [2, 3, 11, 60])
def test_small_segments_are_tuned_for_what_they_have(rows: int) -> None:
    source = source_of(rows)
    tuned = tune(Forgetful(source, (1, 2), lambda e, k: 1.0), source, aim(0.9), threading.Event())
    assert tuned.recall == 1.0
    assert tuned.effort.at(1) == 1


def test_queries_of_users_are_tuned_for() -> None:
    source = source_of(2_000, Metric.EUCLIDEAN)
    index = Forgetful(source, (1, 2, 3), lambda effort, k: 1.0)
    seen: list[NDArray[np.float32]] = []
    search = index.search

    def watched(queries: NDArray[np.float32], *rest: Any) -> Nearest:
        seen.append(queries)
        return search(queries, *rest)

    index.search = watched  # type: ignore[assignment, method-assign]
    live = np.random.default_rng(8).standard_normal((130, 6)).astype(np.float32)
    tuned = tune(index, source, aim(0.95, live=live), threading.Event())
    assert tuned.recall == 1.0
    asked = {row.tobytes() for rows in seen for row in rows}
    assert asked == {row.tobytes() for row in live}


def test_a_sample_costs_little() -> None:
    source = source_of(5_000)
    index = Forgetful(source, tuple(range(1, 1_025)), ladder)
    tune(index, source, aim(0.95), threading.Event())
    # Two lengths, ten halvings each; the second half of the sample for both, and at last.
    assert index.queries <= 256 * (2 * 10 + 3)


def test_the_second_half_of_the_sample_has_a_say() -> None:
    """Rare queries that find nothing may all be in it."""
    source = source_of(3_000, Metric.EUCLIDEAN)
    half = np.random.default_rng(5).choice(3_000, 512, replace=False)[256:]
    hard = {source.vectors[row].tobytes() for row in half}

    class Uneven(Forgetful):
        def search(self, queries: NDArray[np.float32], k: int, mask: Mask | None, effort: Effort) -> Nearest:
            found = self._exact.search(queries, k, mask, effort)
            if effort.at(k) < 5:
                for number, query in enumerate(queries):
                    if query.tobytes() in hard:
                        found.rows[number] = -1
            return found

    tuned = tune(Uneven(source, tuple(range(1, 9)), ladder), source, aim(0.9), threading.Event())
    assert tuned.effort.points == ((10, 5), (100, 5))
    assert tuned.recall == 1.0


def test_closing_ends_it() -> None:
    stopped = threading.Event()
    stopped.set()
    source = source_of(1_000)
    with pytest.raises(Cancelled):
        tune(Forgetful(source, (1, 2), ladder), source, aim(0.9), stopped)


@pytest.mark.parametrize(
    ("points", "k", "effort"),
    [
        ((), 10, 900),
        (((10, 40),), 1, 40),
        (((10, 40),), 10, 40),
        # Beyond one point in proportion, up to the most.
        (((10, 40),), 20, 80),
        (((10, 40),), 1_000, 900),
        # Between two, over the logarithm of k.
        (((10, 40), (100, 80)), 10.5, 41),
        (((10, 40), (100, 80)), 31.7, 61),
        (((10, 40), (100, 80)), 100, 80),
        # Beyond them as between them, but no slower than the root.
        (((10, 40), (100, 80)), 400, 160),
        (((10, 4), (100, 400)), 200, 800),
        (((10, 40), (100, 40)), 100, 40),
    ],
)
def test_efforts_between_and_beyond_what_was_measured(
    points: tuple[tuple[int, int], ...], k: float, effort: int
) -> None:
    assert TunedEffort(points, 900).at(k) == effort


def test_effort_never_falls_with_k() -> None:
    effort = TunedEffort(((10, 7), (100, 30)), 500)
    efforts = [effort.at(k) for k in np.geomspace(1, 1e5, 200)]
    assert efforts == sorted(efforts)
    assert efforts[-1] == 500


def test_each_type_has_an_effort_of_its_own() -> None:
    asked = SearchParameters(ef_search=1, nprobe=2, probes=3)
    assert [fixed_effort(asked, type_) for type_ in ("hnsw", "ivf", "lsh", "flat")] == [1, 2, 3, None]
    assert fixed_effort(IvfIndex(nprobe=9), "ivf") == 9
    assert fixed_effort(HnswIndex(ef_search=8), "hnsw") == 8
    assert fixed_effort(LshIndex(probes=7), "lsh") == 7
    assert fixed_effort(IvfIndex(nprobe=9), "hnsw") is None
    assert fixed_effort(FlatIndex(), "flat") is None
    assert FixedEffort(5).at(1e9) == 5
