"""What answers of points and searches look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

Id = int | str


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


_OwnProvenance = Annotated[
    Provenance | None, Field(description="where metadata are answered and the vector was embedded here")
]
_Expiry = Annotated[datetime | None, Field(description="from when on it is no more; left out where it stays")]
_Version = Annotated[int | None, Field(description="grows with every write of the point")]


class Hit(BaseModel):
    id: Id
    score: Annotated[float, Field(description="larger is nearer")]
    metadata: dict[str, Any] | None = None
    provenance: _OwnProvenance = None
    vector: list[float] | None = None
    created_at: datetime
    updated_at: datetime
    expires_at: _Expiry = None
    version: _Version = None


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
    provenance: _OwnProvenance = None
    collection: str
    model: Annotated[str | None, Field(description="the collection's embedding model")]
    created_at: datetime
    updated_at: datetime
    expires_at: _Expiry = None
    version: _Version = None


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
