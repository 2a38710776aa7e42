"""What the runs come to: medians over the rounds of ratios within a round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.protocols.rounds import CONNECTIONS

Run = Mapping[str, Any]


def headline_of(runs: Sequence[Run]) -> dict[str, float]:
    """rest_vs_chroma is of the number of connections at which it is least."""
    searches = [run for run in runs if run["part"] == "searches"]
    by_part = {run["part"]: run for run in runs}
    failed = sum(run["failed"] for run in searches)
    return {
        "rest_vs_chroma": min(_ratio(searches, "per_s", connections) for connections in CONNECTIONS[1:]),
        "rest_p50_vs_chroma": _ratio(searches, "p50_ms", CONNECTIONS[0]),
        "rest_p50_ms_c1": _median(searches, "rest", "p50_ms"),
        "grpc_p50_ms_c1": _median(searches, "grpc", "p50_ms"),
        "connections_errors": by_part["connections"]["errors"] + failed,
        "sdk_overhead_ms": by_part["sdk"]["overhead_ms"],
    }


def _ratio(searches: Sequence[Run], value: str, connections: int) -> float:
    """Ours over REST to chroma's."""
    ours, theirs = (_by_round(searches, name, value, connections) for name in ("rest", "chroma"))
    return statistics.median(ours[number] / theirs[number] for number in ours)


def _median(searches: Sequence[Run], protocol: str, value: str) -> float:
    return statistics.median(_by_round(searches, protocol, value, CONNECTIONS[0]).values())


def _by_round(searches: Sequence[Run], protocol: str, value: str, connections: int) -> dict[int, float]:
    return {
        run["round"]: run[value]
        for run in searches
        if run["protocol"] == protocol and run["connections"] == connections
    }
