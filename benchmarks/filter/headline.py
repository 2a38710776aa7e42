"""Few numbers out of many: ours against the best of those that answer well enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.filter.contestants import OURS
from benchmarks.index.curves import Point, qps_at

_LEAST_RECALL: Final = 0.95
# An approximate search that finds as much as ours is compared there; but not beyond, where ours may be exact.
_MOST_RECALL: Final = 0.99
_WIDE: Final = (0.5, 0.1)
_NARROW: Final = (0.01, 0.001)


def of_searches(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The worst over all cases. Without a peer there are no ratios."""
    own = [run for run in runs if run["contestant"] == OURS]
    if not own:
        return {}
    found = {
        "recall": min(effort["recall"] for run in own for effort in run["efforts"]),
        "short_answers": sum(effort["short_answers"] for run in own for effort in run["efforts"]),
    }
    for name, shares in (("wide", _WIDE), ("narrow", _NARROW)):
        ratios = [case["ratio"] for case in against_peers(runs) if case["share"] in shares]
        if ratios:
            found[f"p50_vs_best_peer_{name}"] = max(ratios)
    return found


def against_peers(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each case with peers: their p50 at equal recall, the best of them, and our p50 to it."""
    found = []
    for run in runs:
        if run["contestant"] != OURS or run["few"]:
            continue
        peers = [
            other
            for other in runs
            if other["contestant"] != OURS and (other["kind"], other["share"]) == (run["kind"], run["share"])
        ]
        if not peers:
            continue
        (own,) = run["efforts"]
        p50_us = {peer["contestant"]: p50_at(peer["efforts"], own["recall"]) for peer in peers}
        reached = {name: value for name, value in p50_us.items() if not math.isnan(value)}
        best = min(reached, key=lambda name: reached[name], default=None)
        # Ours has to find enough, too. A case that no peer answers well enough is won.
        ratio = math.inf if own["recall"] < _LEAST_RECALL or own["short_answers"] else 0.0
        if best is not None and ratio == 0.0:
            ratio = own["p50_us"] / reached[best]
        found.append(
            {
                "part": "ratio",
                "kind": run["kind"],
                "share": run["share"],
                "p50_us": own["p50_us"],
                "peers_p50_us": p50_us,
                "best_peer": best,
                "ratio": ratio,
            }
        )
    return found


def p50_at(efforts: Sequence[dict[str, Any]], recall: float) -> float:
    """At that recall, between two efforts as QPS are, but never at less than 0.95 nor more than 0.99.

    A contestant that does not get as far is taken at its best, from 0.95 on. NaN: it does not get there, or
    its answers are short.
    """
    points = [
        Point(str(effort["effort"]), effort["recall"], 1e6 / effort["p50_us"])
        for effort in efforts
        if not effort["short_answers"]
    ]
    best = max((point.recall for point in points), default=0.0)
    if best < _LEAST_RECALL:
        return math.nan
    return 1e6 / qps_at(points, min(max(recall, _LEAST_RECALL), _MOST_RECALL, best))
