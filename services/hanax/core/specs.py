"""What a user asks for: the spec of a collection and of a model."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints, model_validator

from hanax.core.distances import Metric
from hanax.core.index_specs import AutoIndex, Indexing, IndexSpec, Quantisation, Spec
from hanax.core.limits import MAX_DIMENSION, MAX_PAYLOAD_INDEXES, MAX_SHARDS, MAX_TTL_SECONDS

DEFAULT_VECTOR = "default"

# A DNS label, because a collection is also a Kubernetes object of the same name.
CollectionName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
    Field(description="1 to 63 lower-case letters, digits and '-', not at either end"),
]
ModelName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$"),
    Field(description="1 to 128 letters, digits, '.', '_', '/' and '-', not at either end"),
]


class PayloadIndex(StrEnum):
    """What is built for a metadata field, instead of what its values suggest.

    Only text changes what a filter may ask: without it, text and phrase are refused on the field.
    """

    KEYWORD = "keyword"
    INTEGER = "integer"
    FLOAT = "float"
    BOOL = "bool"
    DATETIME = "datetime"
    TEXT = "text"
    GEO = "geo"
    NONE = "none"


# Names joined by dots, as filters write them.
FieldPath = Annotated[str, StringConstraints(pattern=r"^[^.]+(\.[^.]+)*$", max_length=512)]


PayloadIndexes = Annotated[
    dict[FieldPath, PayloadIndex],
    Field(
        max_length=MAX_PAYLOAD_INDEXES,
        description="what is built for metadata fields; of others, what their values suggest",
        examples=[{"title": "text", "author.born": "datetime", "raw": "none"}],
    ),
]


class CollectionChange(Indexing):
    """What may change during a collection's life: how it is searched, not what it holds.

    `model_fields_set` says what shall change; each of it is replaced whole.
    """

    payload_indexes: PayloadIndexes = Field(default_factory=dict)


CHANGEABLE: Final = tuple(CollectionChange.model_fields)


class CollectionSpec(Spec):
    """A collection. What CollectionChange does not have is fixed for its life."""

    name: CollectionName
    dimension: int = Field(ge=1, le=MAX_DIMENSION, description="floats in each vector")
    metric: Metric = Metric.COSINE
    shards: int = Field(1, ge=1, le=MAX_SHARDS, description="parts the points are spread over")
    embedding_model: ModelName | None = Field(
        None, description="model that embeds texts; none: only vectors are taken"
    )
    index: IndexSpec = Field(AutoIndex(), description="how vectors are found; auto: chosen for each segment")
    quantisation: Quantisation | None = Field(None, description="none given: what suits the index")
    target_recall: float | None = Field(
        None,
        gt=0,
        le=1,
        description="share of the true nearest that answers hold, on average; none: 0.95 is aimed at",
    )

    payload_indexes: PayloadIndexes = Field(default_factory=dict)

    ttl_seconds: int | None = Field(
        None,
        ge=1,
        le=MAX_TTL_SECONDS,
        description="how long points are there that bring no time of their own; none: until they are deleted",
    )

    @property
    def indexing(self) -> Indexing:
        return Indexing(index=self.index, quantisation=self.quantisation, target_recall=self.target_recall)

    @model_validator(mode="after")
    def _indexing_is_possible(self) -> CollectionSpec:
        if problem := self.indexing.problem(self.metric, self.dimension):
            raise ValueError(problem)
        return self
