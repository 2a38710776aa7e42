"""Scores: larger is better for every metric, and a least score finds its largest distance."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanax.core.distances import Metric, distance_for_score, score_of

# Where each metric's distances lie.
DISTANCES = {
    Metric.COSINE: st.floats(0.0, 2.0),
    Metric.DOT: st.floats(-1e6, 1e6),
    Metric.EUCLIDEAN: st.floats(0.0, 1e6),
    Metric.MANHATTAN: st.floats(0.0, 1e6),
}
metric_and_two_distances = st.sampled_from(Metric).flatmap(
    lambda metric: st.tuples(st.just(metric), DISTANCES[metric], DISTANCES[metric])
)


@pytest.mark.parametrize(
    ("metric", "distance", "score"),
    [
        (Metric.COSINE, 0.0, 1.0),
        (Metric.COSINE, 1.0, 0.0),
        (Metric.COSINE, 2.0, -1.0),
        (Metric.DOT, -12.5, 12.5),
        (Metric.DOT, 3.0, -3.0),
        (Metric.EUCLIDEAN, 0.0, 1.0),
        (Metric.EUCLIDEAN, 3.0, 0.25),
        (Metric.MANHATTAN, 1.0, 0.5),
    ],
)
def test_score(metric: Metric, distance: float, score: float) -> None:
    assert score_of(metric, distance) == score
    assert distance_for_score(metric, score) == distance


@pytest.mark.parametrize("metric", [Metric.EUCLIDEAN, Metric.MANHATTAN])
@pytest.mark.parametrize("score", [0.0, -0.0, -1.0])
def test_every_distance_has_a_score_above_zero(metric: Metric, score: float) -> None:
    assert distance_for_score(metric, score) == math.inf


@pytest.mark.parametrize("metric", [Metric.EUCLIDEAN, Metric.MANHATTAN])
def test_no_distance_has_a_score_above_one(metric: Metric) -> None:
    assert distance_for_score(metric, 1.5) < 0.0


@given(metric_and_two_distances)
def test_a_nearer_point_never_scores_less(drawn: tuple[Metric, float, float]) -> None:
    metric, one, other = drawn
    near, far = min(one, other), max(one, other)
    assert score_of(metric, near) >= score_of(metric, far)


@given(metric_and_two_distances)
def test_the_distance_of_a_score_is_where_it_came_from(drawn: tuple[Metric, float, float]) -> None:
    metric, distance, _ = drawn
    again = distance_for_score(metric, score_of(metric, distance))
    assert again == pytest.approx(distance, rel=1e-6, abs=1e-6)


def test_names_are_those_of_the_api() -> None:
    assert [metric.value for metric in Metric] == ["cosine", "dot", "euclidean", "manhattan"]
