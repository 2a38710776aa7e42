"""What a user may ask for beyond search, get, scroll and count."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from hanax.core.index_specs import SearchParameters
from hanax.core.limits import (
    MAX_BATCH_QUERIES,
    MAX_GROUP_SIZE,
    MAX_GROUPS,
)
from hanax.gateway.query_fields import (
    Examples,
    FieldName,
    MetadataIncluded,
    Mmr,
    Offset,
    Threshold,
    Total,
    VectorsIncluded,
    VersionIncluded,
)
from hanax.gateway.requests import CollectionField, FilterField, LimitField, Request, Sought


class Query(Request, Sought):
    """One search of a batch."""


class BatchSearchRequest(Request, SearchParameters):
    """Several searches at once, alike but for what is searched for."""

    collection: CollectionField
    queries: Annotated[list[Query], Field(min_length=1, max_length=MAX_BATCH_QUERIES)]
    limit: LimitField = 10
    offset: Offset = None
    score_threshold: Threshold = None
    filter: FilterField = None
    include_metadata: MetadataIncluded = True
    include_vectors: VectorsIncluded = False
    include_version: VersionIncluded = False


class GroupSearchRequest(Request, Sought, SearchParameters):
    """The nearest values of a metadata field, and the nearest points of each."""

    collection: CollectionField
    group_by: FieldName
    limit: Annotated[int, Field(ge=1, le=MAX_GROUPS, description="groups")] = 10
    group_size: Annotated[int, Field(ge=1, le=MAX_GROUP_SIZE, description="points of each group")] = 3
    score_threshold: Threshold = None
    filter: FilterField = None
    include_metadata: MetadataIncluded = True
    include_vectors: VectorsIncluded = False
    include_version: VersionIncluded = False


Strategy = Literal["average_vector", "best_score"]


class RecommendRequest(Request, SearchParameters):
    """Points like some examples and unlike others; the examples that are points are left out.

    average_vector searches for mean(positive) + mean(positive) - mean(negative), each example scaled to
    length 1 under cosine. best_score compares every point with every example: docs/queries.md.
    """

    collection: CollectionField
    positive: Examples = Field(default_factory=list)
    negative: Examples = Field(default_factory=list)
    strategy: Strategy = "average_vector"
    limit: LimitField = 10
    offset: Offset = None
    score_threshold: Threshold = None
    filter: FilterField = None
    mmr: Annotated[Mmr | None, Field(description="results that are unlike one another")] = None
    include_metadata: MetadataIncluded = True
    include_vectors: VectorsIncluded = False
    include_version: VersionIncluded = False
    include_total: Total = False


class FacetRequest(Request):
    """The values of a metadata field that most points have, with how many have each."""

    collection: CollectionField
    field: FieldName
    filter: FilterField = None
    limit: LimitField = 10


class DistinctRequest(Request):
    """A page of a metadata field's values: numbers, then text, then false, true and null."""

    collection: CollectionField
    field: FieldName
    filter: FilterField = None
    limit: LimitField = 100
    cursor: Annotated[str | None, Field(description="next_cursor of the page before")] = None


QUERY_BODIES: Final[list[type[BaseModel]]] = [
    BatchSearchRequest,
    DistinctRequest,
    FacetRequest,
    GroupSearchRequest,
    RecommendRequest,
]
