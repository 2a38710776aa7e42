"""What the shard service counts. Every label value comes from a fixed set, or is an open collection."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hanax.core.errors import HanaxError, Internal
from hanax.index_shard.replicas import Replica

_SERVICE: Final = "index-shard"
_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# Collections with series of their own, the first by name; the others are summed under "".
MAX_COLLECTIONS: Final = 500

_SHARD_GAUGES: Final = {
    "vector_db_collection_points": ("Live points on this node", "points"),
    "vector_db_collection_deleted_rows": ("Rows that compaction will remove", "deleted_rows"),
    "vector_db_collection_segments": ("Sealed segments", "segments"),
    "vector_db_collection_disk_bytes": ("Bytes of segments and log", "disk_bytes"),
    "vector_db_collection_log_bytes": ("Bytes of log", "log_bytes"),
}


@dataclass(slots=True)
class CountedOperation:
    """`collection` is named once the call is known to mean an open one."""

    collection: str = ""


class Metrics:
    """A registry of its own, so that several services in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "vector_db_requests_total",
            "Answered calls; status is ok or an error code",
            ("service", "method", "status"),
            registry=self.registry,
        )
        self._durations = Histogram(
            "vector_db_request_duration_seconds",
            "From a thread taking the call to its answer",
            ("service", "method"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._operations = Counter(
            "vector_db_operations_total",
            "Operations on shards; status is ok or an error code",
            ("service", "operation", "collection", "status"),
            registry=self.registry,
        )
        self._labelled: set[str] = set()

    def answered(self, method: str, status: str, seconds: float) -> None:
        self._requests.labels(_SERVICE, method, status).inc()
        self._durations.labels(_SERVICE, method).observe(seconds)

    @contextmanager
    def operation(self, name: str) -> Iterator[CountedOperation]:
        """Count what runs inside, by how it ends."""
        counted = CountedOperation()
        status = "ok"
        try:
            yield counted
        except HanaxError as error:
            status = error.code
            raise
        except Exception:
            status = Internal.code
            raise
        finally:
            self._operations.labels(_SERVICE, name, self._label(counted.collection), status).inc()

    def follow(self, replicas: Callable[[], Iterable[Replica]]) -> None:
        """Ask for the replicas at every scrape."""
        self.registry.register(ReplicaCollector(replicas))

    def keep(self, collections: set[str]) -> None:
        """Drop the series of collections that this node no longer has."""
        for name in self._labelled - collections:
            self._operations.remove_by_labels({"collection": name})
        self._labelled &= collections

    def _label(self, collection: str) -> str:
        if collection and collection not in self._labelled:
            if len(self._labelled) >= MAX_COLLECTIONS:
                return ""
            self._labelled.add(collection)
        return collection


class ReplicaCollector(Collector):
    """Gauges read from the shards at the moment of the scrape."""

    def __init__(self, replicas: Callable[[], Iterable[Replica]]) -> None:
        self._replicas = replicas

    def collect(self) -> Iterator[GaugeMetricFamily]:
        replicas = list(self._replicas())
        names = sorted({replica.route.spec.name for replica in replicas})
        labelled = set(names[:MAX_COLLECTIONS])
        sums: dict[str, Tally[str]] = {metric: Tally() for metric in _SHARD_GAUGES}
        states = Tally({"open": 0, "opening": 0, "failed": 0})
        read_only = 0
        for replica in replicas:
            states[replica.state] += 1
            if replica.shard is None:
                continue
            try:
                stats = replica.shard.stats()
            except HanaxError:
                continue  # closed since
            read_only += bool(stats.read_only_reason)
            name = replica.route.spec.name
            label = name if name in labelled else ""
            for metric, (_, field) in _SHARD_GAUGES.items():
                sums[metric][label] += getattr(stats, field)
        for metric, (text, _) in _SHARD_GAUGES.items():
            family = GaugeMetricFamily(metric, text, labels=("service", "collection"))
            for label, value in sums[metric].items():
                family.add_metric((_SERVICE, label), value)
            yield family
        shards = GaugeMetricFamily(
            "vector_db_shards", "Shard replicas of this node", labels=("service", "state")
        )
        for state, count in states.items():
            shards.add_metric((_SERVICE, state), count)
        yield shards
        yield GaugeMetricFamily("vector_db_read_only_shards", "Shards that refuse writes", value=read_only)
