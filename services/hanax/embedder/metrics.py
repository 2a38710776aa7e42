"""What the embedder counts. `method` is the gRPC method, `status` is ok or an error code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hanax.runtime.service_metrics import SECONDS, RequestMetrics

_SERVICE: Final = "embedder"
_TEXTS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_TOKENS: Final = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


class EmbedderMetrics:
    """A registry of its own, so that several embedders in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = RequestMetrics(_SERVICE, self.registry)
        self._batch_seconds = Histogram(
            "vector_db_embedding_duration_seconds",
            "One batch in the model",
            ("model",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._batch_texts = Histogram(
            "vector_db_embedding_batch_texts",
            "Texts in a batch",
            ("model",),
            buckets=_TEXTS,
            registry=self.registry,
        )
        self._batch_tokens = Histogram(
            "vector_db_embedding_batch_tokens",
            "Tokens in a batch, padding counted",
            ("model",),
            buckets=_TOKENS,
            registry=self.registry,
        )
        self._waiting = Gauge(
            "vector_db_embedding_queue_texts",
            "Texts that wait for a batch",
            registry=self.registry,
        )
        self._texts = Counter(
            "vector_db_embedding_texts_total",
            "Texts embedded",
            ("model",),
            registry=self.registry,
        )
        self._truncated = Counter(
            "vector_db_embedding_truncated_total",
            "Texts embedded that were longer than the model reads",
            ("model",),
            registry=self.registry,
        )

    def count_waiting(self, texts: Callable[[], int]) -> None:
        """Ask `texts` at every scrape."""
        self._waiting.set_function(texts)

    def answered(self, method: str, status: str, seconds: float) -> None:
        self._requests.answered(method, status, seconds)

    def batch_ended(self, model: str, texts: int, tokens: int, seconds: float) -> None:
        """`tokens` with padding. A batch that failed counts too."""
        self._batch_seconds.labels(model).observe(seconds)
        self._batch_texts.labels(model).observe(texts)
        self._batch_tokens.labels(model).observe(tokens)

    def embedded(self, model: str, texts: int, truncated: int) -> None:
        self._texts.labels(model).inc(texts)
        self._truncated.labels(model).inc(truncated)
