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
from tests.unit.gateway.balancing.clocks import Clock

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


async def test_a_latency_does_not_fade_while_nobody_asks() -> None:
    clock, registry = Clock(), CollectorRegistry()
    pool = Pool("m", OPTIONS, clock, random.Random(1))
    pool.follow([ModelEndpoint(address="a")], OPTIONS)
    PoolMetrics(registry, clock).add(pool)

    async def attempt(address: str, timeout_s: float) -> None:
        clock.advance(0.25)

    await pool.run(attempt, clock() + 30.0)
    clock.advance(3_600.0)
    labels = {"pool": "m", "endpoint": "a"}
    assert registry.get_sample_value("vector_db_upstream_latency_seconds", labels) == 0.25


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


async def test_addresses_are_told_without_the_keys_in_them() -> None:
    """Neither in metrics nor in the pool's status; those that look alike then have series of their own."""
    registry = CollectorRegistry()
    metrics = PoolMetrics(registry)
    addresses = [
        "https://user:TOPSECRET@host:8080/v1?api-key=TOPSECRET",
        "https://host:8080/TOPSECRET/v1",
        "10.0.0.1:9301",
    ]
    pool = _pool("m", addresses)
    metrics.add(pool)
    asked: list[str] = []

    async def attempt(address: str, timeout_s: float) -> None:
        asked.append(address)

    for _ in range(6):
        await pool.run(attempt, time.monotonic() + 30.0)
    # They are asked at what was declared.
    assert sorted(asked) == sorted(addresses * 2)
    told = generate_latest(registry).decode()
    shown = ["https://host:8080", "https://host:8080#2", "10.0.0.1:9301"]
    assert [state.address for state in pool.status()] == shown
    for address in shown:
        labels = {"pool": "m", "endpoint": address}
        assert registry.get_sample_value("vector_db_upstream_requests_total", labels) == 2
    assert "TOPSECRET" not in told + repr(pool.status())
