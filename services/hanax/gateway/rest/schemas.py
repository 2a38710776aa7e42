"""What answers look like, for the OpenAPI document. Answers are rendered without these models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from hanax.core.specs import CollectionSpec

Data = TypeVar("Data")

Id = int | str
NextCursor = Annotated[str | None, Field(description="null on the last page")]


class Envelope(BaseModel, Generic[Data]):
    """Every answer."""

    success: Literal[True]
    data: Data
    error: None
    request_id: str
    processing_time_ms: float
    protocol: Literal["rest"]
    cached: bool


class ErrorBody(BaseModel):
    """`code` is stable; `type` is its class name; `details` are for programs."""

    code: Annotated[str, Field(examples=["dimension_mismatch"])]
    type: Annotated[str, Field(examples=["DimensionMismatch"])]
    message: Annotated[str, Field(examples=["vector: collection 'docs' takes 384 numbers, got 3"])]
    path: Annotated[str, Field(examples=["/api/v1/vectors/search"])]
    details: Annotated[dict[str, Any], Field(examples=[{"expected": 384, "got": 3}])]


class ErrorEnvelope(BaseModel):
    """Every refusal. 429 and 503 carry Retry-After."""

    success: Literal[False]
    data: None
    error: ErrorBody
    request_id: str
    processing_time_ms: float
    protocol: Literal["rest"]
    cached: bool


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


class Inserted(BaseModel):
    inserted: Annotated[int, Field(description="points that are new")]
    updated: Annotated[int, Field(description="points that replaced one with the same id")]
    ids: Annotated[list[Id], Field(description="of all points, in the order sent")]
    truncated: Annotated[list[Id], Field(description="points whose text the model read in part")]
    split: Annotated[list[Id], Field(description="points whose text the model read in parts")]
    skipped: Annotated[list[Id], Field(description="points that the mode left alone")]
    versions: Annotated[
        list[int | None], Field(description="of all points, in the order sent; null: not written")
    ]


class Provenance(BaseModel):
    """Of a vector that was embedded here. Filters find it under _embedding, as in _embedding.model."""

    model: str
    version: str
    pattern: str
    at: datetime
    content_hash: Annotated[str, Field(description="xxh3-128 of the text, in hexadecimal")]


class Hit(BaseModel):
    id: Id
    score: Annotated[float, Field(description="larger is nearer")]
    metadata: dict[str, Any] | None = None
    provenance: Annotated[
        Provenance | None, Field(description="where metadata are answered and the vector was embedded here")
    ] = None
    vector: list[float] | None = None
    created_at: datetime
    updated_at: datetime
    expires_at: Annotated[
        datetime | None, Field(description="from when on it is no more; left out where it stays")
    ] = None
    version: Annotated[int | None, Field(description="grows with every write of the point")] = None


class SearchResults(BaseModel):
    results: list[Hit]
    truncated: Annotated[bool, Field(description="the model read the text in part")]
    has_more: Annotated[bool | None, Field(description="results follow; told if an offset was given")] = None
    total_count: Annotated[
        int | None, Field(description="points that match the filter, those searched for left out; if asked")
    ] = None
    total_is_exact: Annotated[
        bool | None,
        Field(description="false with a score_threshold, which some of the counted may not reach"),
    ] = None
    explanation: Annotated[
        list[dict[str, Any]] | None, Field(description="how each shard searched its segments; if asked")
    ] = None


class BatchResults(BaseModel):
    batches: Annotated[list[SearchResults], Field(description="of each query, in order")]


class Group(BaseModel):
    value: Annotated[str | float | bool | None, Field(description="of the field that is grouped by")]
    results: list[Hit]


class Groups(BaseModel):
    groups: Annotated[list[Group], Field(description="by the score of their best results")]
    truncated: Annotated[bool, Field(description="the model read the text in part")]


class ValueCount(BaseModel):
    value: str | float | bool | None
    count: Annotated[int, Field(description="matching points with the value")]


class Facet(BaseModel):
    """All numbers are exact."""

    values: Annotated[list[ValueCount], Field(description="the most frequent first")]
    distinct: Annotated[int, Field(description="how many values there are")]
    matches: Annotated[int, Field(description="points that match the filter, with the field or without")]


class Values(BaseModel):
    values: list[str | float | bool | None]
    next_cursor: Annotated[str | None, Field(description="null on the last page")]


class Vector(BaseModel):
    id: Id
    embedding: list[float] | None = None
    metadata: dict[str, Any] | None = None
    provenance: Annotated[
        Provenance | None, Field(description="where metadata are answered and the vector was embedded here")
    ] = None
    collection: str
    model: Annotated[str | None, Field(description="the collection's embedding model")]
    created_at: datetime
    updated_at: datetime
    expires_at: Annotated[
        datetime | None, Field(description="from when on it is no more; left out where it stays")
    ] = None
    version: Annotated[int | None, Field(description="grows with every write of the point")] = None


class Vectors(BaseModel):
    vectors: list[Vector]
    missing: Annotated[list[Id], Field(description="ids that no point has")]


class Page(BaseModel):
    vectors: list[Vector]
    next_cursor: Annotated[str | None, Field(description="null on the last page")]


class Updated(BaseModel):
    id: Id
    updated: int
    version: int


class MetadataChanged(BaseModel):
    matched: Annotated[int, Field(description="points that were there, and matched")]
    updated: Annotated[int, Field(description="those of them whose metadata are others now")]
    ids: Annotated[list[Id] | None, Field(description="points that were there; not told for a filter")] = None
    versions: Annotated[list[int] | None, Field(description="of ids, as they are now")] = None
    missing: Annotated[list[Id] | None, Field(description="ids that no point has")] = None


class Deleted(BaseModel):
    deleted: Annotated[int, Field(description="points that were there")]


class Counted(BaseModel):
    count: int


class CacheRate(BaseModel):
    hits: int
    misses: int
    hit_rate: Annotated[float | None, Field(description="hits of all look-ups; null before the first")]


class CacheStats(CacheRate):
    backend: Literal["memory", "redis", "off"]
    state: Annotated[str, Field(description="ok, or why the store is away")]
    keeps_searches: Annotated[bool, Field(description="answers of searches and counts are kept")]
    entries: Annotated[int | None, Field(description="keys in the store; null when it is away")]
    bytes: Annotated[int | None, Field(description="what the store holds; null when it is away")]
    operations: dict[str, CacheRate]
    frequent_requests: Annotated[int, Field(description="requests that came back, which warming asks again")]


class CacheWarmed(BaseModel):
    asked: Annotated[int, Field(description="requests whose answers are kept now")]
    failed: int


class CacheCleared(BaseModel):
    entries: Annotated[int, Field(description="how many there were")]


class Health(BaseModel):
    status: Literal["ok"]
    version: Annotated[str, Field(examples=["0.1.0"])]


class DatabaseHealth(BaseModel):
    """Without a metadata database `status` is all there is. latency_ms: of one question."""

    status: Literal["ok", "not_configured"]
    reachable: bool | None = None
    dialect: Literal["postgresql", "sqlite"] | None = None
    latency_ms: float | None = None
    revision: Annotated[str | None, Field(description="of its schema", examples=["0001_operations"])] = None
    pool_in_use: int | None = None
    pool_size: int | None = None
    error: None = None


class Ready(BaseModel):
    routing: str
    nodes: dict[str, str]
    models: dict[str, str]
