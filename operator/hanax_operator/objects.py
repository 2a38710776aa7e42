"""Objects of the API server as they travel: plain mappings, and the key that names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from hanax.core.resources.names import API_VERSION, EXTERNAL_MODEL, VECTOR_COLLECTION

Manifest: TypeAlias = Mapping[str, Any]


class Kind(NamedTuple):
    """A kind of object, and the plural that stands for it in addresses. All live in the namespace."""

    api_version: str
    kind: str
    plural: str

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]


class ObjectKey(NamedTuple):
    """Names one object of the operator's namespace."""

    api_version: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


COLLECTION: Final = Kind(API_VERSION, VECTOR_COLLECTION.kind, VECTOR_COLLECTION.plural)
MODEL: Final = Kind(API_VERSION, EXTERNAL_MODEL.kind, EXTERNAL_MODEL.plural)
STATEFUL_SET: Final = Kind("apps/v1", "StatefulSet", "statefulsets")
DEPLOYMENT: Final = Kind("apps/v1", "Deployment", "deployments")
POD: Final = Kind("v1", "Pod", "pods")
CLAIM: Final = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
SERVICE: Final = Kind("v1", "Service", "services")
CONFIG_MAP: Final = Kind("v1", "ConfigMap", "configmaps")
DISRUPTION_BUDGET: Final = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
AUTOSCALER: Final = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")

EVENT: Final = Kind("v1", "Event", "events")
SECRET: Final = Kind("v1", "Secret", "secrets")
LEASE: Final = Kind("coordination.k8s.io/v1", "Lease", "leases")

RESOURCE_KINDS: Final = (COLLECTION, MODEL)
# What collections and models are made of. All of them carry the label `app.kubernetes.io/name`.
CHILD_KINDS: Final = (
    STATEFUL_SET,
    DEPLOYMENT,
    POD,
    CLAIM,
    SERVICE,
    CONFIG_MAP,
    DISRUPTION_BUDGET,
    AUTOSCALER,
)
WATCHED_KINDS: Final = (*RESOURCE_KINDS, *CHILD_KINDS)


def key_of(obj: Manifest) -> ObjectKey:
    return ObjectKey(obj["apiVersion"], obj["kind"], obj["metadata"]["name"])


def labels_of(obj: Manifest) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def uid_of(obj: Manifest) -> str:
    return str(obj["metadata"].get("uid", ""))


def is_deleting(obj: Manifest) -> bool:
    return obj["metadata"].get("deletionTimestamp") is not None


def version_of(obj: Manifest) -> int:
    """The resource version as a number, which later ones exceed; 0 where it is none."""
    text = str(obj["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdecimal() else 0


def name_of(obj: Manifest) -> str:
    return str(obj["metadata"]["name"])


def key(kind: Kind, name: str) -> ObjectKey:
    return ObjectKey(kind.api_version, kind.kind, name)
