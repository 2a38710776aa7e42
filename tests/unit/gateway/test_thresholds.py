"""Score thresholds: what a shard is asked to leave out, and what the gateway cuts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.distances import Metric, score_of
from hanax.core.ids import encode_id
from hanax.gateway.hits import Scale, best_hits
from hanax.gateway.wishes import distance_bound

distances = st.floats(-(2.0**20), 2.0**20, width=32)
metrics = st.sampled_from(Metric)


@given(metrics, distances, st.floats(-10, 10))
def test_a_bound_loses_no_point_that_scores_enough(metric: Metric, distance: float, threshold: float) -> None:
    assume(metric in (Metric.COSINE, Metric.DOT) or distance >= 0)
    bound = distance_bound(metric, threshold)
    if score_of(metric, distance) >= threshold:
        assert bound is None or distance <= bound


@given(metrics, distances)
def test_a_threshold_that_was_a_score_keeps_its_point(metric: Metric, distance: float) -> None:
    assume(metric in (Metric.COSINE, Metric.DOT) or distance >= 0)
    threshold = score_of(metric, distance)
    bound = distance_bound(metric, threshold)
    assert bound is None or distance <= bound
    assert len(_cut(metric, [distance], threshold)) == 1


def test_a_bound_is_one_step_wide() -> None:
    bound = distance_bound(Metric.COSINE, 0.5)
    assert bound == float(np.nextafter(np.float32(0.5), np.float32(1)))
    assert _cut(Metric.COSINE, [0.25, 0.5, bound], 0.5) == [0.75, 0.5]


@pytest.mark.parametrize(
    ("metric", "threshold", "bound"),
    [
        (Metric.COSINE, None, None),
        (Metric.EUCLIDEAN, 0.0, None),
        (Metric.MANHATTAN, -3.0, None),
        (Metric.DOT, -1e300, None),
        (Metric.DOT, 1e300, -float(np.finfo(np.float32).max)),
    ],
)
def test_a_threshold_that_all_or_none_can_reach(
    metric: Metric, threshold: float | None, bound: float | None
) -> None:
    assert distance_bound(metric, threshold) == bound


def _cut(metric: Metric, distances: list[float], threshold: float) -> list[float]:
    points = pb.Points(
        ids=[encode_id(number) for number in range(len(distances))],
        created_at_us=[0] * len(distances),
        updated_at_us=[0] * len(distances),
    )
    found = best_hits([pb.Hits(distances=distances, points=points)], 10, Scale(metric, threshold))
    return [hit.score for hit in found]
