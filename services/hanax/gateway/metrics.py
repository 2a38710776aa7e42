"""What the gateway counts. Every label value comes from a fixed set, or from the routing table."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hanax.core.routing import RoutingTable
from hanax.gateway.balancing.pool_metrics import PoolMetrics
from hanax.runtime.service_metrics import MAX_COLLECTIONS, SECONDS, OperationMetrics, RequestMetrics

_SERVICE: Final = "gateway"


class Metrics:
    """A registry of its own, so that several gateways in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.pools = PoolMetrics(self.registry)
        self._collections: frozenset[str] = frozenset()
        self._models: frozenset[str] = frozenset()
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

        self._texts = Counter(
            "vector_db_embedded_texts_total",
            "Texts whose vectors were answered; source is model or cache",
            ("model", "source"),
            registry=self.registry,
        )

    def follow(self, table: RoutingTable) -> None:
        """The first MAX_COLLECTIONS of this table may be labels; the series of others are dropped."""
        known = frozenset(sorted(table.collection_by_name)[:MAX_COLLECTIONS])
        for name in self._collections - known:
            self._operations.drop(name)
        self._collections = known
        models = frozenset(table.model_by_name)
        for model in self._models - models:
            self._embeddings.remove_by_labels({"model": model})
            self._texts.remove_by_labels({"model": model})
        self._models = models
        self._resolve = table.resolve

    def count_connections(self, connections: Callable[[], int]) -> None:
        """Ask `connections` at every scrape."""
        self._connections.labels(_SERVICE).set_function(connections)

    def answered(self, method: str, status: int, seconds: float) -> None:
        """method: the HTTP method and the route's pattern."""
        self._requests.answered(method, str(status), seconds)

    def embedded(self, model: str, seconds: float, embedded: int, kept: int) -> None:
        """embedded, kept: texts that the model was given for this request, and that it was not."""
        self._embeddings.labels(model).observe(seconds)
        for source, texts in (("model", embedded), ("cache", kept)):
            self._texts.labels(model, source).inc(texts)

    def operation(self, name: str, collection: str | None) -> AbstractContextManager[None]:
        """Count what runs inside, by how it ends."""
        return self._operations.counting(name, lambda: self._label(collection))

    def _label(self, collection: str | None) -> str:
        """An alias counts as its collection."""
        name = "" if collection is None else self._resolve(collection)
        return name if name in self._collections else ""
