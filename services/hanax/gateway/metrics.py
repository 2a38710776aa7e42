"""What the gateway counts. Every label value comes from a fixed set, or from the routing table."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram

from hanax.core.routing import RoutingTable
from hanax.runtime.service_metrics import MAX_COLLECTIONS, SECONDS, OperationMetrics, RequestMetrics

_SERVICE: Final = "gateway"


class Metrics:
    """A registry of its own, so that several gateways in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._collections: frozenset[str] = frozenset()
        self._resolve = RoutingTable().resolve
        self._requests = RequestMetrics(_SERVICE, self.registry)
        self._operations = OperationMetrics(_SERVICE, self.registry)
        self._connections = Gauge(
            "vector_db_active_connections",
            "Open client connections",
            ("service",),
            registry=self.registry,
        )
        self._embeddings = Histogram(
            "vector_db_embedding_duration_seconds",
            "Embedding the texts of one request, as the gateway waits for it",
            ("model",),
            buckets=SECONDS,
            registry=self.registry,
        )

    def follow(self, table: RoutingTable) -> None:
        """The first MAX_COLLECTIONS of this table may be labels; the series of others are dropped."""
        known = frozenset(sorted(table.collection_by_name)[:MAX_COLLECTIONS])
        for name in self._collections - known:
            self._operations.drop(name)
        self._collections = known
        self._resolve = table.resolve

    def count_connections(self, connections: Callable[[], int]) -> None:
        """Ask `connections` at every scrape."""
        self._connections.labels(_SERVICE).set_function(connections)

    def answered(self, method: str, status: int, seconds: float) -> None:
        """method: the HTTP method and the route's pattern."""
        self._requests.answered(method, str(status), seconds)

    def embedded(self, model: str, seconds: float) -> None:
        self._embeddings.labels(model).observe(seconds)

    def operation(self, name: str, collection: str | None) -> AbstractContextManager[None]:
        """Count what runs inside, by how it ends."""
        return self._operations.counting(name, lambda: self._label(collection))

    def _label(self, collection: str | None) -> str:
        """An alias counts as its collection."""
        name = "" if collection is None else self._resolve(collection)
        return name if name in self._collections else ""
