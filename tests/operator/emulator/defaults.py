"""What the server fills in on built-in kinds, as far as this project uses them."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final

from tests.operator.emulator.pod_defaults import fill, fill_pod, fill_template

Obj = dict[str, Any]


def filled(obj: Obj, kind: str) -> Obj:
    """The object with the server's defaults; `obj` is left as it is."""
    filler = _FILLERS.get(kind)
    if filler is None:
        return obj
    obj = deepcopy(obj)
    filler(obj)
    return obj


def _fill_stateful_set(obj: Obj) -> None:
    spec = obj["spec"]
    fill(
        spec,
        {
            "replicas": 1,
            "podManagementPolicy": "OrderedReady",
            "revisionHistoryLimit": 10,
            "updateStrategy": {"type": "RollingUpdate"},
            "persistentVolumeClaimRetentionPolicy": {},
        },
    )
    if spec["updateStrategy"].get("type", "RollingUpdate") == "RollingUpdate":
        fill(spec["updateStrategy"], {"type": "RollingUpdate", "rollingUpdate": {}})
        fill(spec["updateStrategy"]["rollingUpdate"], {"partition": 0})
    fill(spec["persistentVolumeClaimRetentionPolicy"], {"whenDeleted": "Retain", "whenScaled": "Retain"})
    fill_template(spec["template"])
    for claim in spec.get("volumeClaimTemplates", ()):
        fill(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim"})
        _fill_claim(claim)


def _fill_volume_claim(obj: Obj) -> None:
    _fill_claim(obj)
    # A claim that is used is kept until its pods are gone; a controller takes the finalizer off.
    finalizers = obj["metadata"].get("finalizers", [])
    if "uid" in obj["metadata"] and "resourceVersion" not in obj["metadata"]:
        obj["metadata"]["finalizers"] = list(dict.fromkeys([*finalizers, "kubernetes.io/pvc-protection"]))


def _fill_claim(claim: Obj) -> None:
    fill(claim.setdefault("spec", {}), {"volumeMode": "Filesystem"})
    claim.setdefault("status", {}).setdefault("phase", "Pending")


def _fill_deployment(obj: Obj) -> None:
    spec = obj["spec"]
    fill(
        spec,
        {
            "replicas": 1,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate"},
        },
    )
    if spec["strategy"].get("type") == "RollingUpdate":
        spec["strategy"].setdefault("rollingUpdate", {})
        fill(spec["strategy"]["rollingUpdate"], {"maxSurge": "25%", "maxUnavailable": "25%"})
    fill_template(spec["template"])


def _fill_service(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    fill(
        spec,
        {
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
        },
    )
    for port in spec.get("ports", ()):
        fill(port, {"protocol": "TCP", "targetPort": port["port"]})
    obj.setdefault("status", {}).setdefault("loadBalancer", {})


def _fill_autoscaler(obj: Obj) -> None:
    fill(obj["spec"], {"minReplicas": 1})
    for policy in obj["spec"].get("behavior", {}).values():
        fill(policy, {"selectPolicy": "Max"})
    if not obj["spec"].get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        obj["spec"]["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _fill_storage_class(obj: Obj) -> None:
    fill(obj, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})


def _fill_secret(obj: Obj) -> None:
    obj.setdefault("type", "Opaque")


def _fill_namespace(obj: Obj) -> None:
    obj.setdefault("status", {}).setdefault("phase", "Active")
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]


_FILLERS: Final[dict[str, Callable[[Obj], None]]] = {
    "Deployment": _fill_deployment,
    "HorizontalPodAutoscaler": _fill_autoscaler,
    "Namespace": _fill_namespace,
    "PersistentVolumeClaim": _fill_volume_claim,
    "Pod": fill_pod,
    "Secret": _fill_secret,
    "Service": _fill_service,
    "StatefulSet": _fill_stateful_set,
    "StorageClass": _fill_storage_class,
}
