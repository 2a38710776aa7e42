"""Who takes the next request: shares by count, by weight, by load and by health."""

from __future__ import annotations

import random
from collections import Counter, deque

import pytest

from hanax.core.errors import Unavailable
from hanax.core.model_routes import Balancing, Breaker
from hanax.gateway.balancing.endpoints import Endpoint
from hanax.gateway.balancing.policies import POLICIES

NOW = 10.0


def _endpoints(*weights: float) -> list[Endpoint]:
    return [
        Endpoint(f"e{number}", weight, Breaker(failures=1_000_000)) for number, weight in enumerate(weights)
    ]


def _pick(policy: Balancing, found: list[Endpoint], number: int) -> Endpoint:
    return POLICIES[policy](found, random.Random(number), NOW)


def _shares(
    policy: Balancing, endpoints: list[Endpoint], requests: int, takes: dict[str, int]
) -> Counter[str]:
    """takes: turns that each endpoint's answer takes; 0: it is there before the next request."""
    counts: Counter[str] = Counter()
    running: deque[tuple[int, Endpoint, bool]] = deque()
    for number in range(requests):
        for ending in [item for item in running if item[0] <= number]:
            running.remove(ending)
            ending[1].succeed(ending[2], NOW - takes[ending[1].address], NOW)
        chosen = _pick(policy, endpoints, number)
        counts[chosen.address] += 1
        running.append((number + takes[chosen.address], chosen, chosen.begin(number + 1)))
    return counts


@pytest.mark.parametrize("policy", ["round_robin", "least_connections", "weighted"])
@pytest.mark.parametrize("takes", [0, 1, 8])
def test_equal_endpoints_get_equal_shares(policy: Balancing, takes: int) -> None:
    counts = _shares(policy, _endpoints(1, 1, 1), 3_000, dict.fromkeys(("e0", "e1", "e2"), takes))
    assert max(counts.values()) - min(counts.values()) <= 0.05 * 1_000


def test_weights_are_shares_and_the_heaviest_has_no_runs() -> None:
    endpoints = _endpoints(5, 1, 1)
    order = [_pick("weighted", endpoints, number).address for number in range(7)]
    # As nginx orders these weights.
    assert order == ["e0", "e0", "e1", "e0", "e2", "e0", "e0"]
    counts = _shares("weighted", _endpoints(2, 1, 0.5), 3_500, dict.fromkeys(("e0", "e1", "e2"), 0))
    assert counts == {"e0": 2_000, "e1": 1_000, "e2": 500}


def test_round_robin_stays_even_when_one_is_away_for_a_while() -> None:
    endpoints = _endpoints(1, 1, 1)
    counts: Counter[str] = Counter()
    for number in range(1, 901):
        found = endpoints[1:] if 300 < number <= 600 else endpoints
        chosen = _pick("round_robin", found, number)
        chosen.begin(number)
        counts[chosen.address] += 1
    # Back again it has a third, not all that it missed.
    assert abs(counts["e0"] - 200) <= 2
    assert abs(counts["e1"] - counts["e2"]) <= 2


def test_a_slow_endpoint_gets_less_by_load() -> None:
    counts = _shares("least_connections", _endpoints(1, 1, 1), 3_000, {"e0": 1, "e1": 1, "e2": 20})
    assert counts["e2"] < 0.7 * min(counts["e0"], counts["e1"])


def test_a_slow_endpoint_gets_less_by_health_and_one_that_fails_less_still() -> None:
    slow = _shares("health_based", _endpoints(1, 1, 1), 3_000, {"e0": 1, "e1": 1, "e2": 20})
    assert slow["e2"] < 0.5 * min(slow["e0"], slow["e1"])
    endpoints = _endpoints(1, 1, 1)
    for _ in range(30):
        endpoints[2].fail(Unavailable("gone"), endpoints[2].begin(0), NOW)
    failing = _shares("health_based", endpoints, 300, dict.fromkeys(("e0", "e1", "e2"), 1))
    assert failing["e2"] < 0.5 * min(failing["e0"], failing["e1"])


def test_one_that_was_never_asked_does_not_draw_everybody() -> None:
    """Health is known of the others only: it counts as quick as they are, and as busy as it is."""
    endpoints = _endpoints(1, 1)
    endpoints[0].succeed(endpoints[0].begin(1), NOW - 1.0, NOW)
    counts: Counter[str] = Counter()
    for number in range(40):
        chosen = _pick("health_based", endpoints, number)
        chosen.begin(number + 2)
        counts[chosen.address] += 1
    assert counts == {"e0": 20, "e1": 20}
