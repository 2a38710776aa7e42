"""What pools count, read from them at each scrape: a request pays nothing for it.

Series go with their endpoint, and with their pool.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hanax.gateway.balancing.endpoints import Endpoint
from hanax.gateway.balancing.pool import Pool

# Endpoints with series of their own in one gateway; the others have none.
MAX_ENDPOINTS: Final = 1_000

_BY_ENDPOINT: Final = ("pool", "endpoint")
_COUNTERS: Final[tuple[tuple[str, str, Callable[[Endpoint], int]], ...]] = (
    ("requests", "Attempts sent to an endpoint", lambda endpoint: endpoint.requests),
    ("failures", "Attempts that an endpoint failed", lambda endpoint: endpoint.failures),
    ("retries", "Attempts that were not a request's first", lambda endpoint: endpoint.retries),
    ("hedges", "Attempts beside another that took long", lambda endpoint: endpoint.hedges),
    ("ejections", "Times an endpoint was ejected", lambda endpoint: endpoint.ejections),
    ("circuit_openings", "Times its circuit opened", lambda endpoint: endpoint.circuit.opened),
)


class PoolMetrics(Collector):
    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: the pools'."""
        self._clock = clock
        self._pools: dict[str, Pool] = {}
        registry.register(self)

    def add(self, pool: Pool) -> None:
        """Its name is the label: no two pools may have the same."""
        self._pools[pool.name] = pool

    def remove(self, pool: Pool) -> None:
        self._pools.pop(pool.name, None)

    def collect(self) -> Iterable[Metric]:
        """Called by the registry, in any thread."""
        pools = list(self._pools.values())
        shown = [(pool.name, endpoint) for pool in pools for endpoint in pool.endpoints][:MAX_ENDPOINTS]
        now = self._clock()
        for name, text, count in _COUNTERS:
            counter = CounterMetricFamily(f"vector_db_upstream_{name}", text, labels=_BY_ENDPOINT)
            for pool_name, endpoint in shown:
                counter.add_metric((pool_name, endpoint.shown), count(endpoint))
            yield counter
        inflight = GaugeMetricFamily(
            "vector_db_upstream_inflight", "Attempts under way to an endpoint", labels=_BY_ENDPOINT
        )
        latency = GaugeMetricFamily(
            "vector_db_upstream_latency_seconds",
            "Peak EWMA of an endpoint's answers, as of the last one",
            labels=_BY_ENDPOINT,
        )
        up = GaugeMetricFamily(
            "vector_db_upstream_up",
            "1: nothing is known against the endpoint; 0: its circuit is open, it is ejected, or it rests",
            labels=_BY_ENDPOINT,
        )
        for pool_name, endpoint in shown:
            labels = (pool_name, endpoint.shown)
            inflight.add_metric(labels, endpoint.inflight)
            latency.add_metric(labels, endpoint.last_latency_s)
            up.add_metric(labels, float(endpoint.well(now)))
        yield from (inflight, latency, up)
        queue = GaugeMetricFamily(
            "vector_db_upstream_queue", "Requests that wait for their turn", labels=("pool",)
        )
        refused = CounterMetricFamily(
            "vector_db_upstream_refused", "Requests that the pool had no place for", labels=("pool",)
        )
        for pool in pools:
            queue.add_metric((pool.name,), pool.turns.waiting)
            refused.add_metric((pool.name,), pool.turns.refused)
        yield from (queue, refused)
