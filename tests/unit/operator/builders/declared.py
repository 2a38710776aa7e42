"""Custom resources as people declare them, a release, and objects as the API server keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from kubernetes_validate import latest_version, validate

from hanax.core.resources.collections import Collection
from hanax.core.resources.models import Model
from hanax_operator.objects import ObjectKey
from hanax_operator.release import Release

GOLDENS = Path(__file__).parent / "goldens"

RELEASE = Release(
    namespace="search",
    release_name="hxv",
    shard_image="registry.example/hxv/server:1.2.0",
    embedder_image="registry.example/hxv/embedder:1.2.0",
    shard_service_account="hxv-shard",
    embedder_service_account="hxv-embedder",
    routing_config_map="hxv-routing",
    aliases_config_map="hxv-aliases",
)


def released(**settings: Any) -> Release:
    """RELEASE with other settings."""
    return Release(**{**RELEASE.model_dump(), **settings})


def declared(kind: str, name: str, spec: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "vector.citadel-ai.com/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "search",
            "uid": f"uid-of-{name}",
            "generation": 1,
            "creationTimestamp": "2026-03-01T09:00:00Z",
            **metadata,
        },
        "spec": dict(spec),
    }


def collection(name: str = "docs", *, replicas: int = 1, deleting: bool = False, **spec: Any) -> Collection:
    """spec: in camelCase, as people write it. replicas: also more than a spec may ask for as yet."""
    obj = declared("VectorCollection", name, {"dimensions": 384, **spec})
    if deleting:
        obj["metadata"]["deletionTimestamp"] = "2026-03-02T09:00:00Z"
    parsed = Collection.parse(obj)
    return replace(parsed, spec=parsed.spec.model_copy(update={"replicas": replicas}))


def model(name: str = "minilm", *, deleting: bool = False, **spec: Any) -> Model:
    obj = declared("ExternalModel", name, {"dimensions": 384, **spec})
    if deleting:
        obj["metadata"]["deletionTimestamp"] = "2026-03-02T09:00:00Z"
    return Model.parse(obj)


def golden(name: str) -> list[dict[str, Any]]:
    """The manifests of a file."""
    return list(yaml.safe_load_all((GOLDENS / f"{name}.yaml").read_text()))


def built(children: Mapping[ObjectKey, dict[str, Any] | None]) -> list[dict[str, Any]]:
    """The manifests that must exist, each one right by Kubernetes' own schemas, and under its own key."""
    manifests = []
    for key, manifest in children.items():
        if manifest is not None:
            validate(manifest, latest_version(), strict=True)
            assert key == (manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"])
            manifests.append(manifest)
    return manifests


def stored(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest as the API server gives it back: with defaults, a status, and what identifies it."""
    obj = deepcopy(dict(manifest))
    obj["metadata"] |= {"uid": f"uid-of-{obj['metadata']['name']}", "resourceVersion": "41", "generation": 1}
    obj["status"] = {"observedGeneration": 1}
    spec = obj["spec"]
    for claim in spec.get("volumeClaimTemplates", ()):
        claim["spec"]["volumeMode"] = "Filesystem"
        claim["status"] = {"phase": "Pending"}
    if "template" in spec:
        spec["revisionHistoryLimit"] = 10
        pod = spec["template"]["spec"]
        pod |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
        pod.setdefault("serviceAccount", pod["serviceAccountName"])
        for container in pod["containers"]:
            container |= {
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
            container.setdefault("resources", {})
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                container[probe]["successThreshold"] = 1
                container[probe]["httpGet"]["scheme"] = "HTTP"
            for variable in container["env"]:
                if "valueFrom" in variable:
                    variable["valueFrom"]["fieldRef"]["apiVersion"] = "v1"
    return obj


def stored_children(children: Mapping[ObjectKey, dict[str, Any] | None]) -> dict[ObjectKey, dict[str, Any]]:
    return {key: stored(manifest) for key, manifest in children.items() if manifest is not None}
