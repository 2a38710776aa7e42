"""What the shard service counts. Every label value comes from a fixed set, or is an open collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

from hanax.index_shard.gauges import ReplicaGauges
from hanax.index_shard.replicas import Replica
from hanax.runtime.service_metrics import MAX_COLLECTIONS, OperationMetrics, RequestMetrics

SERVICE: Final = "index-shard"


@dataclass(slots=True)
class CountedOperation:
    """`collection` is named once the call is known to mean an open one."""

    collection: str = ""


class Metrics:
    """A registry of its own, so that several services in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = RequestMetrics(SERVICE, self.registry)
        self._operations = OperationMetrics(SERVICE, self.registry)
        self._labelled: set[str] = set()

    def answered(self, method: str, status: str, seconds: float) -> None:
        self._requests.answered(method, status, seconds)

    @contextmanager
    def operation(self, name: str) -> Iterator[CountedOperation]:
        """Count what runs inside, by how it ends."""
        counted = CountedOperation()
        with self._operations.counting(name, lambda: self._label(counted.collection)):
            yield counted

    def follow(self, replicas: Callable[[], Iterable[Replica]]) -> None:
        """Ask for the replicas at every scrape."""
        self.registry.register(ReplicaGauges(SERVICE, replicas))

    def keep(self, collections: set[str]) -> None:
        """Drop the series of collections that this node no longer has."""
        for name in self._labelled - collections:
            self._operations.drop(name)
        self._labelled &= collections

    def _label(self, collection: str) -> str:
        if collection and collection not in self._labelled:
            if len(self._labelled) >= MAX_COLLECTIONS:
                return ""
            self._labelled.add(collection)
        return collection
