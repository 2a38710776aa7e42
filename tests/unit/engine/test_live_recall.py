"""The recall of queries that users ask: sampled at a bounded rate, and acted upon when it is low."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hanax.core.distances import Metric
from hanax.core.filter_parsing import parse_filter
from hanax.core.index_specs import BinaryQuantisation, FlatIndex, Indexing, SearchParameters
from hanax.engine.index.tuning import TunedEffort
from hanax.engine.query.searching import find
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.shard import Schema, live_recall
from hanax.engine.shard.live_recall import LiveRecall
from tests.unit.engine.indexed import DIMENSION, IndexedRig, options, vectors_of
from tests.unit.engine.rigs import Rig, wait_until

ROUGH = Indexing(index=FlatIndex(), quantisation=BinaryQuantisation(), target_recall=0.9)


class Clock:
    """Seconds that go on when they are told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def sampler(rig: Rig) -> tuple[LiveRecall, Clock]:
    """One of its own, told the time by the test."""
    clock = Clock()
    return LiveRecall(rig.schema, rig.shard._plans, clock), clock


def segment_of(rig: Rig) -> SealedSegment:
    segment = rig.shard._state.current.segments[0].segment
    assert isinstance(segment, SealedSegment)
    return segment


def weaken(rig: Rig) -> None:
    """Have the segment try less hard than its target asks."""
    segment = segment_of(rig)
    index = segment.indexes["default"]
    tuned = index.tuned._replace(effort=TunedEffort(((10, 11),), 4_096))
    segment.indexes = {"default": replace(index, tuned=tuned)}


def test_one_query_a_second_is_taken_and_few_are_kept(folder: Path) -> None:
    with Rig(folder, Schema.single(DIMENSION, Metric.EUCLIDEAN), options(ROUGH)) as rig:
        live, clock = sampler(rig)
        queries = vectors_of(3)
        assert live.offer("default", queries, 10)
        assert not live.offer("default", queries, 10)
        clock.now_s += 0.9
        assert not live.offer("default", queries, 10)
        clock.now_s += 0.2
        assert live.offer("default", queries, 10)
        for _ in range(100):
            clock.now_s += 2
            live.offer("default", queries, 10)
        assert len(live._waiting) == 8
        assert math.isnan(live.recall)
        assert live.samples == 0


def test_nothing_is_measured_where_every_answer_is_exact(folder: Path) -> None:
    with IndexedRig(folder, options(Indexing())) as rig:
        rig.fill()
        rig.shard.seal()
        live, _ = sampler(rig)
        assert live.offer("default", vectors_of(1), 10)
        assert not live.compare(rig.shard._state.current)
        assert live.samples == 0


def test_the_recall_is_that_of_the_answers(folder: Path) -> None:
    with IndexedRig(folder, options(ROUGH)) as rig:
        rig.fill()
        rig.shard.compact()
        # A second segment and rows in memory: both are in the answers.
        rig.fill(first=10_000, count=400)
        rig.shard.seal()
        rig.fill(first=20_000, count=50)
        weaken(rig)
        live, clock = sampler(rig)
        shares = []
        for query in vectors_of(40, seed=4)[:, None]:
            clock.now_s += 60
            assert live.offer("default", query, 10)
            live.compare(rig.shard._state.current)
            exact, found = (
                rig.shard.search(query, 10, parameters=SearchParameters(exact=flag))[0].points.ids
                for flag in (True, False)
            )
            shares.append(len(set(exact) & set(found)) / 10)
        assert live.samples == 40
        assert live.recall == pytest.approx(np.mean(shares))
        assert live.recall < 0.95


def test_a_comparison_that_takes_long_is_followed_by_a_long_pause(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with IndexedRig(folder, options(ROUGH)) as rig:
        rig.fill()
        rig.shard.compact()
        live, clock = sampler(rig)

        def slow(*args: Any) -> Any:
            clock.now_s += 1.0
            return find(*args)

        monkeypatch.setattr(live_recall, "find", slow)
        assert live.offer("default", vectors_of(1), 10)
        live.compare(rig.shard._state.current)
        clock.now_s += 99
        assert not live.offer("default", vectors_of(1), 10)
        clock.now_s += 2
        assert live.offer("default", vectors_of(1), 10)


def ask(rig: Rig, live: LiveRecall, clock: Clock, queries: NDArray[np.float32]) -> int:
    """How many of them had efforts measured anew."""
    tuned = 0
    for query in queries[:, None]:
        clock.now_s += 60
        assert live.offer("default", query, 10)
        tuned += live.compare(rig.shard._state.current)
    return tuned


def test_efforts_follow_what_users_ask(folder: Path) -> None:
    """When what was promised is clearly missed, they are measured anew with live queries; then it holds."""
    with IndexedRig(folder, options(ROUGH)) as rig:
        rig.fill()
        rig.shard.compact()
        live, clock = sampler(rig)
        assert ask(rig, live, clock, vectors_of(150, seed=5)) == 0, "all is well"
        assert live.recall >= 0.88
        weaken(rig)
        live, clock = sampler(rig)
        assert ask(rig, live, clock, vectors_of(128, seed=6)) == 1
        rig.shard._upkeep.reindex()
        rig.wait()
        (stats,) = rig.indexes()
        assert stats.effort > 11
        assert ask(rig, live, clock, vectors_of(100, seed=7)) == 0
        assert live.recall >= 0.85


def test_searches_are_sampled_in_passing(folder: Path) -> None:
    """Not those with a filter or an effort of their own: they say nothing of the tuned one."""
    with IndexedRig(folder, options(ROUGH)) as rig:
        rig.fill()
        rig.shard.compact()
        everything = parse_filter([{"field": "x", "operator": "ne", "value": 1}])
        rig.shard.search(vectors_of(1), 10, parameters=SearchParameters(exact=True))
        rig.shard.search(vectors_of(1), 10, expression=everything)
        assert not rig.shard._live._waiting
        rig.shard.search(vectors_of(1), 10)
        wait_until("it was compared", lambda: rig.shard.stats().live_recall_samples == 1)
        assert 0.0 <= rig.shard.stats().live_recall <= 1.0
