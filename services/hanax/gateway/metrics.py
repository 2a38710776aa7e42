"""What the gateway counts. Every label value comes from a fixed set, or from the routing table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hanax.core.errors import HanaxError, Internal
from hanax.core.routing import RoutingTable

_SERVICE: Final = "gateway"
# Collections with series of their own, the first by name; the others are summed under "".
MAX_COLLECTIONS: Final = 500

_REQUEST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics:
    """A registry of its own, so that several gateways in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._collections: frozenset[str] = frozenset()
        self._requests = Counter(
            "vector_db_requests_total",
            "Answered requests; method is the HTTP method and the route's pattern",
            ("service", "method", "status"),
            registry=self.registry,
        )
        self._durations = Histogram(
            "vector_db_request_duration_seconds",
            "From the request's headers to the end of the answer",
            ("service", "method"),
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )
        self._connections = Gauge(
            "vector_db_active_connections",
            "Open client connections",
            ("service",),
            registry=self.registry,
        )
        self._operations = Counter(
            "vector_db_operations_total",
            "What service objects were asked to do; status is ok or an error code",
            ("service", "operation", "collection", "status"),
            registry=self.registry,
        )
        self._embeddings = Histogram(
            "vector_db_embedding_duration_seconds",
            "Embedding the texts of one request, as the gateway waits for it",
            ("model",),
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )

    def follow(self, table: RoutingTable) -> None:
        """The first MAX_COLLECTIONS of this table may be labels; the series of others are dropped."""
        known = frozenset(sorted(table.collection_by_name)[:MAX_COLLECTIONS])
        for name in self._collections - known:
            self._operations.remove_by_labels({"collection": name})
        self._collections = known

    def count_connections(self, connections: Callable[[], int]) -> None:
        """Ask `connections` at every scrape."""
        self._connections.labels(_SERVICE).set_function(connections)

    def answered(self, method: str, status: int, seconds: float) -> None:
        self._requests.labels(_SERVICE, method, str(status)).inc()
        self._durations.labels(_SERVICE, method).observe(seconds)

    def embedded(self, model: str, seconds: float) -> None:
        self._embeddings.labels(model).observe(seconds)

    @contextmanager
    def operation(self, name: str, collection: str | None) -> Iterator[None]:
        """Count what runs inside, by how it ends."""
        status = "ok"
        try:
            yield
        except HanaxError as error:
            status = error.code
            raise
        except Exception:
            status = Internal.code
            raise
        finally:
            label = collection if collection in self._collections else ""
            self._operations.labels(_SERVICE, name, label or "", status).inc()
