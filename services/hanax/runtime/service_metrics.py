"""What every service counts of its requests, and what services count of operations on collections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from hanax.core.errors import Cancelled, HanaxError, Internal

# From a lookup in one shard to a batch of long texts.
SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)

# Collections with series of their own; the others are summed under "".
MAX_COLLECTIONS: Final = 500


class RequestMetrics:
    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        self._service = service
        self._requests = Counter(
            "vector_db_requests_total",
            "Answered requests; status is an HTTP status, or over gRPC ok or an error code",
            ("service", "method", "status"),
            registry=registry,
        )
        self._durations = Histogram(
            "vector_db_request_duration_seconds",
            "From a request's arrival at a worker to the end of its answer",
            ("service", "method"),
            buckets=SECONDS,
            registry=registry,
        )

        # To find a series by its labels costs ten times as much as to count it.
        self._series: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def answered(self, method: str, status: str, seconds: float) -> None:
        series = self._series.get((method, status))
        if series is None:
            series = self._series[method, status] = (
                self._requests.labels(self._service, method, status),
                self._durations.labels(self._service, method),
            )
        requests, durations = series
        requests.inc()
        durations.observe(seconds)


class OperationMetrics:
    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        self._service = service
        self._operations = Counter(
            "vector_db_operations_total",
            "Operations on collections; status is ok or an error code",
            ("service", "operation", "collection", "status"),
            registry=registry,
        )

    @contextmanager
    def counting(
        self, name: str, collection: Callable[[], str], ended: Callable[[str], None] | None = None
    ) -> Iterator[None]:
        """Count what runs inside, by how it ends. `collection` is asked for the label at the end.

        ended: told the status.
        """
        status = "ok"
        try:
            yield
        except HanaxError as error:
            status = error.code
            raise
        except asyncio.CancelledError:
            status = Cancelled.code
            raise
        except Exception:
            status = Internal.code
            raise
        finally:
            self._operations.labels(self._service, name, collection(), status).inc()
            if ended is not None:
                ended(status)

    def drop(self, collection: str) -> None:
        """Forget the series of a collection that is gone."""
        self._operations.remove_by_labels({"collection": collection})
