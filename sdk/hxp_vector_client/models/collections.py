"""Collections, and how they are indexed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from hxp_vector_client.models.base import Model


class Collection(Model):
    """index, quantisation, payload_indexes: as docs/indexes.md and docs/filters.md name them.

    library: id of the library that alone may change it.
    """

    name: str
    dimension: int
    metric: str
    shards: int
    uid: str
    created_at: datetime
    state: Literal["ready", "degraded", "pending", "suspended"] | str
    embedding_model: str | None = None
    index: dict[str, Any] | None = None
    quantisation: dict[str, Any] | None = None
    target_recall: float | None = None
    payload_indexes: dict[str, str] = {}
    ttl_seconds: int | None = None
    aliases: list[str] = []
    library: str | None = None


class IndexTotals(Model):
    """settled: no part waits for its index. recall: None: every answer is exact."""

    settled: bool
    segments: dict[str, int]
    unsealed_points: int
    memory_bytes: int
    memory_bytes_per_vector: float | None = None
    recall: float | None = None
    live_recall: float | None = None
    live_recall_samples: int = 0


class MetadataIndexes(Model):
    fields: int
    fields_left_out: list[str]
    field_limit_reached: bool
    rows_without_index: int
    bytes: int


class Shard(Model):
    """indexes: of its segments, as the server tells them."""

    shard: int
    node: str
    state: str
    reason: str | None = None
    points: int | None = None
    deleted_rows: int | None = None
    segments: int | None = None
    growing_rows: int | None = None
    last_sequence: int | None = None
    disk_bytes: int | None = None
    log_bytes: int | None = None
    index_memory_bytes: int | None = None
    indexes: list[dict[str, Any]] | None = None


class CollectionStats(Collection):
    """points, index_totals, metadata_indexes: None while a shard does not answer."""

    points: int | None = None
    index_totals: IndexTotals | None = None
    metadata_indexes: MetadataIndexes | None = None
    shard_states: list[Shard] = []


class Alias(Model):
    alias: str
    collection: str
