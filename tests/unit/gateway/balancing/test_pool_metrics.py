"""Series come with their endpoint, count what happened, and go with it."""

from __future__ import annotations

import random
import time

from prometheus_client import CollectorRegistry, generate_latest

from hanax.core.errors import Unavailable
from hanax.core.model_routes import Breaker, ModelEndpoint
from hanax.gateway.balancing.options import PoolOptions
from hanax.gateway.balancing.pool import Pool
from hanax.gateway.balancing.pool_metrics import MAX_ENDPOINTS, PoolMetrics

OPTIONS = PoolOptions("round_robin", Breaker(failures=1), None, None, None, None, 8, 8)


def _pool(name: str, addresses: list[str]) -> Pool:
    pool = Pool(name, OPTIONS, time.monotonic, random.Random(1))
    pool.follow([ModelEndpoint(address=address) for address in addresses], OPTIONS)
    return pool


async def test_what_happened_is_counted_by_endpoint() -> None:
    registry = CollectorRegistry()
    metrics = PoolMetrics(registry)
    pool = _pool("m", ["good", "bad"])
    metrics.add(pool)

    async def attempt(address: str, timeout_s: float) -> None:
        if address == "bad":
            raise Unavailable("refused")

    for _ in range(10):
        await pool.run(attempt, time.monotonic() + 30.0)

    def value(name: str, endpoint: str) -> float | None:
        return registry.get_sample_value(f"vector_db_upstream_{name}", {"pool": "m", "endpoint": endpoint})

    assert (value("requests_total", "good"), value("requests_total", "bad")) == (10, 1)
    assert (value("failures_total", "good"), value("failures_total", "bad")) == (0, 1)
    assert value("retries_total", "good") == 1
    assert value("circuit_openings_total", "bad") == 1
    assert (value("up", "good"), value("up", "bad")) == (1, 0)
    assert value("inflight", "good") == 0
    assert registry.get_sample_value("vector_db_upstream_queue", {"pool": "m"}) == 0


def test_series_go_with_their_endpoint_and_their_pool() -> None:
    registry = CollectorRegistry()
    metrics = PoolMetrics(registry)
    one, other = _pool("one", ["a", "b"]), _pool("other", ["c"])
    metrics.add(one)
    metrics.add(other)
    one.follow([ModelEndpoint(address="b")], OPTIONS)
    metrics.remove(other)
    text = generate_latest(registry).decode()
    assert 'endpoint="b"' in text
    assert 'endpoint="a"' not in text
    assert 'pool="other"' not in text


def test_endpoints_past_the_cap_have_no_series() -> None:
    registry = CollectorRegistry()
    metrics = PoolMetrics(registry)
    metrics.add(_pool("many", [f"e{number}" for number in range(MAX_ENDPOINTS + 50)]))
    lines = generate_latest(registry).decode().splitlines()
    assert sum(line.startswith("vector_db_upstream_up{") for line in lines) == MAX_ENDPOINTS
