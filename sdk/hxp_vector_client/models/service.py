"""The service itself: models, embeddings, keys, operations, health."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from hxp_vector_client.arrays import MatrixField
from hxp_vector_client.models.base import Model


class Embeddings(Model):
    """vectors: float32 of shape (n, dimension), one row a text.

    tokens: read of each text; None where the model does not tell. truncated, split: indexes of texts that
    were read in part, or in parts.
    """

    vectors: MatrixField = Field(alias="embeddings")
    model: str
    model_version: str | None = None
    dimension: int
    tokens: list[int] | None = None
    total_tokens: int = 0
    truncated: list[int] = []
    split: list[int] = []


class RankedDocument(Model):
    """index: of the document in the request. score: more is better; its range is the model's own."""

    index: int
    score: float = Field(alias="relevance_score")


class Ranking(Model):
    """results: the best first."""

    model: str
    results: list[RankedDocument] = []


class ModelEndpoint(Model):
    address: str
    weight: float
    state: str
    inflight: int = 0
    latency_ms: float | None = None
    error_rate: float = 0.0
    resting_s: float = 0.0
    last_failure: dict[str, Any] | None = None
    checked_at: datetime | None = None


class ModelStatus(Model):
    """health: healthy, degraded, unavailable or unknown. waiting: requests that wait for their turn."""

    model: str
    version: str | None = None
    health: str
    external: bool
    protocol: str
    pattern: str
    dimension: int
    max_tokens: int
    load_balancing: str
    waiting: int = 0
    endpoints: list[ModelEndpoint] = []


class Grant(Model):
    """scopes: read, write, admin. collections: names, beginnings that end in *, or * for all."""

    scopes: list[str]
    collections: list[str] = ["*"]


class ApiKey(Model):
    """filter: values that every point has which the key reads or writes. rate: requests_per_s and burst.

    previous_until: until when the secret before the latest rotation is good. key: the secret itself, told
    once, when it is made or rotated.
    """

    id: str
    name: str
    grants: list[Grant] = []
    filter: dict[str, str | int] | None = None
    rate: dict[str, float] | None = None
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    previous_until: datetime | None = None
    key: str | None = None


class KeyPage(Model):
    keys: list[ApiKey]
    next_cursor: str | None = None


class LoggedOperation(Model):
    id: int
    at: datetime
    duration_ms: float
    operation: str
    collection: str | None = None
    actor: str
    outcome: str
    items: int
    request_id: str
    instance: str


class OperationsPage(Model):
    operations: list[LoggedOperation]
    next_cursor: str | None = None
    dropped: int = 0
    waiting: int = 0


class DatabaseHealth(Model):
    """status: ok or not_configured. latency_ms: of one question."""

    status: str
    reachable: bool | None = None
    dialect: str | None = None
    latency_ms: float | None = None
    revision: str | None = None
    pool_in_use: int | None = None
    pool_size: int | None = None


class Readiness(Model):
    """By name: ok, or what is not."""

    routing: str
    nodes: dict[str, str] = {}
    models: dict[str, str] = {}


class CacheWarmed(Model):
    """asked: requests that were asked again. failed: of these, those that were not answered."""

    asked: int
    failed: int


class CacheStats(Model):
    """operations: hits, misses and hit_rate of each."""

    backend: str
    state: str
    keeps_searches: bool
    entries: int | None = None
    bytes: int | None = None
    hits: int = 0
    misses: int = 0
    hit_rate: float | None = None
    operations: dict[str, dict[str, float | None]] = {}
    frequent_requests: int = 0
