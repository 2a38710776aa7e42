"""Maximal marginal relevance: each choice is the best by the definition, computed anew at every step."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanax.core.distances import Metric, score_of
from hanax.gateway import diversity
from hanax.gateway.diversity import select_diverse
from hanax.gateway.hits import Hit
from hanax.gateway.records import Record
from hanax.gateway.vectors import Matrix


def _score(metric: Metric, a: Matrix, b: Matrix) -> float:
    left, right = a.astype(np.float64), b.astype(np.float64)
    product = float(left @ right)
    distances = {
        Metric.COSINE: 1.0 - product / float(np.linalg.norm(left) * np.linalg.norm(right)),
        Metric.DOT: -product,
        Metric.EUCLIDEAN: float(np.linalg.norm(left - right)),
        Metric.MANHATTAN: float(np.abs(left - right).sum()),
    }
    return score_of(metric, distances[metric])


@given(st.sampled_from(Metric), st.integers(0, 10_000), st.floats(0, 1), st.integers(1, 12))
def test_every_choice_is_the_best_that_is_left(metric: Metric, seed: int, share: float, limit: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(10, 4)).astype(np.float32)
    query = rng.normal(size=4).astype(np.float32)
    scores = np.array([_score(metric, query, vector) for vector in vectors])
    order = np.argsort(-scores)
    scores, vectors = scores[order], vectors[order]
    taken = list(select_diverse(metric, scores, vectors, limit, share))
    assert len(taken) == len(set(taken)) == min(limit, 10)
    for step, chosen in enumerate(taken):
        before = taken[:step]

        def worth(row: int, before: list[int] = before) -> float:
            alike = max((_score(metric, vectors[row], vectors[one]) for one in before), default=0.0)
            return (1 - share) * float(scores[row]) - share * alike

        best = max(worth(row) for row in range(10) if row not in before)
        assert worth(chosen) == pytest.approx(best, abs=1e-9)


def test_without_diversity_the_order_stays() -> None:
    vectors = np.eye(4, dtype=np.float32)
    taken = select_diverse(Metric.COSINE, np.array([0.9, 0.5, 0.5, 0.1]), vectors, 9, 0.0)
    assert list(taken) == [0, 1, 2, 3]


def test_a_copy_of_what_was_taken_comes_last() -> None:
    vectors = np.array([[1, 0], [1, 0], [0.8, 0.6]], np.float32)
    assert list(select_diverse(Metric.COSINE, np.array([1.0, 1.0, 0.8]), vectors, 3, 0.5)) == [0, 2, 1]


async def test_a_choice_that_nobody_waits_for_any_more_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made in a thread, which can't be cut short: else it goes on for all candidates."""
    began, ended = threading.Event(), threading.Event()

    def endless(*_: object) -> Iterator[int]:
        try:
            while True:
                began.set()
                yield 0
        finally:
            ended.set()

    monkeypatch.setattr(diversity, "select_diverse", endless)
    hit = Hit(1.0, Record("a", None, np.ones(2, np.float32), 0, 0, None, None))
    choosing = asyncio.create_task(diversity.diverse_hits([hit], Metric.DOT, 1, 0.5))
    assert await asyncio.to_thread(began.wait, 60)
    choosing.cancel()
    assert await asyncio.to_thread(ended.wait, 60)
