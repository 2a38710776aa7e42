"""Which of several endpoints takes the next request."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from hanax.core.model_routes import Balancing
from hanax.gateway.balancing.endpoints import Endpoint

Policy = Callable[[Sequence[Endpoint], random.Random, float], Endpoint]

# Below this, differences of latency are noise.
_LEAST_LATENCY_S: Final = 0.001
# However it fails, an endpoint that all others are slower than by this factor is still asked.
_WORST_ERRORS: Final = 0.95


def _round_robin(found: Sequence[Endpoint], rng: random.Random, now: float) -> Endpoint:
    """The one that waits longest. Where some are left out for a while, the others still alternate."""
    return min(found, key=_turn)


def _weighted(found: Sequence[Endpoint], rng: random.Random, now: float) -> Endpoint:
    """Smooth weighted round robin, as in nginx: shares by weight, and no runs of the heaviest."""
    total = 0.0
    best = found[0]
    for endpoint in found:
        total += endpoint.weight
        endpoint.current_weight += endpoint.weight
        if endpoint.current_weight > best.current_weight:
            best = endpoint
    best.current_weight -= total
    return best


def _least_connections(found: Sequence[Endpoint], rng: random.Random, now: float) -> Endpoint:
    """The power of two choices: of two at random the less busy, then the one that waits longer.

    Mitzenmacher, "The power of two choices in randomized load balancing". The least busy of all would
    draw every gateway to the same endpoint.
    """
    one, other = _two(found, rng)
    if one.inflight != other.inflight:
        return one if one.inflight < other.inflight else other
    return one if one.turn < other.turn else other


def _health_based(found: Sequence[Endpoint], rng: random.Random, now: float) -> Endpoint:
    """Of two at random the one where an answer will cost less time, failures included.

    One of which nothing is known, or nothing any more, is taken to be as quick as the other.
    """
    one, other = _two(found, rng)
    here_s, there_s = one.latency_s(now), other.latency_s(now)
    here = _cost(one, here_s or there_s)
    there = _cost(other, there_s or here_s)
    if here != there:
        return one if here < there else other
    return one if one.turn < other.turn else other


POLICIES: Final[dict[Balancing, Policy]] = {
    "round_robin": _round_robin,
    "least_connections": _least_connections,
    "weighted": _weighted,
    "health_based": _health_based,
}


def _turn(endpoint: Endpoint) -> int:
    return endpoint.turn


def _cost(endpoint: Endpoint, latency_s: float) -> float:
    return (
        max(latency_s, _LEAST_LATENCY_S)
        * (endpoint.inflight + 1)
        / (1.0 - min(endpoint.error_rate, _WORST_ERRORS))
    )


def _two(found: Sequence[Endpoint], rng: random.Random) -> tuple[Endpoint, Endpoint]:
    """Two different ones; `found` has at least two."""
    count = len(found)
    first = int(rng.random() * count)
    second = int(rng.random() * (count - 1))
    if second >= first:
        second += 1
    return found[first], found[second]
