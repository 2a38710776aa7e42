"""The CustomResourceDefinitions, from the specs and statuses."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from hanax.core.resources.collections import VectorCollectionSpec, VectorCollectionStatus
from hanax.core.resources.manifests import Rule, checked_by
from hanax.core.resources.models import ExternalModelSpec, ExternalModelStatus
from hanax.core.resources.names import (
    API_VERSION,
    AUTO,
    EXTERNAL_MODEL,
    GROUP,
    VECTOR_COLLECTION,
    VERSION,
    ResourceName,
)
from hanax.core.resources.open_api import structural_schema, with_limits_told, without_defaults

# `kubectl get hanax` lists both.
CATEGORY: Final = "hanax"

_COLLECTION_NAME: Final = Rule(
    "self.metadata.name.matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')",
    "metadata.name: expected 1 to 63 lower-case letters, digits and '-', not at either end",
)
_MODEL_NAME: Final = Rule(
    f"size(self.metadata.name) <= 63 && self.metadata.name != '{AUTO}'",
    f"metadata.name: expected 63 letters at most, and not {AUTO!r}, by which requests leave the choice open",
)


class Column(NamedTuple):
    """What `kubectl get` shows of each object; with `wide`, only at `-o wide`."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False

    def document(self) -> dict[str, Any]:
        column = {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            "description": self.description,
        }
        return column | ({"priority": 1} if self.wide else {})


class Definition(NamedTuple):
    name: ResourceName
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    name_rule: Rule
    replicas_path: str
    columns: tuple[Column, ...]


_READY: Final = Column("READY", '.status.conditions[?(@.type=="Ready")].status', "Whether it serves.")
_PHASE: Final = Column("PHASE", ".status.phase", "The state in one word.")
_AGE: Final = Column("AGE", ".metadata.creationTimestamp", "When it was created.", "date")
_WHY: Final = Column(
    "REASON",
    '.status.conditions[?(@.type=="Ready")].reason',
    "Why it serves or does not.",
    wide=True,
)

DEFINITIONS: Final = (
    Definition(
        VECTOR_COLLECTION,
        "A sharded, durable, searchable collection of vectors.",
        VectorCollectionSpec,
        VectorCollectionStatus,
        _COLLECTION_NAME,
        ".spec.replicas",
        (
            _READY,
            Column("SHARDS", ".status.readyShards", "Shards that serve, of how many."),
            Column("POINTS", ".status.points", "Points of all shards.", "integer"),
            _PHASE,
            _AGE,
            Column("DIMENSIONS", ".spec.dimensions", "Numbers in each vector.", "integer", wide=True),
            Column("METRIC", ".spec.metric", "How near vectors are.", wide=True),
            Column("PLACEMENT", ".spec.placement", "Pods of its own, or the shard pool.", wide=True),
            Column("MODEL", ".spec.embeddingModel", "The model that embeds texts.", wide=True),
            _WHY,
        ),
    ),
    Definition(
        EXTERNAL_MODEL,
        "An embedding model, routed or served.",
        ExternalModelSpec,
        ExternalModelStatus,
        _MODEL_NAME,
        ".spec.serve.replicas",
        (
            _READY,
            Column("DIMENSIONS", ".spec.dimensions", "Numbers in each vector.", "integer"),
            Column("PATTERN", ".spec.pattern", "When texts are embedded."),
            _PHASE,
            _AGE,
            Column("URL", ".spec.endpoint.url", "Where a model runs that is not run here.", wide=True),
            Column("SERVED", ".spec.serve.model", "The model that is run here.", wide=True),
            Column("PODS", ".status.readyReplicas", "Pods that are ready.", "integer", wide=True),
            _WHY,
        ),
    ),
)


def crd_documents() -> list[dict[str, Any]]:
    """One CustomResourceDefinition for each custom resource, as JSON values."""
    return [_document(definition) for definition in DEFINITIONS]


def _document(definition: Definition) -> dict[str, Any]:
    name = definition.name
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name.crd},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": name.kind,
                "listKind": f"{name.kind}List",
                "plural": name.plural,
                "singular": name.singular,
                "shortNames": [name.short],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [column.document() for column in definition.columns],
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": definition.replicas_path,
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "schema": {"openAPIV3Schema": _schema(definition)},
                }
            ],
        },
    }


def _schema(definition: Definition) -> dict[str, Any]:
    status = without_defaults(structural_schema(definition.status))
    for name, key in (("conditions", "type"), ("shards", "shard")):
        if name in status["properties"]:
            status["properties"][name] |= {
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": [key],
            }
    return {
        "type": "object",
        "description": definition.description,
        "properties": {
            "apiVersion": {"type": "string", "description": f"{API_VERSION}."},
            "kind": {"type": "string", "description": f"{definition.name.kind}."},
            "metadata": {"type": "object"},
            "spec": with_limits_told(structural_schema(definition.spec)),
            "status": status,
        },
        "required": ["spec"],
        **checked_by(definition.name_rule),
    }
