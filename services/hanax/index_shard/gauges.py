"""Gauges of the replicas, read from the shards at the moment of the scrape."""

from __future__ import annotations

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hanax.core.errors import HanaxError
from hanax.engine.shard.results import ShardStats
from hanax.index_shard.replicas import Replica
from hanax.runtime.service_metrics import MAX_COLLECTIONS

# Sums over a collection's shards on this node, by name: help and field of ShardStats.
_SUMS: Final = {
    "vector_db_collection_points": ("Live points on this node", "points"),
    "vector_db_collection_deleted_rows": ("Rows that compaction will remove", "deleted_rows"),
    "vector_db_collection_segments": ("Sealed segments", "segments"),
    "vector_db_collection_disk_bytes": ("Bytes of segments and log", "disk_bytes"),
    "vector_db_collection_log_bytes": ("Bytes of log", "log_bytes"),
    "vector_db_index_memory_bytes": ("Bytes of the indexes' own arrays", "index_memory_bytes"),
}
_INDEX_STATES: Final = ("built", "waiting", "building", "refused")


class ReplicaGauges(Collector):
    def __init__(self, service: str, replicas: Callable[[], Iterable[Replica]]) -> None:
        self._service = service
        self._replicas = replicas

    def collect(self) -> Iterator[GaugeMetricFamily]:
        replicas = list(self._replicas())
        told = list(_stats(replicas))
        yield from self._sums(told)
        yield self._index_states(told)
        yield self._recall(told)
        states = Tally({"open": 0, "opening": 0, "failed": 0})
        states.update(replica.state for replica in replicas)
        shards = GaugeMetricFamily(
            "vector_db_shards", "Shard replicas of this node", labels=("service", "state")
        )
        for state, count in states.items():
            shards.add_metric((self._service, state), count)
        yield shards
        read_only = sum(bool(stats.read_only_reason) for _, stats in told)
        yield GaugeMetricFamily("vector_db_read_only_shards", "Shards that refuse writes", value=read_only)

    def _sums(self, told: list[tuple[str, ShardStats]]) -> Iterator[GaugeMetricFamily]:
        for metric, (text, field) in _SUMS.items():
            sums: Tally[str] = Tally()
            for label, stats in told:
                sums[label] += getattr(stats, field)
            family = GaugeMetricFamily(metric, text, labels=("service", "collection"))
            for label, value in sums.items():
                family.add_metric((self._service, label), value)
            yield family

    def _index_states(self, told: list[tuple[str, ShardStats]]) -> GaugeMetricFamily:
        counts: Tally[tuple[str, str]] = Tally()
        for label, stats in told:
            # Also those that are 0, so that an alert on one sees it begin.
            counts.update({(label, state): 0 for state in _INDEX_STATES})
            counts.update((label, index.state) for index in stats.indexes)
        family = GaugeMetricFamily(
            "vector_db_index_segments",
            "Sealed segments by the state of their index",
            labels=("service", "collection", "state"),
        )
        for (label, state), count in counts.items():
            family.add_metric((self._service, label, state), count)
        return family

    def _recall(self, told: list[tuple[str, ShardStats]]) -> GaugeMetricFamily:
        """The mean of all compared queries; no series where none was compared."""
        found: defaultdict[str, float] = defaultdict(float)
        samples: Tally[str] = Tally()
        for label, stats in told:
            if stats.live_recall_samples:
                found[label] += stats.live_recall * stats.live_recall_samples
                samples[label] += stats.live_recall_samples
        family = GaugeMetricFamily(
            "vector_db_recall",
            "Share of the true nearest in the answers to live queries, a sample of which is compared",
            labels=("service", "collection"),
        )
        for label, count in samples.items():
            family.add_metric((self._service, label), found[label] / count)
        return family


def _stats(replicas: list[Replica]) -> Iterator[tuple[str, ShardStats]]:
    """What each open shard tells, and its collection's label; "" past MAX_COLLECTIONS."""
    names = sorted({replica.route.spec.name for replica in replicas})
    labelled = set(names[:MAX_COLLECTIONS])
    for replica in replicas:
        if replica.shard is None:
            continue
        try:
            stats = replica.shard.stats()
        except HanaxError:
            continue  # closed since
        name = replica.route.spec.name
        yield (name if name in labelled else ""), stats
