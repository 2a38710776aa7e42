"""VectorCollection: what people ask for, and what they are told.

What the API server can check is checked twice by the same words: there by the rules of
`collection_rules` and here, because an object may be older than its rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from hanax.core.distances import Metric
from hanax.core.index_specs import AutoIndex, IndexSpec, Quantisation
from hanax.core.limits import MAX_DIMENSION, MAX_SHARDS, MAX_TTL_SECONDS
from hanax.core.resources import collection_rules as rules
from hanax.core.resources.affinity import Affinity
from hanax.core.resources.conditions import Condition, Phase
from hanax.core.resources.manifests import SpecPart, StatusPart, checked_by, fixed
from hanax.core.resources.objects import Declared, metadata_of, spec_of, status_of
from hanax.core.resources.quantities import StorageSize
from hanax.core.resources.scheduling import (
    MAX_SPREADS,
    MAX_TOLERATIONS,
    Gpu,
    NodeSelector,
    Resources,
    Toleration,
    TopologySpread,
)
from hanax.core.resources.unions import IN_CAMEL_CASE, READ_CAMEL_CASE
from hanax.core.specs import CollectionSpec, ModelName, PayloadIndexes

MAX_NAMED_VECTORS = 16
MAX_REPLICAS = 9


class Placement(StrEnum):
    DEDICATED = "dedicated"
    SHARED = "shared"


class DeletionPolicy(StrEnum):
    RETAIN = "Retain"
    DELETE = "Delete"


Index = Annotated[IndexSpec, READ_CAMEL_CASE, IN_CAMEL_CASE]
Codes = Annotated[Quantisation, READ_CAMEL_CASE, IN_CAMEL_CASE]
StorageClassName = Annotated[
    str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
]


class NamedVector(SpecPart):
    """One of several vectors of each point."""

    dimensions: int = Field(ge=1, le=MAX_DIMENSION, description="Numbers in each of these vectors.")
    metric: Metric = Field(Metric.COSINE, description="How far two of these vectors are from one another.")


class Storage(SpecPart):
    """The volume of each pod."""

    size: StorageSize | None = Field(
        None,
        description="Size of the volume, such as 20Gi. It can grow. None given: what the operator is set to.",
    )
    storage_class_name: StorageClassName | None = Field(
        None,
        description="The volume's storage class, fixed. None given: what the operator is set to, or the"
        " cluster's default.",
    )


class VectorCollectionSpec(SpecPart):
    """A collection of points with vectors, searched by nearness and by metadata."""

    dimensions: int = Field(
        ge=1,
        le=MAX_DIMENSION,
        description="Numbers in each vector, as many as the embedding model makes. Fixed.",
        json_schema_extra=fixed("dimensions", rules.VECTORS_ARE_STORED),
    )
    metric: Metric = Field(
        Metric.COSINE,
        description="How near two vectors are: cosine (direction alone), dot (product, larger is nearer),"
        " euclidean or manhattan (distance). Fixed.",
        json_schema_extra=fixed("metric", rules.VECTORS_ARE_STORED),
    )
    vectors: dict[str, NamedVector] | None = Field(
        None,
        max_length=MAX_NAMED_VECTORS,
        description="Several vectors for each point, by name. Not served yet: refused.",
        json_schema_extra=checked_by(rules.NAMED_VECTORS),
    )
    index: Index = Field(
        AutoIndex(),
        description="How vectors are found; auto when nothing is said. It may change at any time: segments"
        " are rebuilt while searches go on.",
    )
    quantisation: Codes | None = Field(
        None, description="What the index keeps in place of full vectors. None given: what suits the index."
    )
    target_recall: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Share of the true nearest that answers hold, on average. None given: 0.95 is aimed at.",
    )
    shards: int = Field(
        1,
        ge=1,
        le=MAX_SHARDS,
        description="Parts the points are spread over. Fixed. One serves some millions of points.",
        json_schema_extra=fixed("shards", rules.SLOTS_ARE_DIVIDED),
    )
    replicas: int = Field(
        1,
        ge=1,
        le=MAX_REPLICAS,
        description="Copies of each shard. For now 1: more need replicated writes.",
        json_schema_extra=checked_by(rules.ONE_REPLICA),
    )
    embedding_model: ModelName | None = Field(
        None,
        description="The model that embeds texts: the name of an ExternalModel of this namespace. Fixed."
        " None given: only vectors are taken.",
    )
    payload_indexes: PayloadIndexes = Field(
        default_factory=dict,
        description="What is built for metadata fields, by path: keyword, integer, float, bool, datetime,"
        " text, geo or none. Of other fields, what their values suggest.",
        json_schema_extra=checked_by(rules.FIELD_PATHS),
    )
    ttl_seconds: int | None = Field(
        None,
        ge=1,
        le=MAX_TTL_SECONDS,
        description="How long points are there that bring no time of their own. Fixed. None given: until they"
        " are deleted.",
    )
    placement: Placement = Field(
        Placement.DEDICATED,
        description="dedicated: pods and volumes of its own. shared: on the release's shard pool, for many"
        " small collections. Fixed.",
        json_schema_extra=fixed("placement", rules.DATA_LIES_THERE),
    )
    storage: Storage | None = Field(None, description="The volume of each pod. Dedicated collections only.")
    resources: Resources | None = Field(
        None, description="CPU and memory of each pod. Dedicated collections only."
    )
    node_selector: NodeSelector = Field(
        default_factory=dict, description="Labels of nodes that pods may run on. Dedicated collections only."
    )
    tolerations: tuple[Toleration, ...] = Field(
        (),
        max_length=MAX_TOLERATIONS,
        description="Taints of nodes that pods may run on all the same. Dedicated collections only.",
    )
    affinity: Affinity | None = Field(
        None,
        description="Nodes and pods that pods are drawn to or kept away from. Dedicated collections only.",
    )
    topology_spread: tuple[TopologySpread, ...] = Field(
        (),
        max_length=MAX_SPREADS,
        description="How the collection's pods are spread over zones or nodes. Dedicated collections only.",
    )
    gpu: Gpu | None = Field(
        None,
        description="GPUs of each pod, with the nodes that have them. Indexes are built and searched on CPUs"
        " so far, so that nothing uses them yet. Dedicated collections only.",
    )
    deletion_policy: DeletionPolicy = Field(
        DeletionPolicy.RETAIN,
        description="What becomes of the data when the object is deleted. Retain: its volumes stay. Delete:"
        " it is removed.",
    )
    suspend: bool = Field(
        False, description="Serve nothing and run no pods of its own; the data is kept until it goes on."
    )
    paused: bool = Field(False, description="The operator leaves it alone: nothing is repaired or changed.")

    model_config = ConfigDict(json_schema_extra=checked_by(*rules.OF_THE_SPEC))

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if problem := rules.problem(self):
            raise ValueError(problem)
        return self

    def collection_spec(self, name: str) -> CollectionSpec:
        """What shards and gateways need to know of it."""
        return CollectionSpec(
            name=name,
            dimension=self.dimensions,
            metric=self.metric,
            shards=self.shards,
            embedding_model=self.embedding_model,
            index=self.index,
            quantisation=self.quantisation,
            target_recall=self.target_recall,
            payload_indexes=self.payload_indexes,
            ttl_seconds=self.ttl_seconds,
        )

    @classmethod
    def of(cls, spec: CollectionSpec, placement: Placement | str, **more: Any) -> Self:
        """The spec that stands for a collection; `more`: fields that CollectionSpec does not have."""
        return cls(
            dimensions=spec.dimension,
            metric=spec.metric,
            shards=spec.shards,
            embedding_model=spec.embedding_model,
            index=spec.index,
            quantisation=spec.quantisation,
            target_recall=spec.target_recall,
            payload_indexes=spec.payload_indexes,
            ttl_seconds=spec.ttl_seconds,
            placement=Placement(placement),
            **more,
        )


class ShardIndexes(StatusPart):
    """Sealed segments by the state of their index."""

    built: int = Field(0, ge=0, description="Segments whose index is built.")
    building: int = Field(0, ge=0, description="Segments whose index is being built.")
    waiting: int = Field(0, ge=0, description="Segments whose index waits to be built.")
    refused: int = Field(0, ge=0, description="Segments that can't have the index; searched exactly.")


class ShardStatus(StatusPart):
    """One shard, as its pods tell it."""

    shard: int = Field(ge=0, description="The shard's number.")
    pods: tuple[str, ...] = Field((), description="Pods that hold a copy.")
    ready: bool = Field(False, description="Whether every copy serves the spec of observedGeneration.")
    points: int | None = Field(None, ge=0, description="Points in the shard. Absent while no pod tells.")
    sequence: int | None = Field(None, ge=0, description="The last write applied, by number.")
    segments: int | None = Field(None, ge=0, description="Sealed segments.")
    indexes: ShardIndexes | None = Field(None, description="Sealed segments by the state of their index.")
    revision: int | None = Field(None, ge=0, description="The routing table that its pods follow.")


class VectorCollectionStatus(StatusPart):
    """What is so."""

    observed_generation: int = Field(0, ge=0, description="The metadata.generation this status is about.")
    phase: Phase | None = Field(None, description="The state in one word, for people.")
    conditions: tuple[Condition, ...] = Field(
        (), description="Ready, Progressing and Degraded, with reason and message."
    )
    shards: tuple[ShardStatus, ...] = Field((), description="Every shard.")
    ready_shards: str | None = Field(None, description="Shards that serve, of how many: 2/2.")
    points: int | None = Field(
        None, ge=0, description="Points of all shards. Absent while one does not tell."
    )
    replicas: int | None = Field(None, ge=0, description="Copies of each shard that there are.")
    selector: str | None = Field(None, description="Label selector of the collection's pods.")
    endpoint: str | None = Field(None, description="URL of the collection behind the gateway.")


@dataclass(frozen=True, kw_only=True)
class Collection(Declared):
    """A VectorCollection as it was read."""

    spec: VectorCollectionSpec

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Collection:
        """Raises InvalidArgument that names the field and what is allowed."""
        return cls(**metadata_of(obj), spec=spec_of(VectorCollectionSpec, obj))

    @property
    def paused(self) -> bool:
        return super().paused or self.spec.paused

    @property
    def status(self) -> VectorCollectionStatus:
        return status_of(VectorCollectionStatus, self.raw)
