"""The kinds that the server knows: built-in ones and defined ones. Discovery tells them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.operator.emulator import schemas
from tests.operator.emulator.schemas import Schema

_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Scale:
    """Where the scale subresource finds what it tells; paths as tuples of names."""

    replicas: tuple[str, ...] = ("spec", "replicas")
    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Kind:
    """One resource of one version. `counts`: its generation grows when what is wanted changes."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    status: bool = False
    scale: Scale | None = None
    counts: bool = False
    custom: bool = False
    short_names: tuple[str, ...] = ()
    schema: Schema = field(default_factory=dict, hash=False, compare=False)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """As messages name it: plural.group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified(self) -> str:
        """As messages about an object name it: Kind.group."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def key(self) -> tuple[str, str, str]:
        return self.group, self.version, self.plural


def _kind(api_version: str, plural: str, kind: str, words: str = "") -> Kind:
    """`words` out of: status, scale, counts, cluster (not namespaced)."""
    group, _, version = api_version.rpartition("/")
    return Kind(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        namespaced="cluster" not in words,
        status="status" in words,
        scale=Scale() if "scale" in words else None,
        counts="counts" in words,
        schema=schemas.builtin(group, version, kind),
    )


def builtin_kinds() -> list[Kind]:
    return [
        _kind("v1", "configmaps", "ConfigMap"),
        _kind("v1", "endpoints", "Endpoints"),
        _kind("v1", "events", "Event"),
        _kind("v1", "namespaces", "Namespace", "cluster status"),
        _kind("v1", "nodes", "Node", "cluster status"),
        _kind("v1", "persistentvolumeclaims", "PersistentVolumeClaim", "status"),
        _kind("v1", "persistentvolumes", "PersistentVolume", "cluster status"),
        _kind("v1", "pods", "Pod", "status counts"),
        _kind("v1", "secrets", "Secret"),
        _kind("v1", "serviceaccounts", "ServiceAccount"),
        _kind("v1", "services", "Service", "status"),
        _kind("apps/v1", "controllerrevisions", "ControllerRevision"),
        _kind("apps/v1", "deployments", "Deployment", "status scale counts"),
        _kind("apps/v1", "replicasets", "ReplicaSet", "status scale counts"),
        _kind("apps/v1", "statefulsets", "StatefulSet", "status scale counts"),
        _kind("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "status"),
        _kind("coordination.k8s.io/v1", "leases", "Lease"),
        _kind("events.k8s.io/v1", "events", "Event"),
        _kind("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", "counts"),
        _kind("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "status counts"),
        _kind("rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", "cluster"),
        _kind("rbac.authorization.k8s.io/v1", "roles", "Role"),
        _kind("storage.k8s.io/v1", "storageclasses", "StorageClass", "cluster"),
        _kind(
            "admissionregistration.k8s.io/v1",
            "validatingwebhookconfigurations",
            "ValidatingWebhookConfiguration",
            "cluster counts",
        ),
        _kind(
            "apiextensions.k8s.io/v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            "cluster status counts",
        ),
    ]


def custom_kinds(definition: Mapping[str, Any]) -> Iterable[Kind]:
    """One for each served version."""
    spec = definition["spec"]
    for version in spec["versions"]:
        if version["served"]:
            subresources = version.get("subresources", {})
            yield Kind(
                group=spec["group"],
                version=version["name"],
                plural=spec["names"]["plural"],
                kind=spec["names"]["kind"],
                namespaced=spec["scope"] == "Namespaced",
                status="status" in subresources,
                scale=_scale(subresources.get("scale")),
                counts=True,
                custom=True,
                short_names=tuple(spec["names"].get("shortNames", ())),
                schema=schemas.custom(version["schema"]["openAPIV3Schema"]),
            )


def _scale(found: Mapping[str, str] | None) -> Scale | None:
    if found is None:
        return None
    selector = found.get("labelSelectorPath")
    return Scale(
        replicas=_path(found["specReplicasPath"]),
        status_replicas=_path(found["statusReplicasPath"]),
        selector=_path(selector) if selector else None,
    )


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.removeprefix(".").split("."))


def group_list(kinds: Iterable[Kind]) -> dict[str, Any]:
    """The document of /apis."""
    versions = defaultdict[str, list[str]](list)
    for kind in kinds:
        if kind.group and kind.version not in versions[kind.group]:
            versions[kind.group].append(kind.version)
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [group_document(group, found) for group, found in versions.items()],
    }


def group_document(group: str, versions: list[str]) -> dict[str, Any]:
    told = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": told, "preferredVersion": told[0]}


def resource_list(api_version: str, kinds: Iterable[Kind]) -> dict[str, Any]:
    """The document of /api/v1 or /apis/GROUP/VERSION."""
    resources: list[dict[str, Any]] = []
    for kind in kinds:
        entry = {
            "name": kind.plural,
            "singularName": kind.kind.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
        }
        resources.append({**entry, "verbs": list(_VERBS), "shortNames": list(kind.short_names)})
        if kind.status:
            resources.append(
                {
                    **entry,
                    "name": f"{kind.plural}/status",
                    "singularName": "",
                    "verbs": ["get", "patch", "update"],
                }
            )
        if kind.scale:
            resources.append(
                {
                    **entry,
                    "name": f"{kind.plural}/scale",
                    "singularName": "",
                    "group": "autoscaling",
                    "version": "v1",
                    "kind": "Scale",
                    "verbs": ["get", "patch", "update"],
                }
            )
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": resources,
    }
