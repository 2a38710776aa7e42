"""Who an object belongs to: labels by which it is found, a reference by which it ends with its owner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hanax.core.resources.collections import Collection
from hanax.core.resources.names import (
    API_VERSION,
    APP,
    APP_LABEL,
    COLLECTION_LABEL,
    COMPONENT_LABEL,
    EMBEDDER_COMPONENT,
    EXTERNAL_MODEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    MODEL_LABEL,
    SHARD_COMPONENT,
    SHARD_LABEL,
    VECTOR_COLLECTION,
)
from hanax.core.resources.objects import Declared
from hanax_operator.objects import Kind, Manifest, ObjectKey


def shard_selector(collection: str, shard: int | None = None) -> dict[str, str]:
    """Labels of the pods of one shard, or of all. They can't change while the StatefulSet lives."""
    selector = {COLLECTION_LABEL: collection, COMPONENT_LABEL: SHARD_COMPONENT}
    if shard is not None:
        selector[SHARD_LABEL] = str(shard)
    return selector


def model_selector(model: str) -> dict[str, str]:
    """Labels of the pods of a served model. They can't change while the Deployment lives."""
    return {MODEL_LABEL: model, COMPONENT_LABEL: EMBEDDER_COMPONENT}


def labelled(selector: Mapping[str, str]) -> dict[str, str]:
    """The selector's labels, and those by which the operator finds what is its own."""
    return {APP_LABEL: APP, MANAGED_BY_LABEL: MANAGED_BY, **selector}


def owner_reference(owner: Declared) -> dict[str, Any]:
    resource = VECTOR_COLLECTION if isinstance(owner, Collection) else EXTERNAL_MODEL
    return {
        "apiVersion": API_VERSION,
        "kind": resource.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def child(kind: Kind, name: str, owner: Declared, labels: Mapping[str, str]) -> dict[str, Any]:
    """The head of a manifest whose object is removed with its owner."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": dict(labels),
            "ownerReferences": [owner_reference(owner)],
        },
    }


def one_at_a_time(selector: Mapping[str, str]) -> dict[str, Any]:
    """The spec of a disruption budget by which of these pods one may be away."""
    return {
        "maxUnavailable": 1,
        "selector": {"matchLabels": dict(selector)},
        # A pod that is not ready serves nobody, and may be what keeps a node from being drained.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


def is_owned(obj: Manifest, owner: Declared) -> bool:
    """Whether this very owner controls it, not an earlier one of the same name, nor somebody else."""
    references: Iterable[Manifest] = obj["metadata"].get("ownerReferences") or ()
    return any(reference.get("uid") == owner.uid and reference.get("controller") for reference in references)


def with_leftovers(
    wanted: dict[ObjectKey, dict[str, Any] | None],
    owner: Declared,
    existing: Mapping[ObjectKey, Manifest],
    kinds: Iterable[Kind],
) -> dict[ObjectKey, dict[str, Any] | None]:
    """`wanted`, and None for every other object of these kinds that the owner controls."""
    built = {(kind.api_version, kind.kind) for kind in kinds}
    leftovers = {
        key: None
        for key, obj in existing.items()
        if key not in wanted and (key.api_version, key.kind) in built and is_owned(obj, owner)
    }
    return wanted | leftovers
