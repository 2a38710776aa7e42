"""What a service counts of its metadata database, and of the operations that it notes there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hanax.metadata.database import Database, Transaction

# From a look-up by key to a transaction that was run again and again.
_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class DatabaseMetrics:
    def __init__(self, service: str, database: Database, registry: CollectorRegistry) -> None:
        self._service = service
        self._durations = Histogram(
            "vector_db_database_transaction_duration_seconds",
            "A transaction of the metadata database, its retries included; status is ok or an error code",
            ("service", "kind", "status"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._retries = Counter(
            "vector_db_database_retries_total",
            "Times that a transaction was run again: after a conflict, or a lost connection",
            ("service", "kind"),
            registry=registry,
        )
        connections = Gauge(
            "vector_db_database_connections",
            "Connections to the metadata database: in use, and that there may be",
            ("service", "state"),
            registry=registry,
        )
        connections.labels(service, "in_use").set_function(lambda: database.pool_use()[0])
        connections.labels(service, "limit").set_function(lambda: database.pool_use()[1])
        database.observe(self._ended)

    def _ended(self, transaction: Transaction) -> None:
        self._durations.labels(self._service, transaction.kind, transaction.status).observe(
            transaction.seconds
        )
        if transaction.retries:
            self._retries.labels(self._service, transaction.kind).inc(transaction.retries)


class LogMetrics:
    """Of an operation log. waiting, dropped: asked at every scrape; `dropped` never falls."""

    def __init__(
        self, waiting: Callable[[], int], dropped: Callable[[], int], registry: CollectorRegistry
    ) -> None:
        Gauge(
            "vector_db_operation_log_waiting", "Operations that wait to be noted", registry=registry
        ).set_function(waiting)
        Gauge(
            "vector_db_operation_log_dropped",
            "Operations since the start that were not noted, as too many waited",
            registry=registry,
        ).set_function(dropped)
