"""Speed at a given recall, from what was measured at a few efforts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Point(NamedTuple):
    """One effort: recall@10 and queries per second."""

    effort: str
    recall: float
    qps: float


def front(points: Sequence[Point]) -> list[Point]:
    """Those that no other beats in both, ascending by recall."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.recall, point.qps), reverse=True):
        if not kept or point.qps > kept[-1].qps:
            kept.append(point)
    return kept[::-1]


def qps_at(points: Sequence[Point], recall: float) -> float:
    """Queries per second at that recall: between two efforts log QPS is linear in recall. NaN: not reached.

    An index whose least effort finds more is as fast as that.
    """
    best = front(points)
    if not best or best[-1].recall < recall:
        return math.nan
    if best[0].recall >= recall:
        return best[0].qps
    for low, high in pairwise(best):
        if high.recall >= recall:
            share = (recall - low.recall) / (high.recall - low.recall)
            return math.exp((1 - share) * math.log(low.qps) + share * math.log(high.qps))
    raise AssertionError("the front ascends")
