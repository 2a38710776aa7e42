"""What a shard answers to writes and to questions about itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Upserted:
    sequence: int
    inserted: int
    updated: int


@dataclass(frozen=True, slots=True)
class MetadataUpdated:
    sequence: int
    updated: int
    missing: list[bytes]


@dataclass(frozen=True, slots=True)
class Deleted:
    sequence: int
    deleted: int


@dataclass(frozen=True, slots=True)
class IndexStats:
    """One vector column of one sealed segment.

    state: built; waiting or building; refused (then `reason` says why). Until another is built, the index
    that type and quantisation name serves; where memory_bytes is 0 every vector is compared.
    recall: of the nearest 10, as measured when it was built; NaN where answers are exact. effort: what a
    search for 10 uses. memory_bytes: the index's own arrays. reason: why this index, where it was chosen
    automatically.
    """

    segment: str
    column: str
    rows: int
    state: str
    type: str
    quantisation: str
    effort: int
    recall: float
    memory_bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class ShardStats:
    """live_recall: of the last live queries that were compared with a scan, NaN when there was none."""

    points: int
    deleted_rows: int
    segments: int
    growing_rows: int
    last_sequence: int
    covered_sequence: int
    disk_bytes: int
    log_bytes: int
    read_only_reason: str
    indexes: list[IndexStats]
    index_memory_bytes: int
    live_recall: float
    live_recall_samples: int
