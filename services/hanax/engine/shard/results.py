"""What a shard answers to writes and to questions about itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hanax.engine.segment.sealed import SealedSegment


@dataclass(frozen=True, slots=True)
class Upserted:
    """sequence: the version of every point that was written. skipped: ids that the mode left alone."""

    sequence: int
    inserted: int
    updated: int
    skipped: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MetadataUpdated:
    sequence: int
    updated: int
    missing: list[bytes]


@dataclass(frozen=True, slots=True)
class MetadataChanged:
    """matched: points that were there, and matched. updated: those that were changed.

    versions: of each id asked for, as it is now, 0 where there is no point; empty for a filter.
    """

    sequence: int
    matched: int
    updated: int
    versions: list[int]


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
class MetadataStats:
    """Metadata indexes of all sealed segments together.

    paths: dotted paths that are indexed in some segment. left_out: paths that are not in some segment,
    because they are pinned to none or too large; filters on them look at every row. more_left_out: there are
    others, because a segment has more paths than are indexed. unindexed_rows: of segments without an
    index, which older versions wrote. bytes: of the indexes' files.
    """

    paths: int
    left_out: tuple[str, ...]
    more_left_out: bool
    unindexed_rows: int
    bytes: int


NO_METADATA = MetadataStats(0, (), False, 0, 0)


@dataclass(frozen=True, slots=True)
class ShardStats:
    """live_recall: of the last live queries that were compared with a scan, NaN when there was none.

    metadata: how much of the metadata of sealed segments is indexed.
    """

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
    metadata: MetadataStats = NO_METADATA


def metadata_stats(segments: Sequence[SealedSegment]) -> MetadataStats:
    indexes = [one.index for segment in segments for one in segment.metadata_indexes(segment.rows)]
    coverages = [index.coverage for index in indexes]
    return MetadataStats(
        paths=len(frozenset().union(*(index.paths for index in indexes))),
        left_out=tuple(sorted({path for one in coverages for path in one.left_out})),
        more_left_out=any(one.more for one in coverages),
        unindexed_rows=sum(segment.rows for segment in segments) - sum(index.rows for index in indexes),
        bytes=sum(one.bytes for one in coverages),
    )
