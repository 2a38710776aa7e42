# Written by scripts/gen_sdk.py from _async/service.py; edit that, and run `make gen`.
"""Models, API keys, and how the service is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

from hxp_vector_client import operations
from hxp_vector_client._sync.calls import Calls
from hxp_vector_client.errors import TextsQueued
from hxp_vector_client.models import (
    ApiKey,
    CacheStats,
    CacheWarmed,
    DatabaseHealth,
    Embeddings,
    Job,
    KeyPage,
    LoggedOperation,
    ModelStatus,
    OperationsPage,
    Ranking,
    Readiness,
)
from hxp_vector_client.options import EmbedOptions, KeyOptions, checked
from hxp_vector_client.requests import Request


class Models:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def status(self) -> list[ModelStatus]:
        """Every model with its endpoints, as the gateway that answers knows them."""
        answer = self._calls.call(Request(operations.MODEL_STATUS))
        return [ModelStatus.read(one) for one in answer["models"]]


class Keys:
    """API keys, for those who may manage them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self, *, page_size: int = 100) -> Iterator[ApiKey]:
        """The newest first: read page by page as they are taken."""
        cursor: str | None = None
        while True:
            query = {"limit": page_size, "cursor": cursor}
            answer = self._calls.call(Request(operations.LIST_KEYS, query=query))
            page = KeyPage.read(answer)
            yield from page.keys
            cursor = page.next_cursor
            if cursor is None:
                return

    def get(self, key_id: str) -> ApiKey:
        """Raises KeyNotFound."""
        return self._key(Request(operations.GET_KEY, path={"key_id": key_id}))

    def create(self, name: str, grants: Sequence[Mapping[str, Any]], **options: Unpack[KeyOptions]) -> ApiKey:
        """A new key; its secret is in `key`, now and never again.

        grants: each with scopes (read, write, admin) and collections, as {"scopes": ["read"]}.
        """
        body = {"name": name, "grants": list(grants), **checked(KeyOptions, options)}
        return self._key(Request(operations.CREATE_KEY, body))

    def rotate(self, key_id: str, *, grace_s: float = 3600.0) -> ApiKey:
        """The same key with a new secret; the one before stays good for grace_s."""
        return self._key(Request(operations.ROTATE_KEY, {"grace_s": grace_s}, path={"key_id": key_id}))

    def revoke(self, key_id: str) -> ApiKey:
        """For good. Raises KeyNotFound."""
        return self._key(Request(operations.REVOKE_KEY, path={"key_id": key_id}))

    def _key(self, request: Request) -> ApiKey:
        return ApiKey.read(self._calls.call(request))


class Service:
    """Part of the client."""

    _calls: Calls

    def embed(self, texts: str | Sequence[str], **options: Unpack[EmbedOptions]) -> Embeddings:
        """Vectors of texts, up to 2,000; one text is one row. Options: see EmbedOptions.

        Raises TextsQueued where the model takes texts as jobs only, and TextTooLong, ModelNotFound, ...
        """
        text = texts if isinstance(texts, str) else list(texts)
        body = {"text": text, **checked(EmbedOptions, options)}
        answer = self._calls.call(Request(operations.EMBED, body))
        if "job_id" in answer:
            raise TextsQueued(Job.read(answer))
        return Embeddings.read(answer)

    def rerank(
        self, query: str, documents: Sequence[str], *, model: str, top_n: int | None = None
    ) -> Ranking:
        """Up to 1,000 texts in the order of how well they fit a query, which a cross-encoder reads with each.

        model: a rerank model that the gateway knows. top_n: the best of them alone; None: all.
        Raises ModelNotFound, ...
        """
        body: dict[str, Any] = {"model": model, "query": query, "documents": list(documents)}
        if top_n is not None:
            body["top_n"] = top_n
        return Ranking.read(self._calls.call(Request(operations.RERANK, body)))

    def health(self) -> bool:
        """Whether the server is up. Raises ConnectionFailed where nothing answers."""
        answer = self._calls.call(Request(operations.HEALTH))
        return bool(answer["status"] == "ok")

    def version(self) -> str | None:
        """Of the gateway that answers; None: it does not tell. Raises ConnectionFailed."""
        told = (self._calls.call(Request(operations.HEALTH))).get("version")
        return None if told is None else str(told)

    def ready(self) -> Readiness:
        """Everything that requests may need answers. Raises Unavailable, whose message says what does not."""
        return Readiness.read(self._calls.call(Request(operations.READY)))

    def database_health(self) -> DatabaseHealth:
        """Raises DatabaseUnavailable."""
        answer = self._calls.call(Request(operations.DATABASE_HEALTH))
        return DatabaseHealth.read(answer)

    def cache_stats(self) -> CacheStats:
        """Hits and misses of the gateway that answers, and what its store holds."""
        return CacheStats.read(self._calls.call(Request(operations.CACHE_STATS)))

    def warm_cache(self, *, limit: int = 32) -> CacheWarmed:
        """Ask the most frequent requests again, so that their answers are kept on return."""
        answer = self._calls.call(Request(operations.WARM_CACHE, query={"limit": limit}))
        return CacheWarmed.read(answer)

    def clear_cache(self) -> int:
        """Forget all that is kept. Answers how many entries there were. Raises Unavailable."""
        return int((self._calls.call(Request(operations.CLEAR_CACHE)))["entries"])

    def metrics(self) -> str:
        """What the gateway that answers measures, in Prometheus' text format."""
        text = b""
        for portion in self._calls.download(Request(operations.METRICS)):
            text += portion
        return text.decode("utf-8", "replace")

    def operations(
        self,
        *,
        collection: str | None = None,
        operation: str | None = None,
        outcome: str | None = None,
        page_size: int = 100,
    ) -> Iterator[LoggedOperation]:
        """What was asked of vectors, the newest first: read page by page as it is taken."""
        cursor: str | None = None
        while True:
            query = {
                "collection": collection,
                "operation": operation,
                "outcome": outcome,
                "limit": page_size,
                "cursor": cursor,
            }
            answer = self._calls.call(Request(operations.LIST_OPERATIONS, query=query))
            page = OperationsPage.read(answer)
            yield from page.operations
            cursor = page.next_cursor
            if cursor is None:
                return
