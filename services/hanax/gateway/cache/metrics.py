"""What the cache counts. Operations are a fixed set."""

from __future__ import annotations

from collections import Counter as Tally
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# A look-up in memory to one that is given up.
_SECONDS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05)

EMBEDDINGS: Final = "embeddings"


class CacheMetrics:
    """hits and misses are also told by /cache/stats, as counts since this process started."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.hits: Tally[str] = Tally()
        self.misses: Tally[str] = Tally()
        self._hits = Counter(
            "vector_db_cache_hits_total", "Answers that were kept", ("operation",), registry=registry
        )
        self._misses = Counter(
            "vector_db_cache_misses_total", "Answers that were not there", ("operation",), registry=registry
        )
        self._passed = Counter(
            "vector_db_cache_passed_total",
            "Requests that neither read nor kept; reason: the client asked so, or the cache was away",
            ("operation", "reason"),
            registry=registry,
        )
        self._shared = Counter(
            "vector_db_cache_shared_total",
            "Misses that got the answer of an equal request at the same time",
            ("operation",),
            registry=registry,
        )
        self._durations = Histogram(
            "vector_db_cache_lookup_duration_seconds",
            "Looking for a kept answer",
            ("operation",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "vector_db_cache_store_failures_total",
            "Times that the store went away",
            ("reason",),
            registry=registry,
        )
        self._dropped = Counter(
            "vector_db_cache_dropped_total", "Answers that came too fast to be kept", registry=registry
        )
        self._up = Gauge("vector_db_cache_up", "1: the store answers", registry=registry)
        self._up.set(1)

    def looked(self, operation: str, seconds: float) -> None:
        self._durations.labels(operation).observe(seconds)

    def found(self, operation: str, hits: int, misses: int) -> None:
        if hits:
            self.hits[operation] += hits
            self._hits.labels(operation).inc(hits)
        if misses:
            self.misses[operation] += misses
            self._misses.labels(operation).inc(misses)

    def passed(self, operation: str, reason: str) -> None:
        self._passed.labels(operation, reason).inc()

    def shared(self, operation: str) -> None:
        self._shared.labels(operation).inc()

    def went_away(self, reason: str) -> None:
        """reason: slow, refused or gone."""
        self._failures.labels(reason).inc()
        self._up.set(0)

    def came_back(self) -> None:
        self._up.set(1)

    def dropped(self) -> None:
        self._dropped.inc()
