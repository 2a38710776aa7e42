"""What a shard may be told beside its schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hanax.core.index_specs import Indexing
from hanax.engine.index.cores import CORES

AUTO = Indexing()


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """When the growing segment is sealed: at so many rows, bytes of data, or bytes of log.

    indexing: how sealed segments are indexed, until `Shard.set_indexing` says otherwise. index_memory_bytes:
    anonymous memory that all builds of the process may take together. build_threads: of one build.
    payload_indexes: what is indexed of a metadata field, by dotted path (core.specs.PayloadIndex), until
    `Shard.set_payload_indexes` says otherwise; all that a field holds, where nothing is said.
    """

    segment_max_rows: int = 65_536
    segment_max_bytes: int = 64 * 1024 * 1024
    log_max_bytes: int = 256 * 1024 * 1024
    indexing: Indexing = AUTO
    index_memory_bytes: int = 1024 * 1024 * 1024
    build_threads: int = CORES.count
    payload_indexes: Mapping[str, str] = field(default_factory=dict)
