"""Objects as the API server would hand them out."""

from __future__ import annotations

from typing import Any

from hanax.core.catalog import CatalogEntry
from hanax.core.node_state import NodeState, ReplicaState
from hanax.core.resources.collections import Collection
from hanax.core.resources.models import Model
from hanax.core.resources.names import API_VERSION, FINALIZER
from hanax.core.routing import CollectionRoute, ShardRoute, spread_slots
from hanax_operator.release import Release

NOW_US = 1_800_000_000_000_000
CREATED = "2026-01-01T00:00:00Z"


def release(**changes: Any) -> Release:
    return Release(**{"namespace": "team", "release_name": "hx", "pool_stateful_set": "hx-pool", **changes})


def custom_resource(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"uid-{name}",
            "generation": 1,
            "resourceVersion": "10",
            "creationTimestamp": CREATED,
            "finalizers": [FINALIZER],
            **metadata,
        },
        "spec": spec,
    }


def collection_object(
    name: str = "docs", spec: dict[str, Any] | None = None, **metadata: Any
) -> dict[str, Any]:
    return custom_resource("VectorCollection", name, {"dimensions": 4, **(spec or {})}, **metadata)


def collection(
    name: str = "docs",
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **metadata: Any,
) -> Collection:
    return Collection.parse({**collection_object(name, spec, **metadata), "status": status or {}})


def model_object(name: str = "mini", spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    default = {
        "dimensions": 4,
        "endpoint": {"url": "http://models.example:8080/v1", "protocol": "openai"},
    }
    return custom_resource("ExternalModel", name, default | (spec or {}), **metadata)


def model(
    name: str = "mini",
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **metadata: Any,
) -> Model:
    return Model.parse({**model_object(name, spec, **metadata), "status": status or {}})


def route_of(
    declared: Collection, *places: tuple[str, ...], generation: int | None = None
) -> CollectionRoute:
    """The collection's route, each shard on the nodes named for it."""
    entry = CatalogEntry(
        uid=declared.uid,
        generation=generation or declared.generation,
        created_at_us=declared.created_at_us,
        spec=declared.spec.collection_spec(declared.name),
        nodes=places,
    )
    ranges = spread_slots(declared.spec.shards)
    return CollectionRoute(
        uid=entry.uid,
        generation=entry.generation,
        spec=entry.spec,
        created_at_us=entry.created_at_us,
        shards=tuple(
            ShardRoute(shard=number, first_slot=first, last_slot=last, replicas=nodes)
            for number, ((first, last), nodes) in enumerate(zip(ranges, places, strict=True))
        ),
    )


def replica_state(declared: Collection, shard: int = 0, **changes: Any) -> ReplicaState:
    return ReplicaState(
        **{
            "collection": declared.name,
            "uid": declared.uid,
            "shard": shard,
            "generation": declared.generation,
            "state": "open",
            "points": 7,
            "sequence": 9,
            **changes,
        }
    )


def node_state(node: str, *replicas: ReplicaState, revision: int = 1) -> NodeState:
    return NodeState(node=node, revision=revision, replicas=replicas)


def child(kind: str, name: str, api_version: str = "v1", **content: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "team",
        "uid": f"uid-{kind}-{name}",
        "resourceVersion": "20",
        "creationTimestamp": "2026-01-02T00:00:00Z",
        **content.pop("metadata", {}),
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def stateful_set(name: str, *, generation: int = 1, **status: Any) -> dict[str, Any]:
    """Rolled out and ready, unless the status says something else."""
    settled = {
        "observedGeneration": generation,
        "replicas": 1,
        "readyReplicas": 1,
        "updatedReplicas": 1,
        "currentRevision": "a",
        "updateRevision": "a",
    }
    return child(
        "StatefulSet",
        name,
        "apps/v1",
        metadata={"generation": generation},
        spec={"replicas": 1, "template": {"spec": {"containers": []}}},
        status=settled | status,
    )
