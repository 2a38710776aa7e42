"""What a shard may be told beside its schema."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """When the growing segment is sealed: at so many rows, bytes of data, or bytes of log."""

    segment_max_rows: int = 65_536
    segment_max_bytes: int = 64 * 1024 * 1024
    log_max_bytes: int = 256 * 1024 * 1024
