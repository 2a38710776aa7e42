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
class ShardStats:
    points: int
    deleted_rows: int
    segments: int
    growing_rows: int
    last_sequence: int
    covered_sequence: int
    disk_bytes: int
    log_bytes: int
    read_only_reason: str
