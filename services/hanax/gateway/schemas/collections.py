"""What answers of collections, their shards and aliases look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from hanax.core.specs import CollectionSpec
from hanax.gateway.schemas.envelopes import NextCursor


class Collection(CollectionSpec):
    uid: str
    created_at: datetime
    state: Annotated[
        Literal["ready", "degraded", "pending", "suspended"],
        Field(
            description="pending: not placed on shards yet; degraded: a shard does not answer; suspended: no "
            "shard is open, the data is kept"
        ),
    ]
    aliases: Annotated[list[str], Field(description="other names of the collection")]
    library: Annotated[
        str | None, Field(description="id of the library that it belongs to, which alone may change it")
    ]


class CollectionList(BaseModel):
    collections: list[Collection]
    next_cursor: NextCursor


class SegmentIndex(BaseModel):
    segment: str
    vector_name: str
    points: Annotated[int, Field(description="rows of the segment, deleted ones included")]
    state: Annotated[
        Literal["built", "waiting", "building", "refused"],
        Field(description="until it is built, the index that type names serves; see memory_bytes"),
    ]
    type: Annotated[str, Field(examples=["ivf"])]
    quantisation: Annotated[str, Field(examples=["product"])]
    effort: Annotated[
        int | None,
        Field(description="what a search for 10 uses: ef_search, nprobe, probes, or rows compared in full"),
    ]
    recall: Annotated[
        float | None, Field(description="of the nearest 10, measured when it was built; null: exact")
    ]
    memory_bytes: Annotated[int, Field(description="the index's own; 0: every vector is compared")]
    memory_bytes_per_vector: float | None
    reason: Annotated[str | None, Field(description="why this index was chosen, or why it was refused")]


class IndexCounts(BaseModel):
    built: int
    waiting: int
    building: int
    refused: Annotated[int, Field(description="searched exactly; their reasons are in shard_states")]


class IndexTotals(BaseModel):
    settled: Annotated[bool, Field(description="no sealed segment waits for its index")]
    segments: IndexCounts
    unsealed_points: Annotated[
        int, Field(description="rows not in a sealed segment yet: compared one by one")
    ]
    memory_bytes: int
    memory_bytes_per_vector: float | None
    recall: Annotated[
        float | None, Field(description="measured when indexes were built; null: every answer is exact")
    ]
    live_recall: Annotated[
        float | None, Field(description="of live queries, a sample of which is compared with a scan")
    ]
    live_recall_samples: int


class MetadataIndexes(BaseModel):
    """Of sealed segments. A filter on what no index knows is right as well: it looks at the points."""

    fields: Annotated[int, Field(description="distinct fields with an index, in the shard that has most")]
    fields_left_out: Annotated[
        list[str],
        Field(description="without an index in some segment: pinned to none, or too large; 256 at most"),
    ]
    field_limit_reached: Annotated[
        bool, Field(description="a segment has more than 256 fields: the others have no index there")
    ]
    rows_without_index: Annotated[int, Field(description="rows of segments that older versions wrote")]
    bytes: int


class Shard(BaseModel):
    shard: int
    node: str
    state: Literal["ready", "read_only", "unavailable"]
    reason: Annotated[str | None, Field(description="why it is not ready")]
    points: int | None = None
    deleted_rows: int | None = None
    segments: int | None = None
    growing_rows: int | None = None
    last_sequence: int | None = None
    covered_sequence: int | None = None
    disk_bytes: int | None = None
    log_bytes: int | None = None
    index_memory_bytes: int | None = None
    live_recall: float | None = None
    live_recall_samples: int | None = None
    indexes: list[SegmentIndex] | None = None


class CollectionDescription(Collection):
    points: Annotated[int | None, Field(description="null while a shard does not answer")]
    index_totals: Annotated[IndexTotals | None, Field(description="null while a shard does not answer")]
    metadata_indexes: Annotated[
        MetadataIndexes | None, Field(description="null while a shard does not answer")
    ]
    shard_states: list[Shard]


class CollectionDeleted(BaseModel):
    name: str
    deleted: bool


class Alias(BaseModel):
    alias: str
    collection: str


class AliasList(BaseModel):
    aliases: Annotated[list[Alias], Field(description="by alias")]
    next_cursor: NextCursor


class AliasDeleted(BaseModel):
    alias: str
    deleted: bool
