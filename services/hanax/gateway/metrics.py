"""What the gateway counts. Every label value comes from a fixed set, or from the routing table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hanax.core.routing import RoutingTable
from hanax.gateway.balancing.pool_metrics import PoolMetrics
from hanax.gateway.calls import Call
from hanax.metadata.operations.operation import Operation
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
        self._notes: list[Callable[[Operation], None]] = []
        self._notes_of_changes: list[Callable[[Operation], None]] = []
        self._refused: Callable[[str, str, str, str], None] | None = None
        self._now_us: Callable[[], int] = lambda: 0
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

    def called(self, method: str, outcome: str, seconds: float) -> None:
        """method: of the gRPC service. outcome: ok, or an error's code."""
        self._requests.answered(f"gRPC {method}", outcome, seconds)

    def resolved(self, field: str, outcome: str, seconds: float) -> None:
        """field: of the GraphQL schema, that asked a service object. outcome: ok, or an error's code."""
        self._requests.answered(f"GraphQL {field}", outcome, seconds)

    def embedded(self, model: str, seconds: float, embedded: int, kept: int) -> None:
        """embedded, kept: texts that the model was given for this request, and that it was not."""
        self._embeddings.labels(model).observe(seconds)
        for source, texts in (("model", embedded), ("cache", kept)):
            self._texts.labels(model, source).inc(texts)

    def note_to(self, note: Callable[[Operation], None], now_us: Callable[[], int]) -> None:
        """Tell `note` of each operation from now on."""
        self._notes.append(note)
        self._now_us = now_us

    def note_changes_to(self, note: Callable[[Operation], None], now_us: Callable[[], int]) -> None:
        """The same, without those that only read."""
        self._notes_of_changes.append(note)
        self._now_us = now_us

    def tell_refusals_to(self, told: Callable[[str, str, str, str], None]) -> None:
        """Tell `told` of each request that was refused: its code, who asked what, and the request's id."""
        self._refused = told

    def refused(self, code: str, call: Call, path: str) -> None:
        """A caller may not, or not so often. path: or the method, over gRPC."""
        if self._refused is not None:
            self._refused(code, call.actor, path, call.request_id)

    def reading(self, name: str, collection: str | None, call: Call) -> AbstractContextManager[None]:
        """Count and note what runs inside, by how it ends. It changes nothing that anybody sees."""
        ended = self._noting(self._notes, name, collection, call)
        return self._operations.counting(name, lambda: self._label(collection), ended)

    def changing(self, name: str, collection: str | None, call: Call) -> AbstractContextManager[None]:
        """The same of what changes something, which those are told too who follow changes."""
        ended = self._noting([*self._notes, *self._notes_of_changes], name, collection, call)
        return self._operations.counting(name, lambda: self._label(collection), ended)

    def _noting(
        self, notes: Sequence[Callable[[Operation], None]], name: str, collection: str | None, call: Call
    ) -> Callable[[str], None] | None:
        if not notes:
            return None
        began, had = call.clock(), call.items

        def ended(status: str) -> None:
            operation = Operation(
                at_us=self._now_us(),
                duration_us=round((call.clock() - began) * 1e6),
                operation=name,
                collection=self._name(collection),
                actor=call.actor,
                outcome=status,
                items=call.items - had,
                request_id=call.request_id,
            )
            for note in notes:
                note(operation)

        return ended

    def _name(self, collection: str | None) -> str:
        """An alias counts as its collection."""
        return "" if collection is None else self._resolve(collection)

    def _label(self, collection: str | None) -> str:
        name = self._name(collection)
        return name if name in self._collections else ""
