"""What the embedder counts. `method` is the gRPC method, `status` is ok or an error code.

`model` is one of the served names, of which there are at most as many as were declared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hanax.embedder.backends import Agreement, Tokens
from hanax.runtime.service_metrics import SECONDS, RequestMetrics

_SERVICE: Final = "embedder"
_TEXTS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_TOKENS: Final = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
_LOAD_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class EmbedderMetrics:
    """A registry of its own, so that several embedders in one process do not meet."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._requests = RequestMetrics(_SERVICE, registry)
        self._queued: list[Callable[[], int]] = []

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(
                f"vector_db_embedding_{name}", text, ("model",), buckets=buckets, registry=registry
            )

        def counter(name: str, text: str, *more: str) -> Counter:
            return Counter(f"vector_db_embedding_{name}", text, ("model", *more), registry=registry)

        def gauge(name: str, text: str, *more: str) -> Gauge:
            return Gauge(f"vector_db_embedding_{name}", text, ("model", *more), registry=registry)

        self.batch_seconds = histogram("duration_seconds", "One batch in the model", SECONDS)
        self.batch_texts = histogram("batch_texts", "Texts in a batch", _TEXTS)
        self.batch_tokens = histogram("batch_tokens", "Tokens in a batch, padding counted", _TOKENS)
        self.queue_seconds = histogram(
            "queue_seconds", "From a request's texts read to its first batch", SECONDS
        )
        self.load_seconds = histogram("load_seconds", "Loading and warming a model", _LOAD_SECONDS)
        self.texts = counter("texts_total", "Texts embedded or scored; parts of a text count each")
        self.truncated = counter(
            "truncated_total", "Texts embedded or scored that were longer than the model reads"
        )
        self.split = counter("split_total", "Texts embedded in parts")
        self.padding = counter(
            "padding_tokens_total", "Tokens computed that belong to no text: padding of batches"
        )
        self.loads = counter("loads_total", "Loads of a model; status is ok or an error code", "status")
        self.evictions = counter("evictions_total", "Models let go to make room for others")
        self.queue_texts = gauge("model_queue_texts", "Texts of a model that wait for a batch")
        self.loaded = gauge("model_loaded", "1: the model is loaded and warm")
        self.memory = gauge("model_memory_bytes", "Memory of a loaded model, estimated")
        self.agreement = gauge(
            "agreement", "Cosine to float32 of a model of lower precision: mean and least", "of"
        )
        Gauge(
            "vector_db_embedding_queue_texts",
            "Texts that wait for a batch, of all models",
            registry=registry,
        ).set_function(lambda: sum(texts() for texts in self._queued))

    def of(self, model: str) -> ModelMetrics:
        return ModelMetrics(self, model)

    def count_waiting(self, texts: Callable[[], int]) -> None:
        """Ask `texts` at every scrape."""
        self._queued.append(texts)

    def answered(self, method: str, status: str, seconds: float) -> None:
        self._requests.answered(method, status, seconds)


class ModelMetrics:
    """The series of one model, which are there from the start."""

    def __init__(self, metrics: EmbedderMetrics, model: str) -> None:
        self.model: Final = model
        self._metrics = metrics
        self._batch_seconds = metrics.batch_seconds.labels(model)
        self._batch_texts = metrics.batch_texts.labels(model)
        self._batch_tokens = metrics.batch_tokens.labels(model)
        self._queue_seconds = metrics.queue_seconds.labels(model)
        self._load_seconds = metrics.load_seconds.labels(model)
        self._texts = metrics.texts.labels(model)
        self._truncated = metrics.truncated.labels(model)
        self._split = metrics.split.labels(model)
        self._padding = metrics.padding.labels(model)
        self._evictions = metrics.evictions.labels(model)
        self._loaded = metrics.loaded.labels(model)
        self._memory = metrics.memory.labels(model)

    def count_waiting(self, texts: Callable[[], int]) -> None:
        """Ask `texts` at every scrape."""
        self._metrics.queue_texts.labels(self.model).set_function(texts)
        self._metrics.count_waiting(texts)

    def waited(self, seconds: float) -> None:
        self._queue_seconds.observe(seconds)

    def batch_ended(self, rows: Sequence[Tokens], cost_tokens: int, seconds: float, *, ok: bool) -> None:
        """`cost_tokens` with padding. A batch that failed has a duration too, and embeds nothing."""
        self._batch_seconds.observe(seconds)
        self._batch_texts.observe(len(rows))
        self._batch_tokens.observe(cost_tokens)
        if ok:
            self._texts.inc(len(rows))
            self._truncated.inc(sum(row.truncated for row in rows))
            self._padding.inc(cost_tokens - sum(row.count for row in rows))

    def split(self, texts: int) -> None:
        self._split.inc(texts)

    def load_ended(self, status: str, seconds: float) -> None:
        self._metrics.loads.labels(self.model, status).inc()
        self._load_seconds.observe(seconds)

    def holds(self, memory_bytes: int, agreement: Agreement | None) -> None:
        """The model is loaded."""
        self._loaded.set(1)
        self._memory.set(memory_bytes)
        if agreement is not None:
            self._metrics.agreement.labels(self.model, "mean").set(agreement.mean)
            self._metrics.agreement.labels(self.model, "least").set(agreement.least)

    def evicted(self) -> None:
        self._evictions.inc()
        self._loaded.set(0)
        self._memory.set(0)
